package test

import (
	"net/http"
	"testing"
	"time"

	"parley/test/rig"
)

// TestTokenEnds: a connection lives as long as its token, and goes on under a newer one.
func TestTokenEnds(t *testing.T) {
	t.Parallel()
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	renewed := acme.dial(acme.token("bob", "--ttl", "2s"), "general")
	if got := renewed.Ask(rig.Frame{"type": "auth", "token": acme.token("bob")}); got.Type() != "ACK" || got.Text("expires") == "" {
		t.Fatalf("auth: %s", got)
	}
	mistaken := renewed.Ask(rig.Frame{"type": "auth", "token": acme.token("mallory")})
	if mistaken.Text("code") != "AUTH_FAILED" || mistaken.Text("error") != "The token is for somebody else." {
		t.Errorf("auth as somebody else: %s", mistaken)
	}
	token := acme.token("alice", "--ttl", "2s")
	alice := acme.dial(token, "general")
	if code, reason := alice.Ended(); code != 4001 || reason == "" {
		t.Errorf("closed with %d %q, want 4001", code, reason)
	}
	// A client that comes back with the same token must not be let in and thrown out again.
	if s, res := rig.TryDial(t, acme.Addr(), "/v1/ws?"+rig.Query("token", token), nil); s != nil {
		t.Error("the expired token opens another connection")
	} else if p := res.Problem(t); res.Status != http.StatusUnauthorized || p.Code != "TOKEN_EXPIRED" {
		t.Errorf("the expired token: status %d, %+v", res.Status, p)
	}
	renewed.Publish("still here")
}

// TestKeyRevoked: what a revoked key has signed is worth nothing from then on, on open connections too.
func TestKeyRevoked(t *testing.T) {
	t.Parallel()
	server := parley.Start(t, rig.Options{})
	acme, evil := newTenant(t, server, "acme"), newTenant(t, server, "evil")
	for _, n := range []tenant{acme, evil} { // both call it the same
		n.MustCLI("key", "add", "--tenant", n.id, "--kid", "second")
	}
	old, other := acme.token("alice", "--kid", "second"), evil.token("alice", "--kid", "second")
	alice, bystander := acme.dial(old, "general"), evil.dial(other, "general")
	alice.Settle()
	acme.MustCLI("key", "revoke", "--tenant", "acme", "second")
	if code, reason := alice.Ended(); code != 4501 || reason == "" {
		t.Errorf("closed with %d %q, want 4501", code, reason)
	}
	if s, res := rig.TryDial(t, server.Addr(), "/v1/ws?"+rig.Query("token", old), nil); s != nil || res.Status != http.StatusUnauthorized {
		t.Errorf("connect: status %d, want 401", res.Status)
	}
	acme.agent("alice", "general").Publish("under another key")
	bystander.Publish("unharmed")
}

// TestPermissionsOfAToken: allow and deny, for publishing and receiving, by every way.
func TestPermissionsOfAToken(t *testing.T) {
	t.Parallel()
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	token := acme.token("alice", "--allow-pub", "channel.>,agent.bob", "--deny-pub", "channel.news", "--deny-sub", "channel.secret")
	alice := acme.dial(token, "general")
	refused := func(frame rig.Frame) {
		t.Helper()
		if got := alice.Ask(frame); got.Text("code") != "PERMISSION_DENIED" {
			t.Errorf("%s: %s", frame, got)
		}
	}
	refused(rig.Frame{"type": "message", "content": 1, "channel_id": "news"})
	refused(rig.Frame{"type": "message", "content": 1, "target": "carol"})
	refused(rig.Frame{"type": "subscribe", "channel_id": "secret"})
	refused(rig.Frame{"type": "history", "channel_id": "secret"})
	alice.PublishFrame(rig.Frame{"type": "message", "content": 1, "target": "bob"})
	alice.PublishFrame(rig.Frame{"type": "message", "content": 1, "channel_id": "secret"}) // to write is not to read
	if got := alice.Ask(rig.Frame{"type": "subscribe", "channel_id": "news"}); got.Type() != "ACK" {
		t.Errorf("subscribe: %s", got)
	}
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/v1/channels/news/messages", `{"type":"message","content":1}`},
		{"GET", "/v1/channels/secret/messages", ""},
		{"GET", "/v1/ws?channel_id=secret", ""},
	} {
		res := rig.Do(t, c.method, acme.URL()+c.path, token, c.body)
		if p := res.Problem(t); res.Status != http.StatusForbidden || p.Code != "PERMISSION_DENIED" {
			t.Errorf("%s %s: status %d, %+v", c.method, c.path, res.Status, p)
		}
	}
}

// TestOtherOrigins: pages of any origin may use the interface, since no cookie authenticates anything.
func TestOtherOrigins(t *testing.T) {
	t.Parallel()
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	origin := http.Header{"Origin": {"https://app.example"}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {"authorization,content-type"}}
	res := rig.DoWith(t, "OPTIONS", acme.URL()+"/v1/channels/general/messages", origin, "")
	if res.Status != http.StatusNoContent || res.Header.Get("Access-Control-Allow-Origin") != "*" || res.Header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("preflight: %d %v", res.Status, res.Header)
	}
	res = rig.DoWith(t, "GET", acme.URL()+"/v1/agents", http.Header{"Origin": {"https://app.example"}}, "")
	if res.Status != http.StatusUnauthorized || res.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("a refusal that a page can't read: %d %v", res.Status, res.Header)
	}
}

// TestSilentClient: one that neither speaks nor answers pings is dropped, one that answers stays.
func TestSilentClient(t *testing.T) {
	t.Parallel()
	acme := newTenant(t, parley.Start(t, rig.Options{Args: []string{"--ping-interval", "100ms", "--idle-timeout", "2s"}}), "acme")
	watcher := acme.service("watch").Listen("status.agent.>")
	alive := acme.agent("alive", "general")
	rig.DialStuck(t, acme.Addr(), "/v1/ws?"+rig.Query("token", acme.token("silent")))
	awaitStatus(t, watcher, "silent", "offline")
	alive.Settle()
}

// TestDeafPublisher: one that sends as fast as it can and reads nothing is cut off, and holds nobody up meanwhile.
func TestDeafPublisher(t *testing.T) {
	t.Parallel()
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	deaf := rig.DialStuck(t, acme.Addr(), "/v1/ws?"+rig.Query("token", acme.token("deaf"), "channel_id", "noise"))
	alice := acme.agent("alice", "general")
	cut := make(chan struct{})
	go func() { // ends with the connection
		defer close(cut)
		for deaf.TrySend(rig.Frame{"type": "message", "content": long(20_000)}) == nil {
		}
	}()
	for deadline := time.After(rig.Patience); ; {
		select {
		case <-cut:
			return
		case <-deadline:
			t.Fatal("the publisher that reads nothing was not cut off")
		default:
			alice.Publish("in between")
		}
	}
}
