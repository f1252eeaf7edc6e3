package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"parley/admin"
	"parley/internal/fault"
	"parley/tenants"
)

// path is where a file is that the YAML file names.
func (f tenantsFile) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(f.dir, name)
}

// read reads what a source names. A final line break does not count.
func (f tenantsFile) read(s source) ([]byte, error) {
	text := []byte(f.getenv(s.Env))
	if s.File != "" {
		var err error
		if text, err = os.ReadFile(f.path(s.File)); err != nil {
			return nil, fault.Wrap(fault.Usage, err, "A key's file can't be read: %s.", err)
		}
	}
	if text = bytes.TrimRight(text, "\r\n"); len(text) == 0 || len(text) > maxFileBytes {
		return nil, fault.New(fault.Usage, "A key's %s%s is empty, or longer than %d bytes.", s.File, s.Env, maxFileBytes)
	}
	return text, nil
}

// apiKeys makes the API keys that are missing, and revokes those that are too many when that is asked for.
func (p *plan) apiKeys(want wantedTenant, t tenants.Tenant) error {
	now := time.Now()
	live := map[string]bool{}
	for _, k := range t.APIKeys {
		if k.Live(now) {
			live[k.Name] = true
		}
	}
	listed := map[string]bool{}
	for _, k := range want.APIKeys {
		listed[k.Name] = true
		if live[k.Name] {
			continue
		}
		path := p.file.path(k.SaveTo)
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return fault.New(fault.AlreadyExists, "The file %s is there, but the tenant %s has no live API key %s (line %d).", path, want.ID, k.Name, want.line).
				WithFix("Remove the file, which holds a dead key, or name another one.")
		}
		p.add(adding, want.ID, "API key "+k.Name+", saved to "+k.SaveTo, func(ctx context.Context, c *admin.Client) error {
			return makeAPIKey(ctx, c, want.ID, k, path)
		})
	}
	if !p.prune || want.APIKeys == nil {
		return nil
	}
	for _, k := range t.APIKeys {
		if !listed[k.Name] && k.Live(now) {
			p.add(removing, want.ID, "API key "+k.ID+" "+k.Name, func(ctx context.Context, c *admin.Client) error {
				_, err := c.RevokeAPIKey(ctx, want.ID, k.ID)
				return err
			})
		}
	}
	return nil
}

// makeAPIKey makes an API key and saves its text, which can't be had a second time: the file is there before the key is.
func makeAPIKey(ctx context.Context, c *admin.Client, tenant string, k wantedAPIKey, path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fault.Wrap(fault.Usage, err, "The API key can't be saved: %s.", err)
	}
	spec := admin.NewAPIKey{Name: k.Name}
	for _, s := range k.Scopes {
		spec.Scopes = append(spec.Scopes, tenants.Scope(s))
	}
	made, err := c.CreateAPIKey(ctx, tenant, spec)
	if err != nil {
		return errors.Join(err, f.Close(), os.Remove(path))
	}
	_, err = f.WriteString(made.Key + "\n")
	return errors.Join(err, f.Close())
}
