package channels

import (
	"context"
	"maps"
	"strings"
	"sync/atomic"
	"time"

	"parley/broker"
	"parley/tenants"
)

const (
	// trimEvery is how often what policies do not keep is removed from the store, of tenants that are open.
	trimEvery = 10 * time.Second
	// trimClosedEvery is the same for tenants of which nobody is connected to this node. Their services may publish.
	trimClosedEvery = 10 * time.Minute
	// trimClosedFirst is when that happens for the first time.
	trimClosedFirst = time.Minute
	// trimPause is between two tenants that are not open: there may be thousands.
	trimPause = 10 * time.Millisecond
)

// trimmer removes from a tenant's store what its policies do not keep.
type trimmer struct {
	account broker.AccountID
	busy    atomic.Bool
	sizes   map[broker.Name]*size // of the channels whose bytes are bounded; belongs to whoever has set busy
}

// trimmerOf returns the trimmer of a tenant. h.mu is held.
func (h *Hub) trimmerOf(tenant tenants.ID, account broker.AccountID) *trimmer {
	t := h.trimmers[tenant]
	if t == nil || t.account != account {
		t = &trimmer{account: account, sizes: map[broker.Name]*size{}}
		h.trimmers[tenant] = t
	}
	return t
}

// trimAll removes what policies do not keep. Run calls it.
func (h *Hub) trimAll(now time.Time) {
	if now.Sub(h.trimmed) >= trimEvery {
		h.trimmed = now
		h.trimOpen(now)
	}
	if now.Sub(h.trimmedClosed) >= trimClosedEvery {
		h.trimmedClosed = now
		if all := h.closedTenants(); len(all) > 0 {
			h.task(func() { h.trimClosed(all, now) })
		}
	}
}

// trimOpen looks after the tenants that are open.
func (h *Hub) trimOpen(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.spaces {
		select {
		case <-s.ready:
		default:
			continue
		}
		all := s.policies.Load()
		if s.err != nil || all == nil || len(*all) == 0 {
			continue
		}
		t := h.trimmerOf(s.tenant, s.account)
		h.task(func() {
			if err := t.trim(s.life, s.conn, *all, now); err != nil && s.life.Err() == nil {
				h.log.Warn("removing what channel policies do not keep failed; will try again", "tenant", s.tenant, "err", err)
			}
		})
	}
}

// closed is a tenant that is not open.
type closed struct {
	tenant   tenants.ID
	policies tenants.Policies
	trimmer  *trimmer
}

// closedTenants returns the tenants that have policies and are not open, on the one node that looks after them, and forgets
// the trimmers of tenants that are gone.
func (h *Hub) closedTenants() (all []closed) {
	if h.cfg.Tenants == nil || h.engine.Warden() != h.engine.Node() {
		return nil
	}
	known, trimmers := h.cfg.Tenants(), map[tenants.ID]*trimmer{}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range known {
		if len(t.Policies) == 0 || t.Gone() {
			continue
		}
		one := h.trimmerOf(t.ID, t.Account)
		trimmers[t.ID] = one
		if h.spaces[t.ID] == nil {
			all = append(all, closed{t.ID, t.Policies, one})
		}
	}
	h.trimmers = trimmers
	return all
}

// trimClosed looks after tenants that are not open, one after the other.
func (h *Hub) trimClosed(all []closed, now time.Time) {
	for _, c := range all {
		conn, leave, err := h.engine.Visit(h.life, c.trimmer.account)
		if err == nil {
			err = c.trimmer.trim(h.life, conn, c.policies, now)
			leave()
		}
		if err != nil && h.life.Err() == nil {
			h.log.Warn("removing what channel policies do not keep failed; will try again", "tenant", c.tenant, "err", err)
		}
		select {
		case <-h.life.Done():
			return
		case <-time.After(trimPause):
		}
	}
}

// trim removes what policies do not keep. Services publish without knowing of policies, so that messages are in the stream
// that should not be; and what an agent has published ends by itself only by its age. It does nothing while it is at work
// already.
func (t *trimmer) trim(ctx context.Context, conn *broker.Conn, all tenants.Policies, now time.Time) error {
	if !t.busy.CompareAndSwap(false, true) {
		return nil
	}
	defer t.busy.Store(false)
	there := map[broker.Name]bool{}
	for i := range all {
		p := &all[i]
		if !p.Ephemeral && p.MaxAge == 0 && p.Messages == 0 && p.Bytes == 0 {
			continue
		}
		counts, err := conn.Subjects(ctx, broker.Channels, string(broker.ChannelSubject(broker.Name(p.Pattern))))
		if err != nil {
			return err
		}
		below := uint64(0)
		for subject, n := range counts {
			name, ok := broker.Subject(strings.Clone(subject)).Channel()
			if !ok || all.For(name) != p {
				continue // another policy holds for it
			}
			there[name] = true
			if below == 0 && p.MaxAge > 0 {
				if below, err = begin(ctx, conn, now.Add(-time.Duration(p.MaxAge)*time.Second)); err != nil {
					return err
				}
			}
			if err := t.trimChannel(ctx, conn, name, p, n, below); err != nil {
				return err
			}
		}
	}
	maps.DeleteFunc(t.sizes, func(name broker.Name, _ *size) bool { return !there[name] })
	return nil
}

// begin returns the sequence at which what is younger than a time begins.
func begin(ctx context.Context, conn *broker.Conn, at time.Time) (uint64, error) {
	msgs, _, err := conn.Read(ctx, broker.ReadRequest{
		Stream: broker.Channels, Subject: broker.ChannelSubject(">"), FromTime: at, Limit: 1, MaxBytes: 1,
	})
	if err == nil && len(msgs) > 0 {
		return msgs[0].Seq, nil
	}
	if err != nil {
		return 0, err
	}
	_, last, err := conn.Bounds(ctx, broker.Channels)
	return last + 1, err
}

// trimChannel removes what a policy does not keep of the n messages of a channel.
func (t *trimmer) trimChannel(ctx context.Context, conn *broker.Conn, name broker.Name, p *tenants.Policy, n, below uint64) error {
	subject := broker.ChannelSubject(name)
	if p.Ephemeral {
		return conn.Purge(ctx, broker.Channels, subject, 0, 0)
	}
	if p.Messages > 0 && n > uint64(p.Messages) {
		if err := conn.Purge(ctx, broker.Channels, subject, 0, uint64(p.Messages)); err != nil {
			return err
		}
	}
	if p.MaxAge > 0 && below > 1 {
		if err := conn.Purge(ctx, broker.Channels, subject, below, 0); err != nil {
			return err
		}
	}
	if p.Bytes == 0 {
		delete(t.sizes, name)
		return nil
	}
	s := t.sizes[name]
	if s == nil {
		s = &size{}
		t.sizes[name] = s
	}
	return s.bound(ctx, conn, subject, p.Bytes)
}
