package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"parley/broker"
	"parley/internal/fault"
	"parley/internal/origin"
	"parley/tenants"
)

// tenantsFile is what apply reads.
type tenantsFile struct {
	Tenants []wantedTenant `yaml:"tenants"`

	dir    string // that its file names are relative to
	getenv func(string) string
}

// wantedTenant is what a tenant is to be. What is zero stays as it is.
type wantedTenant struct {
	ID      string            `yaml:"id"`
	Name    *string           `yaml:"name"`
	State   string            `yaml:"state"`
	Limits  map[string]string `yaml:"limits"`
	Origins *[]string         `yaml:"origins"`
	Keys    []wantedKey       `yaml:"keys"`
	APIKeys []wantedAPIKey    `yaml:"api_keys"`

	Channels []wantedPolicy `yaml:"channels"`

	limits   tenants.LimitChanges
	policies tenants.Policies
	line     int
}

type wantedKey struct {
	Kid       string `yaml:"kid"`
	Alg       string `yaml:"alg"` // Defaults to HS256.
	Secret    source `yaml:"secret"`
	PublicKey source `yaml:"public_key"`
	JWKSURL   string `yaml:"jwks_url"`
	Issuer    string `yaml:"issuer"`
	Audience  string `yaml:"audience"`
}

type wantedPolicy struct {
	Pattern     string         `yaml:"pattern"`
	Ephemeral   bool           `yaml:"ephemeral"`
	MaxAge      time.Duration  `yaml:"max_age"`
	MaxMessages int64          `yaml:"max_messages"`
	MaxBytes    string         `yaml:"max_bytes"`
	Publishers  []broker.Token `yaml:"publishers"`
	Closed      bool           `yaml:"closed"`
}

type wantedAPIKey struct {
	Name   string   `yaml:"name"`
	Scopes []string `yaml:"scopes"`
	SaveTo string   `yaml:"save_to"` // the file that gets a new key's text
}

// source says where something secret is.
type source struct {
	File string `yaml:"file"`
	Env  string `yaml:"env"`
}

func (s source) given() bool { return s.File != "" || s.Env != "" }

// maxTenantsBytes bounds a file: 5,000 tenants with all that they can have are less.
const maxTenantsBytes = 64 << 20

// readTenants reads and checks the file that apply is given. Errors name the line.
func (c *console) readTenants(path string) (tenantsFile, error) {
	in, dir := c.stdin, "."
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return tenantsFile{}, fault.Wrap(fault.Usage, err, "The file can't be read: %s.", err)
		}
		defer f.Close()
		in, dir = f, filepath.Dir(path)
	}
	text, err := io.ReadAll(io.LimitReader(in, maxTenantsBytes+1))
	if err != nil || len(text) > maxTenantsBytes {
		return tenantsFile{}, fault.New(fault.Usage, "The file %s can't be read, or is longer than %d bytes.", path, maxTenantsBytes)
	}
	file, err := parseTenants(text)
	file.dir, file.getenv = dir, c.getenv
	if err != nil {
		return file, fault.New(fault.Usage, "%s: %s", path, err).WithFix("See: parley apply --help")
	}
	return file, nil
}

func parseTenants(text []byte) (file tenantsFile, err error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return file, errors.New(plainYAML(err))
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return file, errors.New("there is a second document in it")
	}
	var doc struct {
		Tenants []yaml.Node `yaml:"tenants"`
	}
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return file, errors.New(plainYAML(err))
	}
	seen := map[string]int{}
	for i := range file.Tenants {
		t := &file.Tenants[i]
		t.line = doc.Tenants[i].Line
		if err := t.check(); err != nil {
			return file, fmt.Errorf("line %d: %s", t.line, fault.Message(err))
		}
		if other, twice := seen[t.ID]; twice {
			return file, fmt.Errorf("line %d: the tenant %s is in line %d already", t.line, t.ID, other)
		}
		seen[t.ID] = t.line
	}
	return file, nil
}

var unknownField = regexp.MustCompile(`field (\S+) not found in type [^\s;]+`)

// plainYAML is what the YAML library says, without its words for Go types.
func plainYAML(err error) string {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	text = strings.TrimPrefix(text, "unmarshal errors:\n  ")
	text = strings.Join(strings.Fields(strings.ReplaceAll(text, "\n", "; ")), " ")
	return unknownField.ReplaceAllString(text, "there is no key \"$1\"") + "."
}

// check refuses what can be seen to be wrong without a server, and reads the limits.
func (t *wantedTenant) check() (err error) {
	if _, err := tenants.ParseID(t.ID); err != nil {
		return err
	}
	switch tenants.State(t.State) {
	case "", tenants.Active, tenants.Suspended:
	default:
		return fault.New(fault.Usage, "The state is active or suspended, not %q.", t.State)
	}
	settings := []string{}
	for name, value := range t.Limits {
		settings = append(settings, name+"="+value)
	}
	if t.limits, err = tenants.ParseLimits(settings); err != nil {
		return err
	}
	if t.Origins != nil {
		for i, o := range *t.Origins {
			if (*t.Origins)[i], err = origin.Parse(o); err != nil {
				return err
			}
		}
		slices.Sort(*t.Origins)
	}
	return errors.Join(t.checkPolicies(), t.checkKeys(), t.checkAPIKeys())
}

func (t *wantedTenant) checkPolicies() error {
	seen := map[string]bool{}
	for _, w := range t.Channels {
		p := tenants.Policy{
			Pattern: w.Pattern, Ephemeral: w.Ephemeral, MaxAge: int64(w.MaxAge / time.Second), Messages: w.MaxMessages,
			Publishers: w.Publishers, Closed: w.Closed,
		}
		var err error
		if p.Bytes, err = tenants.ParseBytes(w.MaxBytes); err != nil {
			return err
		}
		if err := p.Check(); err != nil {
			return err
		}
		if seen[p.Pattern] {
			return fault.New(fault.Usage, "The pattern %s is there twice.", p.Pattern)
		}
		seen[p.Pattern] = true
		t.policies = append(t.policies, p)
	}
	return nil
}

func (t *wantedTenant) checkKeys() error {
	seen := map[string]bool{}
	for _, k := range t.Keys {
		switch {
		case k.Kid == "" || seen[k.Kid]:
			return fault.New(fault.Usage, "Every key needs a kid of its own; %q is none.", k.Kid)
		case k.Secret.given() && k.PublicKey.given() || k.JWKSURL != "" && (k.Secret.given() || k.PublicKey.given()):
			return fault.New(fault.Usage, "The key %s is a secret, a public key or a JWKS URL: only one of them.", k.Kid)
		case k.Secret.File != "" && k.Secret.Env != "" || k.PublicKey.File != "" && k.PublicKey.Env != "":
			return fault.New(fault.Usage, "The key %s is in a file or in a variable: only one of them.", k.Kid)
		}
		seen[k.Kid] = true
	}
	return nil
}

func (t *wantedTenant) checkAPIKeys() error {
	seen := map[string]bool{}
	for _, k := range t.APIKeys {
		if k.Name == "" || seen[k.Name] {
			return fault.New(fault.Usage, "Every API key needs a name of its own; %q is none.", k.Name)
		}
		if k.SaveTo == "" {
			return fault.New(fault.Usage, "The API key %s has no save_to: a new key's text is shown once, so a file has to take it.", k.Name)
		}
		for _, s := range k.Scopes {
			if _, err := tenants.ParseScope(s); err != nil {
				return err
			}
		}
		seen[k.Name] = true
	}
	return nil
}
