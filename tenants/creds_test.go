package tenants

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"parley/broker"
	"parley/internal/fault"
)

// mustCreds issues credentials that may publish and listen everywhere a service may.
func mustCreds(t *testing.T, r *Registry, name string) (Creds, []byte) {
	t.Helper()
	issued, text, err := r.IssueCreds(t.Context(), "acme", "service", broker.CredsRequest{
		Name: name, Publish: []string{"channel.>"}, Subscribe: []string{"channel.>"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return issued, text
}

func connect(e *broker.Engine, creds []byte, opts ...nats.Option) (*nats.Conn, error) {
	return nats.Connect(e.ServicesURL(), append(opts, nats.UserCredentialBytes(creds), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))...)
}

// service is connected with credentials until it is cut off.
type service struct {
	*nats.Conn
	heard *nats.Subscription
	cut   chan struct{}
}

func mustConnect(t *testing.T, e *broker.Engine, creds []byte) *service {
	t.Helper()
	s := &service{cut: make(chan struct{})}
	var err error
	s.Conn, err = connect(e, creds, nats.NoReconnect(), nats.ClosedHandler(func(*nats.Conn) { close(s.cut) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if s.heard, err = s.SubscribeSync("channel.>"); err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *service) awaitCut(t *testing.T, what string) {
	t.Helper()
	select {
	case <-s.cut:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s is still connected", what)
	}
}

func TestRevokedCredsAreCutOff(t *testing.T) {
	dir := t.TempDir()
	var revoked, fresh []byte
	t.Run("before the restart", func(t *testing.T) {
		e := mustEngine(t, dir, "127.0.0.1:0")
		r := mustRegistry(t, e)
		mustCreate(t, r, "acme")
		first, text := mustCreds(t, r, "backend")
		other, otherText := mustCreds(t, r, "other")
		var connected []*service
		for range 20 {
			connected = append(connected, mustConnect(t, e, text))
		}
		bystander := mustConnect(t, e, otherText)

		all, err := r.RevokeCreds(t.Context(), "acme", CredsSelector{Name: "backend"})
		if err != nil || len(all) != 1 || all[0].UserKey != first.UserKey || all[0].Revoked.IsZero() {
			t.Fatalf("%+v, %v", all, err)
		}
		// What is said from now on reaches nobody who was cut off.
		if err := bystander.Publish("channel.general", []byte("afterwards")); err != nil {
			t.Fatal(err)
		}
		if _, err := bystander.heard.NextMsg(20 * time.Second); err != nil {
			t.Errorf("the bystander: %v", err)
		}
		for i, s := range connected {
			s.awaitCut(t, fmt.Sprintf("service %d", i))
			if m, err := s.heard.NextMsg(time.Millisecond); err == nil {
				t.Errorf("service %d was still told %s", i, m.Data)
			}
		}
		if nc, err := connect(e, text); err == nil {
			nc.Close()
			t.Error("revoked credentials open another connection")
		}

		// Credentials of the same name that are issued in the same second are good.
		var again Creds
		again, fresh = mustCreds(t, r, "backend")
		mustConnect(t, e, fresh)
		if again.UserKey == first.UserKey {
			t.Error("two credentials with one user key")
		}
		acme, err := r.Get("acme")
		if err != nil || acme.State != Active || len(acme.Creds) != 3 || acme.Creds[1].UserKey != other.UserKey || !acme.Creds[1].Live(time.Now()) {
			t.Errorf("%+v, %v", acme, err)
		}
		revoked = text
	})
	e := mustEngine(t, dir, "127.0.0.1:0")
	r := mustRegistry(t, e)
	if nc, err := connect(e, revoked); err == nil {
		nc.Close()
		t.Error("after the restart revoked credentials are good again")
	}
	mustConnect(t, e, fresh)

	// Suspended and resumed, they are still revoked.
	if _, err := r.Suspend(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	key := mustAcme(t, r).Creds[1].UserKey
	if _, err := r.RevokeCreds(t.Context(), "acme", CredsSelector{UserKey: key}); err != nil {
		t.Fatal(err)
	}
	if acme := mustAcme(t, r); acme.State != Suspended {
		t.Errorf("the tenant is %s", acme.State)
	}
	if _, err := r.Resume(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	if nc, err := connect(e, revoked); err == nil {
		nc.Close()
		t.Error("a resumed tenant's revoked credentials are good again")
	}
	mustConnect(t, e, fresh)
}

func mustAcme(t *testing.T, r *Registry) Tenant {
	t.Helper()
	tenant, err := r.Get("acme")
	if err != nil {
		t.Fatal(err)
	}
	return tenant
}

// What a crash leaves between the record and the account is finished by the next start.
func TestInterruptedRevocationOfCredsIsFinished(t *testing.T) {
	dir := t.TempDir()
	var text []byte
	t.Run("before the crash", func(t *testing.T) {
		f := &failing{engine: mustEngine(t, dir, "127.0.0.1:0")}
		r := mustRegistry(t, f)
		mustCreate(t, r, "acme")
		_, text = mustCreds(t, r, "backend")
		f.before = true
		if _, err := r.RevokeCreds(t.Context(), "acme", CredsSelector{Name: "backend"}); err == nil {
			t.Fatal("revoked although the engine did not answer")
		}
		if acme, err := r.read(t.Context(), "acme"); err != nil || acme.State != Updating {
			t.Fatalf("stored as %s, %v", acme.State, err)
		}
	})
	e := mustEngine(t, dir, "127.0.0.1:0")
	r := mustRegistry(t, e)
	if acme := mustAcme(t, r); acme.State != Active {
		t.Errorf("the tenant is %s", acme.State)
	}
	if nc, err := connect(e, text); err == nil {
		nc.Close()
		t.Error("the credentials are good")
	}
}

func TestCredsAreRefused(t *testing.T) {
	r := mustRegistry(t, mustEngine(t, t.TempDir(), broker.ListenOff))
	mustCreate(t, r, "acme")
	mustCreate(t, r, "evil")
	issued, _ := mustCreds(t, r, "backend")
	ctx := t.Context()
	_, _, err := r.IssueCreds(ctx, "nobody", "", broker.CredsRequest{Name: "x"})
	wantCode(t, "of nobody", err, fault.NotFound)
	_, _, err = r.IssueCreds(ctx, "acme", "", broker.CredsRequest{Name: "a.b"})
	wantCode(t, "a bad name", err, fault.InvalidID)
	for name, which := range map[string]CredsSelector{"none": {}, "both": {Name: "backend", UserKey: issued.UserKey}} {
		_, err := r.RevokeCreds(ctx, "acme", which)
		wantCode(t, name, err, fault.InvalidFormat)
	}
	_, err = r.RevokeCreds(ctx, "acme", CredsSelector{Name: "other"})
	wantCode(t, "an unknown name", err, fault.NotFound)
	_, err = r.RevokeCreds(ctx, "evil", CredsSelector{UserKey: issued.UserKey})
	wantCode(t, "somebody else's", err, fault.NotFound)

	full := Tenant{ID: "acme"}
	now := time.Now()
	for i := range maxCreds {
		if err := full.addCreds(Creds{UserKey: fmt.Sprint(i), Revoked: now}, now); err != nil {
			t.Fatal(err)
		}
	}
	wantCode(t, "too many", full.addCreds(Creds{}, now), fault.LimitExceeded)
	full.Creds[7].Expires = now
	if err := full.addCreds(Creds{UserKey: "new"}, now); err != nil || full.Creds[7].UserKey != "8" || len(full.Creds) != maxCreds {
		t.Errorf("expired ones do not give way: %v", err)
	}
	_, _, err = r.IssueCreds(ctx, "acme", "", broker.CredsRequest{Name: "x", Subscribe: strings.Split(strings.Repeat("channel.a,", 50_000)+"channel.b", ",")})
	wantCode(t, "a record that is too large", err, fault.LimitExceeded)
}

// TestWhoIsServed looks at which credentials an account's streams make live copies for.
func TestWhoIsServed(t *testing.T) {
	worker := Creds{Queue: "ai", Publish: []string{"tool.weather"}}
	shop := Creds{Publish: []string{"status.>", "channel.shop.>"}}
	listener := Creds{Subscribe: []string{"live.agent.>"}}
	revoked := shop
	revoked.Revoked = time.Now()
	for _, tt := range []struct {
		creds []Creds
		want  bool
	}{{nil, false}, {[]Creds{worker, revoked}, false}, {[]Creds{revoked, worker, listener}, true}, {[]Creds{shop}, true}} {
		if got := (Tenant{Creds: tt.creds}).account().Served; got != tt.want {
			t.Errorf("served %t with %+v", got, tt.creds)
		}
	}
}
