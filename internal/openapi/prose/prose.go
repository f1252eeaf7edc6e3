// Package prose finds what the source says of types and their fields: the comments beside them are what an API's description
// tells. Programs do not have their comments, so a test of each API writes them into a file that the program embeds.
package prose

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"parley/internal/openapi"
)

// Of returns the comments of struct types of this module and of their fields, by openapi.TypeKey and FieldKey. module is the
// module's path, and root the directory of its source. It also returns the keys of what has no comment.
func Of(types []reflect.Type, module, root string) (said map[string]string, missing []string, err error) {
	said = map[string]string{}
	packages := map[string]map[string]*ast.TypeSpec{}
	for _, t := range types {
		rel, ours := strings.CutPrefix(t.PkgPath(), module+"/")
		if !ours {
			return nil, nil, fmt.Errorf("%s is not a type of %s", t, module)
		}
		specs, read := packages[rel]
		if !read {
			if specs, err = typesIn(filepath.Join(root, rel)); err != nil {
				return nil, nil, err
			}
			packages[rel] = specs
		}
		spec := specs[t.Name()]
		if spec == nil {
			return nil, nil, fmt.Errorf("%s is not in the source of %s", t, rel)
		}
		comments := fieldComments(spec)
		note := func(key, text string) {
			if said[key] = sentence(text); text == "" {
				delete(said, key)
				missing = append(missing, key)
			}
		}
		note(openapi.TypeKey(t), spec.Doc.Text())
		for _, f := range openapi.Members(t) {
			note(openapi.FieldKey(t, f), comments[f.Name])
		}
	}
	slices.Sort(missing)
	return said, missing, nil
}

// typesIn returns the struct types that the files of a directory declare, by name, each with its comment.
func typesIn(dir string) (map[string]*ast.TypeSpec, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	all := map[string]*ast.TypeSpec{}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, decl := range file.Decls {
			group, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range group.Specs {
				if s, ok := spec.(*ast.TypeSpec); ok {
					if s.Doc == nil {
						s.Doc = group.Doc
					}
					all[s.Name.Name] = s
				}
			}
		}
	}
	return all, nil
}

// fieldComments returns the comments of a struct's fields, by their names.
func fieldComments(spec *ast.TypeSpec) map[string]string {
	all := map[string]string{}
	s, ok := spec.Type.(*ast.StructType)
	if !ok {
		return all
	}
	for _, field := range s.Fields.List {
		for _, name := range field.Names {
			all[name.Name] = strings.TrimSpace(field.Doc.Text() + " " + field.Comment.Text())
		}
	}
	return all
}

// sentence makes a sentence of a comment, which may begin in lower case and end without a full stop.
func sentence(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if first, size := utf8.DecodeRuneInString(text); size > 0 {
		text = string(unicode.ToUpper(first)) + text[size:]
	}
	if text != "" && !strings.ContainsAny(text[len(text)-1:], ".!?:") {
		text += "."
	}
	return text
}
