package test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"parley/test/rig"
)

// shutOut has a node of a cluster shut somebody out in every way, who is connected to two others. Once these have heard of
// it, nothing that is said reaches him any more.
func shutOut(t *testing.T, a, b, c *rig.Server) {
	newTenant(t, a, "shut")
	others := []tenant{{Server: b, t: t, id: "shut"}, {Server: c, t: t, id: "shut"}}
	var speakers []*rig.Service
	for _, n := range others {
		speakers = append(speakers, n.service("speaker"))
	}
	for _, way := range []struct {
		name string
		code int
		act  func(token string) []string // arguments of the command line
	}{
		{"a token", 4501, func(token string) []string { return []string{"token", "revoke", "--jti", jti(t, token)} }},
		{"an agent", 4501, func(string) []string { return []string{"token", "revoke", "--agent", "alice"} }},
		{"all", 4501, func(string) []string { return []string{"token", "revoke", "--all"} }},
		{"kicked", 4509, func(string) []string { return []string{"agent", "kick", "alice"} }},
		{"a key", 4501, func(token string) []string {
			a.MustCLI("key", "add", "--tenant", "shut")
			return []string{"key", "revoke", fieldOf(t, token, 0, "kid")}
		}},
	} {
		token := others[0].token("alice")
		var victims []*rig.Socket
		for _, n := range others {
			s := n.dial(token, "general")
			s.Settle()
			victims = append(victims, s)
		}
		args := way.act(token)
		a.MustCLI(append(args, "--tenant", "shut")...)
		done := time.Now()
		for _, n := range others {
			n.hears()
		}
		for _, s := range speakers {
			s.Say("channel.general", "too late")
		}
		for i, s := range victims {
			if code, reason := s.Ended(); code != way.code || reason == "" {
				t.Errorf("%s: on %s closed with %d %q, want %d", way.name, others[i].Addr(), code, reason, way.code)
			}
			if rig.Contains(s.Pending(), "too late") {
				t.Errorf("%s: on %s something was delivered afterwards", way.name, others[i].Addr())
			}
		}
		t.Logf("%s: shut out on the other nodes %s after the answer", way.name, time.Since(done))
	}
	narrowed(t, a, others)
	cutServices(t, a, others, speakers)
}

// narrowed has node a allow less, which holds on connections to the others.
func narrowed(t *testing.T, a *rig.Server, others []tenant) {
	var agents []*rig.Socket
	for _, n := range others {
		agents = append(agents, n.agent("alice", "general"))
	}
	a.MustCLI("channel", "policy", "set", "--tenant", "shut", "general", "--publisher", "bob")
	for i, s := range agents {
		others[i].hears()
		if got := s.Ask(rig.Frame{"type": "message", "content": 1}); got.Text("code") != "PERMISSION_DENIED" {
			t.Errorf("on %s an agent speaks although the policy names another: %s", others[i].Addr(), got)
		}
	}
	a.MustCLI("tenant", "update", "shut", "--limit", "message_bytes=64")
	for i, s := range agents {
		others[i].hears()
		s.Settle() // the frame that a connection waits for goes by the limit of before
		if got := s.Ask(rig.Frame{"type": "ping", "wide": long(100)}); got.Text("code") != "MESSAGE_TOO_LARGE" {
			t.Errorf("on %s a limit does not hold: %s", others[i].Addr(), got)
		}
	}
}

// cutServices has node a revoke credentials that services are connected to the others with, and then suspend the tenant.
func cutServices(t *testing.T, a *rig.Server, others []tenant, speakers []*rig.Service) {
	leaked := others[0].creds("leaked")
	var heard []*rig.Inbox
	var ends []<-chan nats.Status
	connect := func(n tenant, creds string) {
		s := rig.Serve(t, n.NATSURL(), creds)
		heard, ends = append(heard, s.Listen("channel.general")), append(ends, s.StatusChanged(nats.CLOSED))
	}
	for _, n := range others {
		connect(n, leaked)
	}
	a.MustCLI("creds", "revoke", "--tenant", "shut", "--name", "leaked")
	for _, s := range speakers {
		s.Say("channel.general", "too late")
	}
	for i, end := range ends { // having found that no node takes them any more
		<-end
		if got := heard[i].Received(); len(got) > 0 {
			t.Errorf("a service with revoked credentials was still told %s", got[0].Data)
		}
	}
	ends = nil
	for _, s := range speakers {
		ends = append(ends, s.StatusChanged(nats.CLOSED))
	}
	watcher := others[1].agent("bob", "general")
	a.MustCLI("tenant", "suspend", "shut")
	for _, end := range ends {
		<-end
	}
	if code, _ := watcher.Ended(); code != 4505 {
		t.Errorf("of a suspended tenant: closed with %d", code)
	}
}

// hears returns when the node has heard of everything that was changed of the tenant before: it changes the tenant itself.
func (n tenant) hears() {
	n.t.Helper()
	body := fmt.Sprintf(`{"name":"heard at %d"}`, time.Now().UnixNano())
	if res := rig.Do(n.t, "PATCH", n.AdminURL()+"/admin/v1/tenants/"+n.id, n.AdminKey(), body); res.Status != http.StatusOK {
		n.t.Fatalf("update: status %d: %s", res.Status, res.Body)
	}
}

// fieldOf returns a field of a token: of its header, or of its claims.
func fieldOf(t *testing.T, token string, part int, name string) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[part])
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(raw, &fields); err != nil {
		t.Fatal(err)
	}
	value, _ := fields[name].(string)
	return value
}

func jti(t *testing.T, token string) string { t.Helper(); return fieldOf(t, token, 1, "jti") }
