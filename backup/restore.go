package backup

import (
	"context"
	"errors"
	"fmt"
	"io"

	"parley/broker"
	"parley/internal/fault"
	"parley/tenants"
)

// Target is where a backup is restored.
type Target struct {
	Engine   *broker.Engine
	Registry *tenants.Registry
}

// Wish says what is to be restored of a backup, and how.
type Wish struct {
	Tenant  tenants.ID // Zero means all that the backup holds.
	As      tenants.ID // what Tenant is to be called. Zero means as before.
	Replace bool       // take the places of tenants that exist
}

// Restored says what became of a backup.
type Restored struct {
	Created string          `json:"created"` // when the backup was made
	Tenants []TenantSummary `json:"tenants"` // what was restored, in the order of the backup
}

// Restore reads an archive twice: first all of it, which proves it, before anything is touched; then it makes the tenants
// one by one. Each is there whole when it is there at all. When one fails, those before it stay, and stand in what is
// returned beside the error; what was begun of it is removed. Errors are fault.InvalidFormat, AlreadyExists, NotFound when the
// backup does not hold the tenant, and Unavailable.
func Restore(ctx context.Context, to Target, wish Wish, archive io.ReadSeeker) (Restored, error) {
	contents, err := Verify(archive)
	if err != nil {
		return Restored{}, err
	}
	if err := to.admits(contents, wish); err != nil {
		return Restored{}, err
	}
	if _, err := archive.Seek(0, io.SeekStart); err != nil {
		return Restored{}, fmt.Errorf("read the archive again: %w", err)
	}
	in, err := newReader(archive)
	if err != nil {
		return Restored{}, err
	}
	done := Restored{Created: in.header.Created.UTC().Format("2006-01-02T15:04:05Z"), Tenants: []TenantSummary{}}
	p, err := in.next()
	for err == nil {
		if wish.Tenant != "" && p.tenant.ID != wish.Tenant {
			p, err = in.skip()
			continue
		}
		var one TenantSummary
		if one, p, err = to.tenant(ctx, wish, p, in); err == nil || errors.Is(err, io.EOF) {
			done.Tenants = append(done.Tenants, one)
		}
	}
	if !errors.Is(err, io.EOF) {
		return done, err
	}
	return done, nil
}

// admits refuses before anything is done what would be refused in the middle.
func (to Target) admits(contents Contents, wish Wish) error {
	if wish.As != "" && wish.Tenant == "" {
		return fault.New(fault.Usage, "Which tenant is to be called %s?", wish.As).WithFix("Name it with --tenant.")
	}
	found := wish.Tenant == ""
	for _, t := range contents.Tenants {
		id := t.Tenant
		if wish.Tenant != "" && wish.Tenant != id {
			continue
		}
		found = true
		if wish.As != "" {
			id = wish.As
		}
		if _, err := to.Registry.Get(id); err == nil && !wish.Replace {
			return fault.New(fault.AlreadyExists, "The tenant %s exists; nothing was restored.", id).
				WithFix("Restore it under another id with --as, or in the place of the one that exists with --replace.")
		}
	}
	if !found {
		return fault.New(fault.NotFound, "The backup does not hold the tenant %q.", string(wish.Tenant)).WithFix("See what it holds with: parley backup verify FILE")
	}
	return nil
}

// skip reads on to the next tenant.
func (r *reader) skip() (part, error) {
	for {
		if p, err := r.next(); err != nil || p.record != nil {
			return p, err
		}
	}
}

// tenant restores the tenant that begins with p, and returns the part behind it. The error is io.EOF at the end of the
// archive; then the tenant is restored as well.
func (to Target) tenant(ctx context.Context, wish Wish, p part, in *reader) (TenantSummary, part, error) {
	x, err := to.Registry.Restore(ctx, tenants.RestoreSpec{Record: p.record, As: wish.As, Replace: wish.Replace})
	if err != nil {
		return TenantSummary{}, part{}, err
	}
	counts, p, end := to.fill(ctx, x, in)
	if end != nil && !errors.Is(end, io.EOF) {
		return TenantSummary{}, part{}, errors.Join(end, x.Abandon(context.WithoutCancel(ctx)))
	}
	t, err := x.Finish(ctx)
	if err != nil {
		return TenantSummary{}, part{}, errors.Join(err, x.Abandon(context.WithoutCancel(ctx)))
	}
	return TenantSummary{Tenant: t.ID, Keys: len(t.Keys), APIKeys: len(t.APIKeys), Counts: counts}, p, end
}

// fill restores the streams of a tenant.
func (to Target) fill(ctx context.Context, x *tenants.Restoration, in *reader) (counts Counts, p part, err error) {
	c, leave, err := to.Engine.Visit(ctx, x.Account())
	if err != nil {
		return counts, p, err
	}
	defer leave()
	for p, err = in.next(); err == nil && p.stream != nil; {
		image := *p.stream
		counts.Streams++
		counts.Places += len(image.Places)
		var behind error // what stopped the messages, if not the next part
		failed := c.FillStream(ctx, image, func() (broker.RawMessage, error) {
			if p, behind = in.next(); behind != nil || p.message == nil {
				return broker.RawMessage{}, io.EOF
			}
			counts.message(*p.message)
			return *p.message, nil
		})
		if failed != nil {
			return counts, p, failed
		}
		err = behind
	}
	return counts, p, err
}
