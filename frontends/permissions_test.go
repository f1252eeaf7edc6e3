package frontends

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"parley/frontends/ws"
	"parley/internal/fault"
	"parley/tenants"
)

// dialectDoor is how one dialect is entered with a token, and what its frames for renewing one look like.
type dialectDoor struct {
	name     string
	path     string // with %s for the token
	kind     string // where a frame says what it is
	renewed  string // the kind of the answer to auth; "" when there is none
	expiring string // the kind of the warning
	refused  string // the kind of an error
}

// doors are all dialects that a user's token opens; chat is one of tenantchat that exists.
func doors(chat string) []dialectDoor {
	return []dialectDoor{
		{"agents", "/v1/ws?channel_id=news&token=%s", "type", "ACK", "EXPIRING", "ERROR"},
		{"chat", "/?token=%s", "type", "auth-confirmation", "token-expiring", "error"},
		{"assistant", "/websocket/ws?access_token=%s", "type", "auth-confirmation", "token-expiring", "conversation_with_aileen"},
		{"bots", "/ws?token=%s", "type", "auth_confirmed", "token_expiring", "error"},
		{"tenantchat", "/ws/chat?user_id=ann&chat_id=" + chat + "&api_key=%s", "event_type", "auth_confirmed", "token_expiring", "error"},
	}
}

// newDoors returns all doors to acme, for its user ann.
func (w *world) newDoors(t *testing.T) []dialectDoor {
	t.Helper()
	_, key := w.apiKey(t, "acme", tenants.APIKeySpec{})
	return doors(w.newChat(t, key, "ann"))
}

// comeIn opens a connection and waits until it is served.
func (w *world) comeIn(t *testing.T, d dialectDoor, token, query string) *peer {
	t.Helper()
	p := w.dial(t, fmt.Sprintf(d.path, token)+query, nil)
	p.settle(d)
	return p
}

// settle reads until a ping has been answered.
func (p *peer) settle(d dialectDoor) {
	p.t.Helper()
	p.send(`{"type":"ping","id":"settled"}`)
	for {
		switch f := p.next(); f[d.kind] {
		case "pong", "ACK":
			return
		}
	}
}

// await reads until a frame of a kind comes.
func (p *peer) await(d dialectDoor, kind string) frame {
	p.t.Helper()
	for {
		if f := p.next(); f[d.kind] == kind {
			return f
		}
	}
}

func (w *world) ann(t *testing.T, ttl time.Duration) (token, jti string) {
	t.Helper()
	token = w.token(t, tenants.TokenSpec{Tenant: "acme", User: "ann", TTL: ttl})
	g, err := w.registry.Verify(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	return token, g.JTI
}

// TestRevokedTokensEndConnections: in every dialect, by jti and by user, those of the token and no others.
func TestRevokedTokensEndConnections(t *testing.T) {
	w := newWorld(t)
	all := w.newDoors(t)
	for name, revoke := range map[string]func(jti string) tenants.RevocationSpec{
		"jti":  func(jti string) tenants.RevocationSpec { return tenants.RevocationSpec{JTI: jti} },
		"user": func(string) tenants.RevocationSpec { return tenants.RevocationSpec{Subject: "ann"} },
	} {
		bob := w.agent(t, "acme", "bob", "")
		token, jti := w.ann(t, 0)
		var open []*peer
		for _, d := range all {
			open = append(open, w.comeIn(t, d, token, ""))
		}
		if _, err := w.registry.RevokeTokens(t.Context(), "acme", revoke(jti)); err != nil {
			t.Fatal(err)
		}
		for i, d := range all {
			if _, c := open[i].rest(); c.Code != 4501 || c.Reason == "" {
				t.Errorf("%s, %s: closed with %d %q", name, d.name, c.Code, c.Reason)
			}
			again, _ := w.ann(t, 0)
			w.comeIn(t, d, again, "").conn.CloseNow()
		}
		bob.send(`{"type":"ping","id":"x"}`)
		bob.expect("ACK:x")
		if _, body := w.tryDial(t, "/v1/ws?token="+token); body == "" {
			t.Errorf("%s: a revoked token opens a connection", name)
		}
	}
}

// TestKickedConnectionsEnd: in every dialect, with an API key too; and the client may come back unless its tokens are
// revoked as well.
func TestKickedConnectionsEnd(t *testing.T) {
	w := newWorld(t)
	all := w.newDoors(t)
	_, key := w.apiKey(t, "acme", tenants.APIKeySpec{})
	token, _ := w.ann(t, 0)
	var open []*peer
	for _, d := range all {
		open = append(open, w.comeIn(t, d, token, ""))
	}
	byKey := w.comeIn(t, all[4], key, "")
	stranger := w.agent(t, "evil", "ann", "")
	if _, err := w.registry.Kick(t.Context(), "acme", "ann", false); err != nil {
		t.Fatal(err)
	}
	for i, p := range append(open, byKey) {
		if _, c := p.rest(); c.Code != 4509 || c.Reason == "" {
			t.Errorf("connection %d: closed with %d %q", i, c.Code, c.Reason)
		}
	}
	stranger.send(`{"type":"ping","id":"x"}`)
	stranger.expect("ACK:x")
	back := w.comeIn(t, all[0], token, "")
	if _, err := w.registry.Kick(t.Context(), "acme", "bob", false); err != nil { // it is not kicked again for it
		t.Fatal(err)
	}
	back.settle(all[0])
	if _, err := w.registry.Kick(t.Context(), "acme", "ann", true); err != nil {
		t.Fatal(err)
	}
	if _, c := back.rest(); c.Code != 4509 {
		t.Errorf("kicked and revoked: closed with %d", c.Code)
	}
	if status, _ := w.tryDial(t, "/v1/ws?token="+token); status != 401 {
		t.Errorf("a client that was kicked for good comes back: %d", status)
	}
}

// TestTokensAreRenewed: a connection of any dialect goes on under a newer token of the same user, and under no other.
func TestTokensAreRenewed(t *testing.T) {
	w := newWorld(t)
	all := w.newDoors(t)
	_, key := w.apiKey(t, "acme", tenants.APIKeySpec{})
	first, jti := w.ann(t, 0)
	for _, d := range all {
		p := w.comeIn(t, d, first, "&features=expiry")
		for name, credential := range map[string]string{
			"somebody else":        w.token(t, tenants.TokenSpec{Tenant: "acme", User: "bob"}),
			"another tenant":       w.token(t, tenants.TokenSpec{Tenant: "evil", User: "ann"}),
			"a login token":        w.token(t, tenants.TokenSpec{Tenant: "acme", User: "ann", Login: true}),
			"an API key":           key,
			"nonsense":             "x.y.z",
			"nothing":              "",
			"her name in capitals": w.token(t, tenants.TokenSpec{Tenant: "acme", User: "Ann"}),
		} {
			p.send(fmt.Sprintf(`{"type":"auth","token":%q}`, credential))
			if f := p.await(d, d.refused); f["code"] == "RATE_LIMITED" || f["error_code"] == "RATE_LIMITED" {
				t.Errorf("%s, %s: %v", d.name, name, f)
			}
		}
		second, _ := w.ann(t, 2*time.Hour)
		p.send(fmt.Sprintf(`{"type":"auth","token":%q}`, second))
		f := p.await(d, d.renewed)
		if at, err := time.Parse(time.RFC3339, fmt.Sprint(f["expires"])); err != nil || time.Until(at) < time.Hour {
			t.Errorf("%s: %v", d.name, f)
		}
		defer p.conn.CloseNow()
		defer p.settle(d) // when the first token is revoked
	}
	if _, err := w.registry.RevokeTokens(t.Context(), "acme", tenants.RevocationSpec{JTI: jti}); err != nil {
		t.Fatal(err)
	}
}

// TestAPIKeysAreRenewed: the socket of a back end goes on under another key of its tenant, and not under a user's token.
func TestAPIKeysAreRenewed(t *testing.T) {
	w := newWorld(t)
	id, key := w.apiKey(t, "acme", tenants.APIKeySpec{})
	_, next := w.apiKey(t, "acme", tenants.APIKeySpec{Scopes: []tenants.Scope{tenants.ReadChats}})
	_, blind := w.apiKey(t, "acme", tenants.APIKeySpec{Scopes: []tenants.Scope{tenants.WriteChats}})
	_, foreign := w.apiKey(t, "evil", tenants.APIKeySpec{})
	d := doors(w.newChat(t, key, "ann"))[4]
	p := w.comeIn(t, d, key, "")
	token, _ := w.ann(t, 0)
	for name, credential := range map[string]string{"a token": token, "another tenant's": foreign, "one without the scope": blind, "a part of it": key[:len(key)-1]} {
		p.send(fmt.Sprintf(`{"type":"auth","token":%q}`, credential))
		if f := p.await(d, "error"); f["error_code"] != "AUTH_ERROR" {
			t.Errorf("%s: %v", name, f)
		}
	}
	p.send(fmt.Sprintf(`{"type":"auth","token":%q}`, next))
	p.await(d, "auth_confirmed")
	if _, err := w.registry.RevokeAPIKey(t.Context(), "acme", id); err != nil {
		t.Fatal(err)
	}
	p.send(`{"content":"may it still speak?"}`)
	if f := p.await(d, "error"); f["error_code"] != "AUTH_ERROR" {
		t.Errorf("the scopes are not those of the new key: %v", f)
	}
	p.settle(d)
}

// TestExpiryIsAnnounced: a client that has asked for it is told before its token ends, and can renew it then; another one
// gets no frame that its document does not have.
func TestExpiryIsAnnounced(t *testing.T) {
	w := newWorldWith(t, Config{Sockets: ws.Config{SweepEvery: 20 * time.Millisecond}})
	for _, d := range w.newDoors(t) {
		short, _ := w.ann(t, 3*time.Second)
		told, silent := w.comeIn(t, d, short, "&features=other,expiry"), w.comeIn(t, d, short, "")
		f := told.await(d, d.expiring)
		if at, err := time.Parse(time.RFC3339, fmt.Sprint(f["expires"])); err != nil || time.Until(at) > 3*time.Second {
			t.Errorf("%s: %v", d.name, f)
		}
		long, _ := w.ann(t, 0)
		told.send(fmt.Sprintf(`{"type":"auth","token":%q}`, long))
		told.await(d, d.renewed)
		frames, end := silent.rest()
		if end.Code != 4001 || end.Reason == "" {
			t.Errorf("%s: closed with %d %q", d.name, end.Code, end.Reason)
		}
		for _, f := range frames {
			if f[d.kind] == d.expiring {
				t.Errorf("%s: a client that has not asked got %v", d.name, f)
			}
		}
		told.settle(d)
	}
}

// rest reads to the end of the connection.
func (p *peer) rest() (all []frame, end websocket.CloseError) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 20*time.Second)
	defer cancel()
	for {
		_, b, err := p.conn.Read(ctx)
		if err != nil {
			if !errors.As(err, &end) {
				p.t.Fatalf("ended without a close frame: %v", err)
			}
			return all, end
		}
		var f frame
		if err := json.Unmarshal(b, &f); err != nil {
			p.t.Fatalf("%s: %v", b, err)
		}
		all = append(all, f)
	}
}

// TestFewerChannels: a renewed token that allows less ends subscriptions at once.
func TestFewerChannels(t *testing.T) {
	w := newWorld(t)
	ann := w.agent(t, "acme", "ann", "&channel_id=news")
	for _, c := range []string{"team", "logs"} {
		ann.send(`{"id":"` + c + `","type":"subscribe","channel_id":"` + c + `"}`)
		ann.expect("ACK:" + c)
	}
	less := w.token(t, tenants.TokenSpec{Tenant: "acme", Agent: "ann", Channels: []string{"team"}})
	ann.send(`{"id":"a","type":"auth","token":"` + less + `"}`)
	ann.expect("ACK:a")
	bob := w.agent(t, "acme", "bob", "")
	for _, c := range []string{"news", "logs", "team"} { // the last is a mark: whatever was to come before it has come
		bob.send(`{"id":"` + c + `","type":"message","content":1,"channel_id":"` + c + `"}`)
		bob.expect("ACK:" + c)
	}
	if f := ann.next(); f["channel_id"] != "team" {
		t.Errorf("after the token allows team only: %v", f)
	}
	for _, frame := range []string{
		`{"id":"x","type":"subscribe","channel_id":"news"}`, `{"id":"x","type":"message","content":1}`, `{"id":"x","type":"history","channel_id":"logs"}`,
	} {
		ann.send(frame)
		if f := ann.next(); f["code"] != string(fault.PermissionDenied) {
			t.Errorf("%s: %v", frame, f)
		}
	}
}

// TestNothingIsDeliveredAfterRevocation: many connections of one token, in the middle of a busy channel.
func TestNothingIsDeliveredAfterRevocation(t *testing.T) {
	const sockets = 200 // BenchmarkRevoke has 1,000
	w := newWorld(t)
	token, _ := w.ann(t, 0)
	var open []*peer
	for range sockets {
		open = append(open, w.dial(t, "/v1/ws?channel_id=news&token="+token, nil))
	}
	bob := w.agent(t, "acme", "bob", "&channel_id=news")
	ctx, stop := context.WithCancel(t.Context())
	var talking sync.WaitGroup
	talking.Go(func() { bob.talk(ctx) }) // before, during and after
	open[0].next()                       // it has begun
	if _, err := w.registry.RevokeTokens(t.Context(), "acme", tenants.RevocationSpec{Subject: "ann"}); err != nil {
		t.Fatal(err)
	}
	carol := w.agent(t, "acme", "carol", "")
	carol.send(`{"id":"after","type":"message","content":1,"channel_id":"news"}`)
	after, _ := carol.expect("ACK:after")["ACK:after"]["seq"].(float64)
	delivered, late := 0, 0
	for _, p := range open {
		frames, end := p.rest()
		if end.Code != 4501 {
			t.Errorf("closed with %d %q", end.Code, end.Reason)
		}
		for _, f := range frames {
			if seq, ok := f["seq"].(float64); ok && seq >= after {
				late++
			}
			delivered++
		}
	}
	stop()
	talking.Wait()
	if late > 0 || after == 0 || delivered == 0 {
		t.Errorf("%d of %d messages were published after the revocation (from %v on)", late, delivered, after)
	}
}

// talk publishes, one message after the other, until ctx ends. It reads what comes, so that it is not cut off as slow.
func (p *peer) talk(ctx context.Context) {
	for ctx.Err() == nil {
		if err := p.conn.Write(ctx, websocket.MessageText, []byte(`{"type":"message","content":1}`)); err != nil {
			return
		}
		for range 2 { // the message and its ACK
			if _, _, err := p.conn.Read(ctx); err != nil {
				return
			}
		}
	}
}
