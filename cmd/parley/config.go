package main

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
)

type configCmd struct {
	Check configCheckCmd `cmd:"" help:"Print the settings that serve would run with, as YAML."`
	Doc   configDocCmd   `cmd:"" help:"Print all settings with what they mean, as a YAML file to start from."`
}

type configCheckCmd struct {
	settings
}

// Run prints what holds after all sources were read. There are no secrets among the settings.
func (cmd *configCheckCmd) Run(c *console, command *kong.Context) (err error) {
	if cmd.settings, err = cmd.effective(); err != nil {
		return err
	}
	if _, _, err := cmd.ice(c.getenv); err != nil {
		return err
	}
	return c.printSettings(command.Selected().Flags, func(f *kong.Flag) (any, string) { return f.Target.Interface(), "" })
}

type configDocCmd struct {
	settings
}

// Run prints the defaults, whatever is set.
func (cmd *configDocCmd) Run(c *console, command *kong.Context) error {
	return c.printSettings(command.Selected().Flags, func(f *kong.Flag) (any, string) {
		help := f.Help + "\n$" + envName(f.Name) + ", --" + f.Name
		if f.Name == "listen" {
			return []string{":8080"}, help
		}
		switch f.Target.Kind() {
		case reflect.Bool:
			return false, help
		case reflect.Slice:
			return []string{}, help
		default:
			return f.Default, help
		}
	})
}

// printSettings prints settings in their order as YAML, each with the value and the comment that of returns.
func (c *console) printSettings(flags []*kong.Flag, of func(*kong.Flag) (value any, comment string)) error {
	doc := &yaml.Node{Kind: yaml.MappingNode}
	for _, f := range flags {
		if !f.Tag.Has("setting") || f.Name == "config" {
			continue
		}
		value, comment := of(f)
		key := &yaml.Node{Kind: yaml.ScalarNode, Value: fileKey(f.Name), HeadComment: comment}
		doc.Content = append(doc.Content, key, yamlOf(value))
	}
	b, err := yaml.Marshal(doc)
	if err != nil {
		return err
	}
	_, err = c.stdout.Write(b)
	return err
}

func yamlOf(value any) *yaml.Node {
	switch v := value.(type) {
	case []string:
		list := &yaml.Node{Kind: yaml.SequenceNode}
		for _, s := range v {
			list.Content = append(list.Content, yamlOf(s))
		}
		return list
	case time.Duration:
		return yamlOf(short(v))
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: strconv.FormatBool(v)}
	case int, uint64, float64:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: fmt.Sprint(v)}
	case string:
		if v == "" { // bare, it would be null
			return &yaml.Node{Kind: yaml.ScalarNode, Style: yaml.DoubleQuotedStyle}
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Value: v}
	default:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: reflect.ValueOf(v).String()}
	}
}

// short writes a duration without parts that are nothing: 168h, not 168h0m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
