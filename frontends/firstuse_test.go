package frontends

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"parley/broker"
	"parley/tenants"
)

// TestFirstUsesAfterARestart has agents, with the whole past asked for, and a service come to each of some tenants at the same
// moment, on a node that has just started and has recovered none of their streams. Everybody finds every message of before
// once and in order, and so they find what each of them says then.
func TestFirstUsesAfterARestart(t *testing.T) {
	const before = 3
	store := broker.Config{DataDir: t.TempDir(), OpenWithin: -1} // no start waits for streams
	var ids []tenants.ID
	for i := range 12 {
		ids = append(ids, tenants.ID(fmt.Sprint("tenant", i)))
	}
	creds := map[tenants.ID][]byte{}
	t.Run("before", func(t *testing.T) {
		w := newWorldOn(t, store, Config{})
		for _, id := range ids {
			if _, _, err := w.registry.Create(t.Context(), tenants.Spec{ID: id}); err != nil {
				t.Fatal(err)
			}
			var err error
			if _, creds[id], err = w.registry.IssueCreds(t.Context(), id, "", broker.CredsRequest{
				Name: "svc", Publish: []string{"channel.>"}, Subscribe: []string{"_INBOX.>"},
			}); err != nil {
				t.Fatal(err)
			}
			ann := w.agent(t, id, "ann", "&channel_id=news&echo=false")
			for n := range before {
				ann.send(fmt.Sprintf(`{"id":"%d","type":"message","content":"%s %d"}`, n, id, n))
				ann.expect(fmt.Sprint("ACK:", n))
			}
		}
	})
	w := newWorldOn(t, store, Config{})
	var all sync.WaitGroup
	defer all.Wait()
	for _, id := range ids {
		past := func(agent broker.Token) {
			p := w.agent(t, id, agent, "&channel_id=news&since=0")
			p.send(fmt.Sprintf(`{"id":"%s","type":"message","content":"%s"}`, agent, agent))
			p.hears(id, before, []string{"ann", "bob", "service"})
		}
		all.Go(func() { past("ann") })
		all.Go(func() { past("bob") })
		all.Go(func() { w.serviceSays(t, id, creds[id]) })
	}
}

// serviceSays connects with credentials, publishes and expects that it was stored. On a busy machine the two seconds may be over
// that a client has for connecting; it tries again then. It must not be refused.
func (w *world) serviceSays(t *testing.T, id tenants.ID, creds []byte) {
	nc, err := nats.Connect(w.ServicesURL(), nats.UserCredentialBytes(creds), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) {
			if errors.Is(err, nats.ErrAuthorization) {
				t.Errorf("%s: the service is refused: %v", id, err)
			}
		}))
	if err != nil {
		t.Errorf("%s: %v", id, err)
		return
	}
	defer nc.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	answer, err := nc.RequestWithContext(ctx, "channel.news", []byte("service"))
	var ack struct{ Stream string }
	if err == nil {
		err = json.Unmarshal(answer.Data, &ack)
	}
	if err != nil || ack.Stream != string(broker.Channels) {
		t.Errorf("%s: the service got %v, %v", id, answer, err)
	}
}

// hears expects the messages of before in order, then those of the others in any, each once.
func (p *peer) hears(id tenants.ID, before int, others []string) {
	var got []string
	for len(got) < before+len(others) {
		f := p.next()
		if f["type"] == "ACK" {
			continue
		}
		if f["seq"] != float64(len(got)+1) {
			p.t.Errorf("%s: %v came as number %d", id, f, len(got)+1)
		}
		got = append(got, fmt.Sprint(f["content"]))
	}
	for n := range before {
		if want := fmt.Sprintf("%s %d", id, n); got[n] != want {
			p.t.Errorf("%s: message %d is %q, want %q", id, n+1, got[n], want)
		}
	}
	if slices.Sort(got[before:]); !slices.Equal(got[before:], others) {
		p.t.Errorf("%s: %q were said, want %q", id, got[before:], others)
	}
}
