package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"parley/broker"
	"parley/internal/fault"
	"parley/tenants"
)

// Source is where a backup is made of.
type Source struct {
	Engine   *broker.Engine
	Registry *tenants.Registry
	Version  string // of parley
}

// Order says what a backup is to hold.
type Order struct {
	Tenant         tenants.ID // Zero means all.
	WithoutSecrets bool       // leave out what tokens and API keys are made of
}

// Write writes an archive to out: of each tenant everything that was acknowledged before Write began, and perhaps some of
// what comes meanwhile. The tenants go on serving. On an error the archive is not complete, and says so. fault.NotFound
// comes before anything was written.
func Write(ctx context.Context, from Source, order Order, out io.Writer) error {
	var all []tenants.ID
	if order.Tenant != "" {
		if _, err := from.Registry.Get(order.Tenant); err != nil {
			return err
		}
		all = append(all, order.Tenant)
	} else {
		for _, t := range from.Registry.List() {
			all = append(all, t.ID)
		}
	}
	w, err := newWriter(out, Header{
		Format: formatName, Version: formatVersion, Created: time.Now().UTC().Truncate(time.Second), Parley: from.Version, Secrets: !order.WithoutSecrets,
	})
	if err != nil {
		return err
	}
	for _, id := range all {
		err := from.tenant(ctx, w, id, !order.WithoutSecrets)
		if fault.CodeOf(err) == fault.NotFound && order.Tenant == "" {
			continue // deleted since
		}
		if err != nil {
			return errors.Join(fmt.Errorf("back up tenant %s: %w", id, err), w.fail(fmt.Sprintf("tenant %s: %s", id, fault.Message(err))))
		}
	}
	return w.close()
}

// tenant writes one tenant. fault.NotFound comes before anything was written.
func (from Source) tenant(ctx context.Context, w *writer, id tenants.ID, secrets bool) error {
	t, err := from.Registry.Get(id)
	if err != nil {
		return err
	}
	record, err := from.Registry.Export(id, secrets)
	if err != nil {
		return err
	}
	c, leave, err := from.Engine.Visit(ctx, t.Account)
	if err != nil {
		return err
	}
	defer leave()
	names, err := c.StreamNames(ctx)
	if err != nil {
		return err
	}
	if err := w.begin(id, record); err != nil {
		return err
	}
	slices.SortStableFunc(names, func(a, b string) int { return turn(a) - turn(b) })
	for _, name := range names {
		if !validStream(name) {
			return fault.New(fault.InvalidFormat, "The stream %q has a name that no backup can hold.", name)
		}
		if err := c.CopyStream(ctx, name, w); err != nil {
			return err
		}
		if err := w.flush(); err != nil {
			return err
		}
	}
	return nil
}

// turn orders the streams of a tenant. The state says how far inboxes were delivered: it comes before the messages, or it
// could be ahead of them, and what a restored inbox is sent first would never be delivered. What is known of sessions comes
// behind their logs: a session without a log is a new one, a log without a session is nobody's.
func turn(stream string) int {
	switch stream {
	case broker.BucketStream(broker.StateBucket):
		return 0
	case broker.BucketStream(broker.SessionsBucket):
		return 2
	}
	return 1
}
