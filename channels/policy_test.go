package channels

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"parley/broker"
	"parley/internal/fault"
	"parley/tenants"
)

func TestEphemeralChannelsAreNotStored(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 3} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			nodes := startNodes(t, size)
			spaces := openAll(t, nodes)
			acme, far := spaces[0], spaces[size-1]
			live, kept := channel("acme", "live.game"), channel("acme", "kept")
			nodes[0].hub.SetPolicies("acme", tenants.Policies{{Pattern: "live.>", Ephemeral: true}})
			service, err := acme.conn.NATS().SubscribeSync("channel.live.game")
			if err != nil {
				t.Fatal(err)
			}
			a, _ := subscribe(t, far, live, SubscribeOptions{Agent: "ann"}, Since{})
			quiet, _ := subscribe(t, far, live, SubscribeOptions{Agent: "ann", Quiet: true}, Since{})
			warmUp(t, acme, live, a)
			for i := range 10 {
				sender := []broker.Token{"ann", "bob"}[i%2]
				if o := say(t, acme, live, sender, fmt.Sprint(i), "now"); !o.Unstored || o.Seq != 0 {
					t.Fatalf("%+v", o)
				}
			}
			for i, d := range awaitWarm(t, a, 10) {
				if d.ID != fmt.Sprint(i) || d.Seq != 0 || d.Channel != "live.game" || d.Content != "now" || d.Timestamp.IsZero() {
					t.Errorf("message %d: %+v", i, d)
				}
			}
			for i, d := range awaitWarm(t, quiet, 5) {
				if d.Agent != "bob" {
					t.Errorf("quiet message %d: %+v", i, d)
				}
			}
			for range 10 {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				if _, err := service.NextMsgWithContext(ctx); err != nil {
					t.Errorf("a service hears nothing: %v", err)
				}
				cancel()
			}
			// The stream has numbered only what was stored.
			if o := say(t, acme, kept, "ann", "1", "later"); o.Unstored || o.Seq != 1 {
				t.Errorf("%+v", o)
			}
			if h, err := acme.History(t.Context(), live, Since{}, 10); err != nil || len(h.Messages) != 0 {
				t.Errorf("%+v, %v", h, err)
			}
		})
	}
}

// warm is the id of what nobody counts on: it is said until the nodes know of each other's subscriptions. What is not stored
// can't be read back.
const warm = "warm"

func warmUp(t *testing.T, s *Space, to Address, until *socket) {
	t.Helper()
	for range 2000 {
		say(t, s, to, "ann", warm, "is anybody there?")
		select {
		case <-until.changed:
			return
		case <-time.After(10 * time.Millisecond): // between two attempts
		}
	}
	t.Fatal("the other node hears nothing")
}

// awaitWarm is await for what was said after warmUp.
func awaitWarm(t *testing.T, s *socket, n int) []delivered {
	t.Helper()
	for total := n; ; total++ {
		all := s.await(t, total)
		counted := slices.DeleteFunc(slices.Clone(all), func(d delivered) bool { return d.ID == warm })
		if len(counted) >= n {
			return counted
		}
		total = max(total, len(all))
	}
}

func TestWhoMayPublishChangesAtOnce(t *testing.T) {
	t.Parallel()
	n := startNode(t, t.TempDir(), Config{Policies: func(tenants.ID) tenants.Policies {
		return tenants.Policies{{Pattern: "news", Publishers: []broker.Token{"editor"}}, {Pattern: "notices", Closed: true}}
	}})
	acme, _ := n.tenant(t, "acme")
	try := func(name broker.Name, sender broker.Token) fault.Code {
		r := make(receipts, 1)
		return fault.CodeOf(acme.Publish(t.Context(), Message{To: channel("acme", name), Sender: sender, ID: "x", Time: time.Now()}, r))
	}
	for _, c := range []struct {
		channel broker.Name
		sender  broker.Token
		want    fault.Code
	}{
		{"news", "editor", ""},
		{"news", "ann", fault.PermissionDenied},
		{"news", "", ""},
		{"notices", "editor", fault.PermissionDenied},
		{"notices", "", ""},
		{"other", "ann", ""},
	} {
		if got := try(c.channel, c.sender); got != c.want {
			t.Errorf("%s by %q: %q, want %q", c.channel, c.sender, got, c.want)
		}
	}
	n.hub.SetPolicies("acme", nil)
	if got := try("news", "ann"); got != "" {
		t.Errorf("without a policy: %q", got)
	}
	n.hub.SetPolicies("nobody", nil)
}

func TestWhatPoliciesDoNotKeepIsRemoved(t *testing.T) {
	t.Parallel()
	n := startNode(t, t.TempDir(), Config{})
	acme, _ := n.tenant(t, "acme")
	for _, name := range []string{"live.a", "few.a", "few.b", "old.a", "kept"} {
		for i := range 5 {
			if _, err := acme.conn.JetStream().Publish(t.Context(), "channel."+name, fmt.Appendf(nil, "%d", i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	all := tenants.Policies{{Pattern: "few.b"}, {Pattern: "few.*", Messages: 2}, {Pattern: "live.>", Ephemeral: true}, {Pattern: "old.>", MaxAge: 60}}
	trimmer := &trimmer{sizes: map[broker.Name]*size{}}
	if err := trimmer.trim(t.Context(), acme.conn, all, time.Now()); err != nil {
		t.Fatal(err)
	}
	wantCounts(t, acme, map[broker.Name]uint64{"live.a": 0, "few.a": 2, "few.b": 5, "old.a": 5, "kept": 5})
	if err := trimmer.trim(t.Context(), acme.conn, all, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	wantCounts(t, acme, map[broker.Name]uint64{"live.a": 0, "few.a": 2, "few.b": 5, "old.a": 0, "kept": 5})
	n.hub.SetPolicies("acme", all)
	if h, err := acme.History(t.Context(), channel("acme", "few.a"), Since{}, 10); err != nil || len(h.Messages) != 2 {
		t.Errorf("%d messages, %v", len(h.Messages), err)
	}
}

func wantCounts(t *testing.T, s *Space, want map[broker.Name]uint64) {
	t.Helper()
	for name, n := range want {
		if got, err := s.Count(t.Context(), name); err != nil || got != n {
			t.Errorf("%s holds %d (%v), want %d", name, got, err, n)
		}
	}
}

func TestAPurgedChannelIsForgotten(t *testing.T) {
	t.Parallel()
	n := startNode(t, t.TempDir(), Config{})
	acme, _ := n.tenant(t, "acme")
	to, other := channel("acme", "leaky"), channel("acme", "other")
	sock, _ := subscribe(t, acme, to, SubscribeOptions{}, Since{})
	for i := range 3 {
		say(t, acme, to, "ann", fmt.Sprint(i), "a secret")
		say(t, acme, other, "ann", fmt.Sprint(i), "no secret")
	}
	sock.await(t, 3)
	if n, err := acme.Purge(t.Context(), "leaky"); err != nil || n != 3 {
		t.Fatalf("%d, %v", n, err)
	}
	last := say(t, acme, to, "ann", "after", "no secret")
	sock.await(t, 4)
	again, _ := subscribe(t, acme, to, SubscribeOptions{}, Since{Set: true})
	if got := again.await(t, 1); len(got) != 1 || got[0].Seq != last.Seq {
		t.Errorf("%+v", got)
	}
	wantCounts(t, acme, map[broker.Name]uint64{"leaky": 1, "other": 3})

	// Who comes back is told that something is missing behind what he has, and others are not.
	hole := Gap{4, last.Seq - 1}
	back, _ := subscribe(t, acme, to, SubscribeOptions{}, Since{Set: true, Seq: 3})
	if got := back.await(t, 1); len(got) != 1 || got[0].Seq != last.Seq || !slices.Equal(back.gaps, []Gap{hole}) {
		t.Errorf("%+v, gaps %v", got, back.gaps)
	}
	for _, c := range []struct {
		of   Address
		seq  uint64
		want *Gap
	}{{to, 3, &hole}, {to, last.Seq, nil}, {other, 4, nil}, {other, 6, nil}} {
		h, err := acme.History(t.Context(), c.of, Since{Set: true, Seq: c.seq}, 10)
		if err != nil || (h.Gap == nil) != (c.want == nil) || h.Gap != nil && *h.Gap != *c.want {
			t.Errorf("%s behind %d: gap %v, %v; want %v", c.of.Channel, c.seq, h.Gap, err, c.want)
		}
	}
}
