package test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"parley/test/rig"
)

// canary stands in everything that acme says. No byte that evil receives, by whatever way, may hold it.
const canary = "canary-7f3a"

// TestTenantsNeverMeet runs two tenants whose channels, agents, services and message ids have the same names. acme
// speaks, everywhere it can; evil listens, everywhere it can and everywhere it should not be able to.
func TestTenantsNeverMeet(t *testing.T) {
	t.Parallel()
	server := parley.Start(t, rig.Options{})
	acme, evil := newTenant(t, server, "acme"), newTenant(t, server, "evil")
	w := listenEverywhere(t, evil)

	// acme speaks.
	alice, bob := acme.agent("alice", "general"), acme.agent("bob", "general")
	alice.PublishFrame(rig.Frame{"id": "same", "type": "message", "content": canary + " channel"})
	alice.PublishFrame(rig.Frame{"type": "message", "target": "bob", "content": canary + " direct"})
	alice.PublishFrame(rig.Frame{"type": "message", "target": "offline", "content": canary + " inbox"})
	alice.Ask(rig.Frame{"type": "status", "status": "busy"})
	backend := acme.service("backend")
	heard := backend.Listen("channel.>")
	backend.Say("channel.general", canary+" service")
	backend.Say("agent.bob", canary+" service")
	heard.Next()
	for range 4 {
		if got := bob.Message(); !strings.Contains(got.String(), canary) {
			t.Fatalf("acme itself received %s", got)
		}
	}
	acme.MustCLI("channel", "publish", "--tenant", "acme", "general", canary+" CLI")
	if got := bob.Message(); !strings.Contains(got.String(), canary+" CLI") {
		t.Fatalf("acme itself received %s", got)
	}

	w.check(t, acme)
	// The message that acme sent as "same" must not make evil's a duplicate.
	if _, ack := w.alice.PublishFrame(rig.Frame{"id": "same", "type": "message", "content": "evil's own"}); ack["duplicate"] != nil {
		t.Errorf("an id that acme used is taken: %s", ack)
	}
	w.alice.Message()
	if got := contents(history(t, acme, "general")); len(got) != 3 {
		t.Errorf("acme's history is %v", got)
	}
}

// wiretap is everything of evil's that listens.
type wiretap struct {
	evil          tenant
	alice, inbox  *rig.Socket
	service       *rig.Service
	subscriptions []*rig.Inbox
}

func listenEverywhere(t *testing.T, evil tenant) *wiretap {
	w := &wiretap{
		evil: evil, alice: evil.agent("alice", "general"), inbox: evil.agent("bob", ""),
		service: evil.service("backend"),
	}
	for _, subject := range []string{
		">", "*", "*.>", "channel.>", "channel.general", "agent.>", "agent.bob", "status.>", "live.>", "live.channel.>", "session.>",
		"_INBOX.>", "_GW.>", "$JS.>", "$JS.API.>", "$KV.>", "$SYS.>", "$SYS.ACCOUNT.>", "$G.>", "acme.>", "acme.channel.>",
	} {
		sub, err := w.service.SubscribeSync(subject)
		if err != nil {
			t.Fatalf("subscribe to %s: %v", subject, err)
		}
		w.subscriptions = append(w.subscriptions, &rig.Inbox{Subscription: sub})
	}
	w.service.Sync()
	return w
}

// check looks at everything that evil has received, and then asks for more.
func (w *wiretap) check(t *testing.T, acme tenant) {
	t.Helper()
	// Positive control: what evil itself says does arrive, and nothing before it did.
	w.service.Say("channel.general", "evil's voice")
	w.service.Say("agent.bob", "evil's voice")
	if got := w.alice.Message(); got["content"] != "evil's voice" {
		t.Errorf("evil's channel received %s", got)
	}
	if got := w.inbox.Message(); got["content"] != "evil's voice" {
		t.Errorf("evil's inbox received %s", got)
	}
	w.alice.Settle()
	w.inbox.Settle()
	w.service.Sync()
	w.checkSubscriptions(t)
	w.checkExtensions(t)
	w.checkREST(t, acme)
	w.checkServerAPIs(t)
	w.checkCLI(t)
}

func (w *wiretap) checkSubscriptions(t *testing.T) {
	t.Helper()
	heard := 0
	for _, sub := range w.subscriptions {
		for {
			m, err := sub.NextMsg(time.Nanosecond)
			if err != nil {
				break
			}
			if bytes.Contains(m.Data, []byte("evil's voice")) {
				heard++
			}
			if bytes.Contains(m.Data, []byte(canary)) || strings.Contains(m.Subject, "acme") {
				t.Errorf("evil's subscription to %s received %s: %s", sub.Subject, m.Subject, m.Data)
			}
		}
	}
	if heard == 0 {
		t.Error("evil's subscriptions heard not even evil: the test proves nothing")
	}
}

func (w *wiretap) checkExtensions(t *testing.T) {
	t.Helper()
	for _, ask := range []rig.Frame{
		{"type": "history", "channel_id": "general", "since": 0},
		{"type": "subscribe", "channel_id": "general", "since": 0},
		{"type": "presence", "channel_id": "general"},
	} {
		w.refuse(t, ask.String(), []byte(w.inbox.Ask(ask).String()))
	}
	w.inbox.Settle()
	for _, f := range append(w.inbox.Pending(), w.alice.Pending()...) {
		w.refuse(t, "a socket", []byte(f.String()))
	}
}

// refuse fails the test if evil was told anything of acme's.
func (w *wiretap) refuse(t *testing.T, where string, got []byte) {
	t.Helper()
	if bytes.Contains(got, []byte(canary)) || bytes.Contains(got, []byte(`busy`)) {
		t.Errorf("%s: evil received %s", where, got)
	}
}

func (w *wiretap) checkREST(t *testing.T, acme tenant) {
	t.Helper()
	token := w.evil.token("alice")
	for _, path := range []string{"/v1/channels/general/messages", "/v1/agents", "/v1/agents/alice"} {
		w.refuse(t, path, w.evil.get(path, token).Body)
	}
	for _, path := range []string{
		"/v1/ws/tenant/acme/agent/alice/channel/general?token=" + token,
		"/v1/ws/tenant/evil/agent/bob/channel/general?token=" + token,
	} {
		if s, res := rig.TryDial(t, acme.Addr(), path, nil); s != nil || res.Status != http.StatusForbidden {
			t.Errorf("%s: status %d, want 403", path, res.Status)
		}
	}
	// A tenant cannot be told from one that does not exist.
	var answers []string
	for _, other := range []string{"acme", "nonesuch"} {
		forged := rig.NewToken(other, "alice", "k1", bytes.Repeat([]byte("k"), 32)).String()
		res := acme.get("/v1/agents", forged)
		answers = append(answers, string(res.Body))
		if res.Status != http.StatusUnauthorized {
			t.Errorf("a forged token for %s: status %d", other, res.Status)
		}
	}
	if answers[0] != answers[1] {
		t.Errorf("tenants that exist answer\n%s\nothers\n%s", answers[0], answers[1])
	}
}

// checkServerAPIs asks the server's own interfaces as evil's service.
func (w *wiretap) checkServerAPIs(t *testing.T) {
	t.Helper()
	for _, subject := range []string{
		"$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST", "$JS.API.STREAM.INFO.CHANNELS", "$JS.API.STREAM.PURGE.CHANNELS",
		"$JS.API.STREAM.DELETE.CHANNELS", "$JS.API.STREAM.MSG.GET.CHANNELS", "$JS.API.DIRECT.GET.CHANNELS", "$JS.API.ACCOUNT.PURGE.CHANNELS",
		"$JS.API.CONSUMER.CREATE.CHANNELS", "$JS.API.SERVER.REMOVE", "$SYS.REQ.SERVER.PING", "$SYS.REQ.SERVER.PING.CONNZ",
		"$SYS.REQ.SERVER.PING.VARZ", "$SYS.REQ.ACCOUNT.PING.INFO", "$SYS.REQ.USER.INFO", "$SYS.REQ.CLAIMS.LIST", "$SYS.REQ.CLAIMS.UPDATE",
		"$SYS.REQ.ACCOUNT.acme.CLAIMS.LOOKUP", "$KV.state.x", "live.channel.general", "_GW.x",
	} {
		reply := w.service.NewRespInbox()
		sub, err := w.service.SubscribeSync(reply)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.service.PublishRequest(subject, reply, []byte(`{"batch":100,"next_by_subj":">","seq":1}`)); err != nil {
			t.Fatal(err)
		}
		w.service.Sync()
		// The broker refuses the publish, so there is nothing to wait for; what comes all the same is in by the second sync.
		w.service.Sync()
		if m, err := sub.NextMsg(time.Nanosecond); err == nil && m.Header.Get("Status") != "503" {
			t.Errorf("%s answered evil's service: %v %s", subject, m.Header, m.Data)
		}
	}
}

func (w *wiretap) checkCLI(t *testing.T) {
	t.Helper()
	for _, args := range [][]string{
		{"channel", "history", "--tenant", "evil", "general"}, {"channel", "list", "--tenant", "evil"}, {"agent", "list", "--tenant", "evil"},
	} {
		w.refuse(t, strings.Join(args, " "), []byte(w.evil.MustCLI(args...)))
	}
}

// TestDeletedTenantLeavesNothing makes a tenant again under the name of one that was deleted.
func TestDeletedTenantLeavesNothing(t *testing.T) {
	t.Parallel()
	server := parley.Start(t, rig.Options{})
	acme := newTenant(t, server, "acme")
	token, creds := acme.token("alice"), acme.creds("backend")
	alice := acme.dial(token, "general")
	alice.Publish(canary)
	alice.PublishFrame(rig.Frame{"type": "message", "target": "bob", "content": canary})
	service := rig.Serve(t, server.NATSURL(), creds)

	server.MustCLI("tenant", "delete", "acme", "--yes")
	if code, _ := alice.Ended(); code == -1 || code == 1000 {
		t.Errorf("an open socket of a deleted tenant was closed with %d", code)
	}
	again := newTenant(t, server, "acme")
	if s, res := rig.TryDial(t, server.Addr(), "/v1/ws?"+rig.Query("token", token), nil); s != nil || res.Status != http.StatusUnauthorized {
		t.Errorf("an old token: status %d, want 401", res.Status)
	}
	if _, err := rig.TryServe(t, server.NATSURL(), creds); err == nil {
		t.Error("old credentials of a service still work")
	}
	if service.IsConnected() {
		t.Error("a service of the deleted tenant is still connected")
	}
	bob := again.agent("bob", "general", "since", "0")
	bob.Settle()
	if got := bob.Pending(); len(got) > 0 {
		t.Errorf("the new tenant received %s", got)
	}
	if got := history(t, again, "general"); len(got) > 0 {
		t.Errorf("the new tenant's history is %s", got)
	}
}

// TestSuspendedTenantIsShut looks at every way in, and at what was open before.
func TestSuspendedTenantIsShut(t *testing.T) {
	t.Parallel()
	server := parley.Start(t, rig.Options{})
	acme, other := newTenant(t, server, "acme"), newTenant(t, server, "other")
	token, creds := acme.token("alice"), acme.creds("backend")
	alice, bystander := acme.dial(token, "general"), other.agent("alice", "general")
	alice.Publish("kept")
	server.MustCLI("tenant", "suspend", "acme")
	if code, _ := alice.Ended(); code != 4505 {
		t.Errorf("an open socket was closed with %d, want 4505", code)
	}
	if s, res := rig.TryDial(t, server.Addr(), "/v1/ws?"+rig.Query("token", token), nil); s != nil || res.Status != http.StatusForbidden {
		t.Errorf("connect: status %d, want 403", res.Status)
	} else if p := res.Problem(t); p.Code != "TENANT_SUSPENDED" {
		t.Errorf("connect: %+v", p)
	}
	if res := acme.get("/v1/agents", token); res.Status != http.StatusForbidden {
		t.Errorf("REST: status %d, want 403", res.Status)
	}
	if _, err := rig.TryServe(t, server.NATSURL(), creds); err == nil {
		t.Error("a service can connect")
	}
	bystander.Publish("unharmed")
	server.MustCLI("tenant", "resume", "acme")
	back := acme.dial(token, "general", "since", "0")
	if got := back.Message(); got["content"] != "kept" {
		t.Errorf("after resume: %s", got)
	}
	rig.Serve(t, server.NATSURL(), creds)
}
