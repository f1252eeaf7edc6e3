package broker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"parley/internal/fault"
)

// of returns the index of the server with a name.
func (s *natsServers) of(name string) int {
	s.t.Helper()
	i := slices.IndexFunc(s.all, func(one *server.Server) bool { return one != nil && one.Name() == name })
	if i < 0 {
		s.t.Fatalf("no server %s runs", name)
	}
	return i
}

// stopAway stops a server and returns when a broker has noticed.
func (s *natsServers) stopAway(e *Engine, i int) {
	s.t.Helper()
	before := e.servers.size().servers
	s.stop(i)
	eventually(s.t, func(context.Context) error {
		if n := e.servers.size().servers; n != before-1 {
			return fmt.Errorf("there are %d servers", n)
		}
		return nil
	})
}

// TestExternalServersComeAndGo takes away the server that a broker is connected to, then the majority, then gives all back.
func TestExternalServersComeAndGo(t *testing.T) {
	t.Parallel()
	s, a, b := startExternal(t, 3)
	id := mustAccount(t, a)
	conns := []*Conn{mustAcquire(t, a, id), mustAcquire(t, b, id)}
	losses, stop := conns[0].Losses()
	defer stop()
	stored := 0
	publish := func(c *Conn) {
		t.Helper()
		stored++
		eventually(t, func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, attemptWithin)
			defer cancel()
			_, err := c.js.Publish(ctx, "channel.x", fmt.Append(nil, stored), jetstream.WithMsgID(fmt.Sprint(stored)))
			return err
		})
	}
	for _, c := range conns {
		if err := c.Ensure(t.Context(), Channels); err != nil {
			t.Fatal(err)
		}
		publish(c)
	}
	first := s.of(conns[0].nc.ConnectedServerName())
	s.stop(first)
	for range 10 {
		for _, c := range conns {
			publish(c)
		}
	}
	<-losses
	second := s.of(conns[0].nc.ConnectedServerName())
	s.stop(second)
	for _, e := range []*Engine{a, b} {
		eventually(t, func(context.Context) error {
			if err := e.Check(); fault.CodeOf(err) != fault.Unavailable {
				return fmt.Errorf("without a majority Check says %w", err)
			}
			return nil
		})
	}
	s.start(first)
	s.start(second)
	for _, e := range []*Engine{a, b} {
		eventually(t, func(context.Context) error { return e.Check() })
	}
	for _, c := range conns {
		publish(c)
		eventually(t, func(ctx context.Context) error {
			msgs, _, err := c.Read(ctx, ReadRequest{Stream: Channels, Subject: "channel.x", Limit: 1000})
			if err == nil && len(msgs) != stored {
				return fmt.Errorf("%d messages, want %d", len(msgs), stored)
			}
			return err
		})
	}
}

// TestExternalServerThatSyncsLater starts a server with another configuration under a running broker.
func TestExternalServerThatSyncsLater(t *testing.T) {
	t.Parallel()
	s := startNATS(t, 1, nil)
	e := mustOpen(t, s.config())
	good, err := os.ReadFile(s.configs[0])
	if err != nil {
		t.Fatal(err)
	}
	restart := func(text string) {
		t.Helper()
		s.stop(0)
		if err := os.WriteFile(s.configs[0], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s.start(0)
	}
	restart(strings.Replace(string(good), "sync_interval: always", "sync_interval: 1m", 1))
	eventually(t, func(context.Context) error {
		if err := e.Check(); !misconfigured(err) {
			return fmt.Errorf("Check says %w", err)
		}
		return nil
	})
	restart(string(good))
	eventually(t, func(context.Context) error { return e.Check() })
}

// TestExternalBarsEndWithTheConnection is for a broker that has not heard that a tenant was resumed.
func TestExternalBarsEndWithTheConnection(t *testing.T) {
	t.Parallel()
	s := startNATS(t, 1, nil)
	e := mustOpen(t, s.config())
	id := mustAccount(t, e)
	e.conns.bar(id)
	s.stop(0)
	s.start(0)
	eventually(t, func(ctx context.Context) error {
		c, err := e.Acquire(ctx, id)
		if err == nil {
			c.Release()
		}
		return err
	})
}

// TestStreamsGrowWithExternalServers makes a stream while a server is away.
func TestStreamsGrowWithExternalServers(t *testing.T) {
	t.Parallel()
	s := startNATS(t, 3, nil)
	e := mustOpen(t, s.config())
	c := mustAcquire(t, e, mustAccount(t, e))
	s.stopAway(e, 2)
	if err := c.Ensure(t.Context(), Channels); err != nil {
		t.Fatal(err)
	}
	s.start(2)
	eventually(t, func(ctx context.Context) error {
		stream, err := c.js.Stream(ctx, string(Channels))
		if err != nil {
			return err
		}
		return grown(string(Channels), stream.CachedInfo().Cluster, 3)
	})
}

// TestExternalAccountsThatNobodyKnows deletes an account while a server is down, which brings it back.
func TestExternalAccountsThatNobodyKnows(t *testing.T) {
	t.Parallel()
	s := startNATS(t, 3, nil)
	e := mustOpen(t, s.config())
	kept, gone := mustAccount(t, e), mustAccount(t, e)
	foreign := pushForeign(t, e)
	s.stopAway(e, 2)
	if err := e.EraseAccount(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	s.start(2)
	goneKey, err := e.id.accountKey(gone)
	if err != nil {
		t.Fatal(err)
	}
	all := []Account{{ID: kept, Name: "acme"}}
	eventually(t, func(ctx context.Context) error {
		later := mustOpen(t, s.config())
		if present, err := later.servers.accounts(ctx); err != nil || !present[goneKey] {
			return errors.Join(err, errors.New("the account has not come back"))
		}
		if err := later.Restore(ctx, all, false); fault.CodeOf(err) != fault.Unavailable {
			t.Fatalf("an account that nobody knows: %v", err)
		}
		return later.Restore(ctx, all, true)
	})
	last := mustOpen(t, s.config())
	present, err := last.servers.accounts(t.Context())
	if err != nil || present[goneKey] || !present[foreign] {
		t.Errorf("in the end there are %v, %v", present, err)
	}
	if err := last.Restore(t.Context(), append(all, Account{ID: gone}), true); err != nil {
		t.Fatal(err)
	}
	mustAcquire(t, last, gone)
}

// pushForeign makes an account that is the operator's, but was not made by a broker.
func pushForeign(t *testing.T, e *Engine) (key string) {
	t.Helper()
	key, err := e.id.accountKey("foreign")
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.NewAccountClaims(key).Encode(e.id.operator)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.claims(t.Context(), "$SYS.REQ.CLAIMS.UPDATE", key, token); err != nil {
		t.Fatal(err)
	}
	return key
}

func TestEmbeddedRefusesAnExternalDirectory(t *testing.T) {
	t.Parallel()
	s := startNATS(t, 1, nil)
	cfg := s.config()
	e, err := Open(t.Context(), cfg, testLog("p"))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	cfg.External = External{}
	if e, err = Open(t.Context(), cfg, testLog("p")); err == nil {
		e.Close()
		t.Fatal("Open succeeded")
	}
	if want := "--nats-url " + s.urls()[0]; !strings.Contains(fault.Fix(err), want) {
		t.Errorf("%v (fix: %s), want %s", err, fault.Fix(err), want)
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	well := vital{id: "A", name: "a", maxPayload: maxPayload, storing: true, syncs: true, clustered: true, cluster: 3, leader: "b"}
	with := func(change func(*vital)) vital {
		one := well
		change(&one)
		return one
	}
	lost := with(func(v *vital) { v.leader = "" })
	for name, tt := range map[string]struct {
		all  []vital
		want string // part of the message; "" means nil
		stop bool   // an operator has to change something
	}{
		"well":         {[]vital{well, well, well}, "", false},
		"alone":        {[]vital{with(func(v *vital) { v.clustered, v.leader = false, "" })}, "", false},
		"one is led":   {[]vital{lost, well}, "", false},
		"nobody":       {nil, "do not answer", false},
		"no leader":    {[]vital{lost, lost}, "Nobody leads", false},
		"no store":     {[]vital{with(func(v *vital) { v.storing = false })}, "a has no JetStream", true},
		"some store":   {[]vital{with(func(v *vital) { v.storing = false }), well}, "", false},
		"one is lazy":  {[]vital{well, with(func(v *vital) { v.name, v.syncs = "b", false })}, "b confirms messages before", true},
		"small frames": {[]vital{with(func(v *vital) { v.maxPayload-- })}, "takes messages of 524287 bytes", true},
	} {
		t.Run(name, func(t *testing.T) {
			err := judge(tt.all)
			if tt.want == "" && err != nil || tt.want != "" && !strings.Contains(fault.Message(err), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if misconfigured(err) != tt.stop {
				t.Errorf("misconfigured: %v", !tt.stop)
			}
		})
	}
}

func TestVitalsForgetTheSilent(t *testing.T) {
	t.Parallel()
	v := &vitals{last: map[string]vital{}, news: make(chan struct{}, 1)}
	now := time.Now()
	answer := func(id string) []byte {
		return fmt.Appendf(nil, `{"data":{"server_id":%q,"server_name":%q,"max_payload":1048576,"routes":4,
			"jetstream":{"config":{"sync_always":true},"meta":{"leader":"a","cluster_size":2}}}}`, id, id)
	}
	v.hear(answer("a"), now.Add(-time.Minute))
	v.hear([]byte(`nonsense`), now)
	v.hear([]byte(`{"error":{}}`), now)
	if v.whole() {
		t.Error("one of two is all")
	}
	before := v.links()
	v.hear(answer("b"), now)
	if !v.whole() || v.links() == before {
		t.Error("the second one was not noticed")
	}
	v.forget(now.Add(-silentFor))
	if n := v.size(); n.servers != 1 || n.storing != 1 {
		t.Errorf("%+v", n)
	}
	if err := v.judge(); err != nil {
		t.Error(err)
	}
}
