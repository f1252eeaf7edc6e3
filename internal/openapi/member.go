package openapi

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// TypeKey names a struct type in API.Prose.
func TypeKey(t reflect.Type) string { return t.PkgPath() + "." + t.Name() }

// FieldKey names a field of a struct type in API.Prose.
func FieldKey(t reflect.Type, f reflect.StructField) string { return TypeKey(t) + "." + f.Name }

// Members returns the fields of a struct that are members of its JSON form by themselves: not those of structs within it.
func Members(t reflect.Type) (all []reflect.StructField) {
	for f := range t.Fields() {
		if tag := tagOf(f); tag.name != "" && !tag.inline {
			all = append(all, f)
		}
	}
	return all
}

// tag is how a field is encoded.
type tag struct {
	name    string // of the member; empty when it is none
	inline  bool   // its own fields are the members
	options []string
}

func (t tag) has(option string) bool { return slices.Contains(t.options, option) }

func tagOf(f reflect.StructField) tag {
	name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
	t := tag{name: name, options: strings.Split(options, ",")}
	switch {
	case name == "-" || !f.IsExported() && !f.Anonymous:
		return tag{}
	case t.has("inline") || f.Anonymous && name == "":
		t.inline = true
	case name == "":
		t.name = f.Name
	}
	return t
}

// Structs returns the struct types whose schemas describe the operations of an API, in the order of their keys: all that
// API.Prose has to speak of.
func Structs(api API) []reflect.Type {
	found := map[string]reflect.Type{}
	add := func(v any) {
		switch v := v.(type) {
		case nil, Bytes:
		case Lines:
			structsIn(reflect.TypeOf(v.Of), found)
		case Loose:
			structsIn(reflect.TypeOf(v.Of), found)
		default:
			structsIn(reflect.TypeOf(v), found)
		}
	}
	add(api.Refusal)
	for _, op := range api.Operations {
		add(op.Body)
		add(op.Refusal)
		for _, v := range op.Answers {
			add(v)
		}
	}
	return sorted(found)
}

func structsIn(t reflect.Type, found map[string]reflect.Type) {
	for slices.Contains([]reflect.Kind{reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map}, t.Kind()) {
		t = t.Elem()
	}
	_, known := found[TypeKey(t)]
	if known || t.Kind() != reflect.Struct || t.Implements(marshaler) || t.Implements(textMarshaler) || t.Name() == "" {
		return
	}
	found[TypeKey(t)] = t
	for f := range t.Fields() {
		if tag := tagOf(f); tag.name != "" || tag.inline {
			structsIn(f.Type, found)
		}
	}
}

func sorted(found map[string]reflect.Type) (all []reflect.Type) {
	for _, key := range slices.Sorted(maps.Keys(found)) {
		all = append(all, found[key])
	}
	return all
}

// Undescribed returns which members of schemas have no description, as Schema.member.
func (d *Document) Undescribed() (all []string) {
	for name, schema := range d.Components.Schemas {
		for member, of := range schema.Properties {
			if of.About == "" {
				all = append(all, name+"."+member)
			}
		}
	}
	slices.Sort(all)
	return all
}
