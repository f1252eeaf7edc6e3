package main

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"

	"parley/internal/fault"
)

// sources is where flags that were not given come from: the environment, else the YAML file. It is a kong.Resolver.
// Only flags with the tag `setting` take part.
type sources struct {
	getenv func(string) string
	file   map[string]any // by key; nil until read
}

// envName is the variable of a flag.
func envName(flag string) string {
	return "PARLEY_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// fileKey is the key of a flag in the YAML file.
func fileKey(flag string) string { return strings.ReplaceAll(flag, "-", "_") }

// helpOf adds the variable to the help of a setting.
func helpOf(v *kong.Value) string {
	if v.Flag == nil || !v.Tag.Has("setting") {
		return kong.DefaultHelpValueFormatter(v)
	}
	return v.Help + " ($" + envName(v.Name) + ")"
}

// Validate implements kong.Resolver.
func (*sources) Validate(*kong.Application) error { return nil }

// Resolve implements kong.Resolver.
func (s *sources) Resolve(ctx *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if !flag.Tag.Has("setting") {
		return nil, nil
	}
	if v := s.getenv(envName(flag.Name)); v != "" {
		return v, nil
	}
	if flag.Name == "config" {
		return nil, nil
	}
	if err := s.read(ctx); err != nil {
		return nil, err
	}
	return s.file[fileKey(flag.Name)], nil
}

// read loads the YAML file that the command line or the environment names, once. Commands without the flag have none.
func (s *sources) read(ctx *kong.Context) error {
	if s.file != nil {
		return nil
	}
	s.file = map[string]any{}
	flags := ctx.Flags()
	i := slices.IndexFunc(flags, func(f *kong.Flag) bool { return f.Name == "config" && f.Tag.Has("setting") })
	if i < 0 {
		return nil
	}
	path, _ := ctx.FlagValue(flags[i]).(string)
	if path == "" {
		path = s.getenv(envName("config"))
	}
	if path == "" {
		return nil
	}
	file, err := readSettings(path)
	if err != nil {
		return err
	}
	for key := range file {
		if !slices.ContainsFunc(flags, func(f *kong.Flag) bool {
			return f.Name != "config" && f.Tag.Has("setting") && fileKey(f.Name) == key
		}) {
			return fault.New(fault.Usage, "The settings file %s has the unknown key %q.", path, key).
				WithFix("See all keys with: parley config doc")
		}
	}
	s.file = file
	return nil
}

// readSettings reads a flat YAML mapping of scalars and lists of scalars. The values come back as they were written, so
// that they mean the same as on the command line.
func readSettings(path string) (map[string]any, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.Wrap(fault.Usage, err, "The settings file can't be read: %s.", err)
	}
	var nodes map[string]yaml.Node
	if err := yaml.Unmarshal(b, &nodes); err != nil && !errors.Is(err, io.EOF) {
		return nil, fault.Wrap(fault.Usage, err, "The settings file %s is not YAML of keys and values: %s.", path, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	file := map[string]any{}
	for key, n := range nodes {
		if file[key], err = scalars(&n); err != nil {
			return nil, fault.New(fault.Usage, "The settings file %s has no usable value for %q: %s.", path, key, err)
		}
	}
	return file, nil
}

func scalars(n *yaml.Node) (any, error) {
	switch n.Kind {
	case yaml.ScalarNode:
		if n.Tag == "!!null" {
			return nil, errors.New("it is empty")
		}
		return n.Value, nil
	case yaml.SequenceNode:
		all := []any{}
		for _, item := range n.Content {
			v, err := scalars(item)
			if _, ok := v.(string); err != nil || !ok {
				return nil, errors.New("a list may hold only single values")
			}
			all = append(all, v)
		}
		return all, nil
	default:
		return nil, errors.New("a single value or a list is wanted")
	}
}
