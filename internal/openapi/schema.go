package openapi

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Schema is a JSON Schema, as far as Go types need it. The zero value allows everything.
type Schema struct {
	Ref        string             `json:"$ref,omitempty"`
	About      string             `json:"description,omitempty"`
	Type       string             `json:"type,omitempty"`
	Format     string             `json:"format,omitempty"`
	Encoding   string             `json:"contentEncoding,omitempty"`
	Enum       []string           `json:"enum,omitempty"`
	Minimum    *float64           `json:"minimum,omitempty"`
	Properties map[string]*Schema `json:"properties,omitempty"`
	Required   []string           `json:"required,omitempty"`
	Items      *Schema            `json:"items,omitempty"`
	AnyOf      []*Schema          `json:"anyOf,omitempty"`
	Additional any                `json:"additionalProperties,omitzero"` // false, or the schema of all values
}

// strictness is whether an object may have members that the type does not: answers may, so that a newer server does not
// break a client; requests may not, unless they are loose: then null is the same as absent, too.
type strictness int

const (
	lenient strictness = iota
	strict
	loose
)

type schemaKey struct {
	reflect.Type
	how strictness
}

// schemas makes the schemas of types, each struct with a name once.
type schemas struct {
	enums map[reflect.Type][]string
	prose map[string]string
	named map[string]*Schema
	names map[schemaKey]string
}

func newSchemas(enums map[reflect.Type][]string, prose map[string]string) *schemas {
	return &schemas{enums: enums, prose: prose, named: map[string]*Schema{}, names: map[schemaKey]string{}}
}

var (
	timeType      = reflect.TypeFor[time.Time]()
	marshaler     = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
	rawTypes      = [...]reflect.Type{reflect.TypeFor[jsontext.Value](), reflect.TypeFor[json.RawMessage]()}
)

func (s *schemas) of(t reflect.Type, how strictness) *Schema {
	switch {
	case s.enums[t] != nil:
		return &Schema{Type: "string", Enum: s.enums[t]}
	case t == timeType:
		return &Schema{Type: "string", Format: "date-time"}
	case slices.Contains(rawTypes[:], t):
		return &Schema{}
	case t.Implements(textMarshaler):
		return &Schema{Type: "string"}
	case t.Implements(marshaler):
		return &Schema{}
	}
	switch t.Kind() {
	case reflect.Bool:
		return &Schema{Type: "boolean"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return &Schema{Type: "integer"}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return &Schema{Type: "integer", Minimum: new(float64)}
	case reflect.Float32, reflect.Float64:
		return &Schema{Type: "number"}
	case reflect.String:
		return &Schema{Type: "string"}
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return &Schema{Type: "string", Encoding: "base64"}
		}
		return &Schema{Type: "array", Items: s.of(t.Elem(), how)}
	case reflect.Map:
		return &Schema{Type: "object", Additional: nullable(t.Elem(), s.of(t.Elem(), how))}
	case reflect.Pointer:
		return s.of(t.Elem(), how)
	case reflect.Struct:
		return s.ref(t, how)
	case reflect.Interface:
		return &Schema{}
	default:
		panic(fmt.Sprintf("openapi: %s has no JSON form", t))
	}
}

// ref returns a reference to a struct's schema, which is made at the first time.
func (s *schemas) ref(t reflect.Type, how strictness) *Schema {
	key := schemaKey{t, how}
	name, known := s.names[key]
	if !known {
		name = s.name(t)
		object := &Schema{Type: "object", About: s.prose[TypeKey(t)], Properties: map[string]*Schema{}}
		if how == strict {
			object.Additional = false
		}
		s.names[key], s.named[name] = name, object // before its members: they may lead back here
		s.members(object, t, how)
	}
	return &Schema{Ref: "#/components/schemas/" + name}
}

// name is one that is not taken: the type's own, with that of its package when another one has it, and a number when the
// same type is there with another strictness.
func (s *schemas) name(t reflect.Type) string {
	name := upper(t.Name())
	if _, taken := s.named[name]; name == "" || taken {
		pkg := t.PkgPath()[strings.LastIndexByte(t.PkgPath(), '/')+1:]
		name = upper(pkg) + name
	}
	free := name
	for n := 2; s.named[free] != nil; n++ {
		free = fmt.Sprint(name, n)
	}
	return free
}

func upper(s string) string { return strings.ToUpper(s[:min(1, len(s))]) + s[min(1, len(s)):] }

// members adds the fields of a struct, those of embedded ones too, as they are encoded.
func (s *schemas) members(object *Schema, t reflect.Type, how strictness) {
	for f := range t.Fields() {
		if tagOf(f).inline {
			s.members(object, f.Type, how)
		}
	}
	for _, f := range Members(t) {
		tag := tagOf(f)
		member := s.of(f.Type, how)
		optional := tag.has("omitempty") || tag.has("omitzero")
		switch {
		case !optional:
			member = nullable(f.Type, member)
		case how == loose && !member.any():
			member = orNull(member)
		}
		member.About = s.prose[FieldKey(t, f)]
		object.Properties[tag.name] = member
		if !optional && !slices.Contains(object.Required, tag.name) {
			object.Required = append(object.Required, tag.name)
		}
	}
}

// nullable is a schema that takes null, too, when t is a pointer.
func nullable(t reflect.Type, schema *Schema) *Schema {
	if t.Kind() != reflect.Pointer {
		return schema
	}
	return orNull(schema)
}

// any reports whether the schema takes every value.
func (s *Schema) any() bool { return reflect.ValueOf(s).Elem().IsZero() }

func orNull(schema *Schema) *Schema { return &Schema{AnyOf: []*Schema{schema, {Type: "null"}}} }
