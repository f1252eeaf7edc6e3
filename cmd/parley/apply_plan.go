package main

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"parley/admin"
	"parley/internal/fault"
	"parley/tenants"
)

// What a step does.
const (
	adding   = "+"
	changing = "~"
	removing = "-"
	checking = "=" // whether something that can't be seen is as it should be
)

// step is one thing to do about a tenant.
type step struct {
	Mark   string `json:"mark"` // + - or ~
	Tenant string `json:"tenant"`
	What   string `json:"what"`

	do func(context.Context, *admin.Client) error
}

// plan is all that has to be done so that the tenants are as a file says.
type plan struct {
	file         tenantsFile
	prune        bool
	pruneTenants bool

	steps   []step
	deleted []string // tenants
}

// changes are the steps that change something.
func (p *plan) changes() []step {
	return slices.DeleteFunc(slices.Clone(append([]step{}, p.steps...)), func(s step) bool { return s.Mark == checking })
}

func (p *plan) add(mark, tenant, what string, do func(context.Context, *admin.Client) error) {
	p.steps = append(p.steps, step{mark, tenant, what, do})
}

// make compares the file with what is there.
func (p *plan) make(have []tenants.Tenant) error {
	byID := map[string]tenants.Tenant{}
	for _, t := range have {
		byID[string(t.ID)] = t
	}
	for _, want := range p.file.Tenants {
		t, there := byID[want.ID]
		delete(byID, want.ID)
		if !there {
			p.create(want)
		} else {
			p.update(want, t)
		}
		p.origins(want, t)
		p.policies(want, t)
		if err := p.keys(want, t); err != nil {
			return err
		}
		if err := p.apiKeys(want, t); err != nil {
			return err
		}
		p.state(want, t, there)
	}
	if p.pruneTenants {
		p.deleted = slices.Sorted(maps.Keys(byID))
		for _, id := range p.deleted {
			p.add(removing, id, "the tenant with all its data", func(ctx context.Context, c *admin.Client) error { return c.DeleteTenant(ctx, id) })
		}
	}
	return nil
}

func (p *plan) create(want wantedTenant) {
	spec := admin.NewTenant{ID: tenants.ID(want.ID), Limits: want.limits}
	what := "the tenant"
	if want.Name != nil && *want.Name != "" {
		spec.Name = *want.Name
		what += " (" + spec.Name + ")"
	}
	for _, info := range tenants.AllLimits() {
		if v := want.limits[info.Limit]; v != nil {
			what += ", " + string(info.Limit) + " " + info.Text(*v)
		}
	}
	p.add(adding, want.ID, what, func(ctx context.Context, c *admin.Client) error {
		_, _, err := c.CreateTenant(ctx, spec)
		return err
	})
}

// update changes the name and the limits, each in a step of its own, so that the plan can be read.
func (p *plan) update(want wantedTenant, t tenants.Tenant) {
	if want.Name != nil && *want.Name != t.Name {
		p.change(want.ID, change("name", t.Name, *want.Name), admin.TenantChange{Name: want.Name})
	}
	for _, info := range tenants.AllLimits() {
		is, set := t.Limits[info.Limit]
		to, listed := want.limits[info.Limit]
		if !listed && !(p.prune && set) || to != nil && set && *to == is || to == nil && !set {
			continue
		}
		from, next := "default", "default"
		if set {
			from = info.Text(is)
		}
		if to != nil {
			next = info.Text(*to)
		}
		p.change(want.ID, change("limit "+string(info.Limit), from, next), admin.TenantChange{Limits: tenants.LimitChanges{info.Limit: to}})
	}
}

func (p *plan) origins(want wantedTenant, t tenants.Tenant) {
	if want.Origins != nil && !slices.Equal(*want.Origins, t.Origins) {
		p.change(want.ID, change("origins", strings.Join(t.Origins, " "), strings.Join(*want.Origins, " ")), admin.TenantChange{Origins: want.Origins})
	}
}

// policies sets the channel policies that differ, and removes those that are too many when that is asked for.
func (p *plan) policies(want wantedTenant, t tenants.Tenant) {
	listed := map[string]bool{}
	for _, w := range want.policies {
		listed[w.Pattern] = true
		mark := adding
		if i := slices.IndexFunc(t.Policies, func(is tenants.Policy) bool { return is.Pattern == w.Pattern }); i >= 0 {
			if t.Policies[i].Equal(w) {
				continue
			}
			mark = changing
		}
		what := "channels " + w.Pattern + ": keep " + keeps(&w) + ", published by " + publishers(&w)
		p.add(mark, want.ID, what, func(ctx context.Context, c *admin.Client) error {
			_, err := c.SetPolicy(ctx, want.ID, w)
			return err
		})
	}
	if !p.prune || want.Channels == nil {
		return
	}
	for _, is := range t.Policies {
		if !listed[is.Pattern] {
			p.add(removing, want.ID, "policy of channels "+is.Pattern, func(ctx context.Context, c *admin.Client) error {
				return c.RemovePolicy(ctx, want.ID, is.Pattern)
			})
		}
	}
}

func (p *plan) change(id, what string, c admin.TenantChange) {
	p.add(changing, id, what, func(ctx context.Context, client *admin.Client) error {
		_, err := client.UpdateTenant(ctx, id, c)
		return err
	})
}

func (p *plan) state(want wantedTenant, t tenants.Tenant, there bool) {
	is := tenants.Active
	if there && t.Suspended() {
		is = tenants.Suspended
	}
	switch to := tenants.State(want.State); {
	case to == "" || to == is:
	case to == tenants.Suspended:
		p.add(changing, want.ID, change("state", string(is), string(to)), func(ctx context.Context, c *admin.Client) error {
			_, err := c.SuspendTenant(ctx, want.ID)
			return err
		})
	default:
		p.add(changing, want.ID, change("state", string(is), string(to)), func(ctx context.Context, c *admin.Client) error {
			_, err := c.ResumeTenant(ctx, want.ID)
			return err
		})
	}
}

// keys adds the keys that are missing, and revokes those that are too many when that is asked for.
func (p *plan) keys(want wantedTenant, t tenants.Tenant) error {
	listed := map[string]bool{}
	for _, k := range want.Keys {
		listed[k.Kid] = true
		spec, err := p.file.key(k)
		if err != nil {
			return err
		}
		is, there := t.Key(k.Kid)
		mark, what := adding, "key "+k.Kid+" "+string(spec.Alg)
		if there {
			if !is.Live(time.Now()) || is.Alg != spec.Alg || is.Issuer != spec.Issuer || is.Audience != spec.Audience || is.JWKSURL != spec.JWKSURL {
				return fault.New(fault.AlreadyExists, "The tenant %s has, or had, another key %s (line %d).", want.ID, k.Kid, want.line).
					WithFix("A key never changes: give the new one another kid.")
			}
			if spec.Secret == nil && spec.PublicKey == "" {
				continue
			}
			mark = checking // only the server can compare what it is made of
		}
		p.add(mark, want.ID, what, func(ctx context.Context, c *admin.Client) error {
			_, _, err := c.AddKey(ctx, want.ID, spec)
			return err
		})
	}
	if !p.prune || want.Keys == nil {
		return nil
	}
	for _, k := range t.Keys {
		if !listed[k.Kid] && k.Live(time.Now()) {
			p.add(removing, want.ID, "key "+k.Kid, func(ctx context.Context, c *admin.Client) error {
				_, err := c.RevokeKey(ctx, want.ID, k.Kid)
				return err
			})
		}
	}
	return nil
}

// key reads what a key is made of.
func (f tenantsFile) key(k wantedKey) (spec admin.NewKey, err error) {
	spec = admin.NewKey{Kid: k.Kid, Alg: tenants.Alg(cmp.Or(k.Alg, string(tenants.HS256))), JWKSURL: k.JWKSURL, Issuer: k.Issuer, Audience: k.Audience}
	if k.Secret.given() {
		if spec.Secret, err = f.read(k.Secret); err != nil {
			return spec, err
		}
	}
	if k.PublicKey.given() {
		public, err := f.read(k.PublicKey)
		if err != nil {
			return spec, err
		}
		spec.PublicKey = string(public)
	}
	return spec, nil
}
