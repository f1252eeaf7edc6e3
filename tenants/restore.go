package tenants

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"parley/broker"
	"parley/internal/fault"
)

// Export returns a tenant's record for a backup, as JSON that Restore takes. Without secrets it holds only the keys that
// verify and can't sign: public ones and those of identity providers. fault.NotFound says that there is no such tenant.
func (r *Registry) Export(id ID, secrets bool) ([]byte, error) {
	t, err := r.Get(id)
	if err != nil {
		return nil, err
	}
	t = t.clone()
	t.spare = spare{}
	if !secrets {
		t.Keys = slices.DeleteFunc(t.Keys, func(k Key) bool { return k.material != nil })
		t.APIKeys = nil
	}
	return encodeRecord(t)
}

// Restoration is a tenant that is being filled from a backup. Nobody knows of it before Finish. Whoever has it calls Finish
// or Abandon; if the node dies before, what was begun is removed.
type Restoration struct {
	registry *Registry
	wanted   Tenant
}

// RestoreSpec says what Restore is to begin.
type RestoreSpec struct {
	Record  []byte // what Export has returned
	As      ID     // another id than the tenant had; its API keys name the old one and are left out. Zero means the same.
	Replace bool   // take the place of a tenant that exists; it serves until Finish, and what it had is erased then
}

// Restore begins to restore a tenant, with an account of its own that is empty. Errors are fault.InvalidFormat for what is
// no tenant's record, InvalidID, and AlreadyExists.
func (r *Registry) Restore(ctx context.Context, spec RestoreSpec) (*Restoration, error) {
	t, err := ParseExport(spec.Record)
	if err != nil {
		return nil, err
	}
	if spec.As != "" && spec.As != t.ID {
		if _, err := ParseID(string(spec.As)); err != nil {
			return nil, err
		}
		t.ID, t.APIKeys = spec.As, nil
	}
	if !slices.ContainsFunc(t.Keys, func(k Key) bool { return k.CanSign }) && len(t.Keys) < maxKeys {
		key, err := NewKey(KeySpec{}, r.cfg.Now())
		if err != nil {
			return nil, err
		}
		t.Keys = append(t.Keys, key)
	}
	t.Account, t.Creds, t.Kicks = broker.NewAccountID(), nil, nil // what services have is of the account that was
	t.spare = spare{Account: t.Account, Node: r.engine.Node()}
	x := &Restoration{registry: r, wanted: t}
	if err := x.claim(ctx, spec.Replace); err != nil {
		return nil, err
	}
	if err := r.engine.PutAccount(ctx, broker.Account{ID: t.Account, Name: string(t.ID)}); err != nil {
		return nil, errors.Join(fmt.Errorf("make the account of tenant %s: %w", t.ID, err), x.Abandon(ctx))
	}
	return x, nil
}

// ParseExport reads a record that Export has written, and checks it. Its Revision is that of where it comes from. Errors
// are fault.InvalidFormat.
func ParseExport(record []byte) (Tenant, error) {
	t, err := parseRecord(record)
	if err == nil {
		err = t.check()
	}
	if err != nil {
		return Tenant{}, fault.Wrap(fault.InvalidFormat, err, "This is not the record of a tenant: %s.", strings.TrimSuffix(err.Error(), "."))
	}
	t.spare, t.past = spare{}, 0
	return t, nil
}

// check refuses what no registry would have stored.
func (t Tenant) check() error {
	if _, err := ParseID(string(t.ID)); err != nil {
		return err
	}
	if len(t.Name) > maxNameBytes || len(t.Keys) > maxKeys || len(t.APIKeys) > maxAPIKeys {
		return errors.New("its name is too long, or it has too many keys")
	}
	kids := map[string]bool{}
	for _, k := range t.Keys {
		if !validKid(k.Kid) || kids[k.Kid] {
			return fmt.Errorf("the key id %.70q is not valid, or not the only one", k.Kid)
		}
		kids[k.Kid] = true
		if !k.Revoked.IsZero() {
			continue
		}
		if _, err := ParseAlg(string(k.Alg)); err != nil {
			return err
		}
		if _, err := k.verifyKey(); err != nil {
			return fmt.Errorf("the key %s can't be used: %w", k.Kid, err)
		}
		if k.JWKSURL != "" {
			if _, err := checkJWKSURL(k.JWKSURL); err != nil {
				return err
			}
		}
	}
	return nil
}

// claim writes down that the tenant is being restored.
func (x *Restoration) claim(ctx context.Context, replace bool) error {
	r, t := x.registry, x.wanted
	for {
		begun := Tenant{ID: t.ID, Name: t.Name, Account: t.Account, State: Restoring, Created: t.Created, spare: t.spare}
		b, err := encodeRecord(begun)
		if err != nil {
			return err
		}
		if _, err = r.bucket.Create(ctx, string(t.ID), b); err == nil {
			return r.sync()
		}
		if !errors.Is(err, jetstream.ErrKeyExists) {
			return stored(err)
		}
		current, err := r.existing(ctx, t.ID)
		if fault.CodeOf(err) == fault.NotFound {
			continue // deleted since
		}
		if err != nil {
			return err
		}
		if !replace {
			return fault.New(fault.AlreadyExists, "The tenant %s exists.", t.ID).
				WithFix("Restore it under another id with --as, or in the place of the one that exists with --replace.")
		}
		if current.spare.Account != "" {
			return fault.New(fault.Unavailable, "The tenant %s is just being restored.", t.ID)
		}
		current.spare = t.spare
		if _, err = r.write(ctx, current); err == nil {
			return r.sync()
		}
		if !errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
			return err
		}
	}
}

// Account is where what the backup holds belongs.
func (x *Restoration) Account() broker.AccountID { return x.wanted.Account }

// ID is what the tenant will be called.
func (x *Restoration) ID() ID { return x.wanted.ID }

// Finish makes the tenant what the backup says. When it returns nil, all that is stored in its account is on disk, and what
// a tenant had whose place it took is erased. On an error, Abandon has to be called.
func (x *Restoration) Finish(ctx context.Context) (Tenant, error) {
	r := x.registry
	for {
		current, err := x.current(ctx)
		if err != nil {
			return Tenant{}, err
		}
		next := x.wanted
		next.Revision, next.State, next.spare = current.Revision, Updating, spare{} // its limits have not counted so far
		next.aged = true
		if x.wanted.Suspended() {
			next.State = Suspending
		}
		if current.State != Restoring {
			next.spare.Account = current.Account
		}
		next, err = r.write(ctx, next)
		if errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
			continue
		}
		if err != nil {
			return Tenant{}, err
		}
		done, err := r.finishAndSee(ctx, next)
		if err == nil && current.State != Restoring {
			err = r.erasePast(ctx, done.ID)
		}
		return done, err
	}
}

// current is the record in which the restoration stands, or fault.Unavailable when it does not any more.
func (x *Restoration) current(ctx context.Context) (Tenant, error) {
	current, err := x.registry.read(ctx, x.wanted.ID)
	if err == nil && current.spare.Account != x.wanted.Account || fault.CodeOf(err) == fault.NotFound {
		err = fault.New(fault.Unavailable, "The tenant %s was deleted while it was restored.", x.wanted.ID)
	}
	return current, err
}

// Abandon removes what was restored so far, unless Finish has made it the tenant's. If that fails, the registry goes on
// trying.
func (x *Restoration) Abandon(ctx context.Context) error {
	r := x.registry
	for {
		current, err := r.read(ctx, x.wanted.ID)
		switch {
		case fault.CodeOf(err) == fault.NotFound: // somebody has removed it, perhaps while this node brought it back
			return r.erase(ctx, x.wanted)
		case err != nil:
			return err
		case current.Account == x.wanted.Account && current.State != Restoring:
			return nil
		case current.spare.Account != x.wanted.Account:
			return r.erase(ctx, x.wanted)
		}
		if current.State == Restoring {
			current.State = Deleting
		}
		current.spare.Node = ""
		current, err = r.write(ctx, current)
		if errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
			continue
		}
		if err != nil {
			return err
		}
		_, err = r.finishAndSee(ctx, current)
		return err
	}
}
