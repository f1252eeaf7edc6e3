package test

import (
	"fmt"
	"net/http"
	"reflect"
	"testing"
	"time"

	"parley/test/rig"
)

func TestMessageReachesTheChannel(t *testing.T) {
	t.Parallel()
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	alice, bob := acme.agent("alice", "general"), acme.agent("bob", "general")
	elsewhere := acme.agent("carol", "other")

	before := time.Now().Add(-time.Second)
	id, ack := alice.PublishFrame(rig.Frame{
		"id": "m-1", "type": "message", "content": "Hello!", "metadata": rig.Frame{"key": "value"},
		"tenant_id": "evil", "agent_id": "mallory", "channel_id": "general", "timestamp": "1999-01-01T00:00:00Z", "extra": []int{1, 2},
	})
	for _, s := range []*rig.Socket{alice, bob} {
		got := s.Message()
		if at := got.Time(t); at.Before(before) || at.After(time.Now().Add(time.Second)) {
			t.Errorf("timestamp %s is not of the server's", at)
		}
		if got.Seq() == 0 || got.Seq() != ack.Seq() {
			t.Errorf("seq %d, the ACK says %d", got.Seq(), ack.Seq())
		}
		delete(got, "timestamp")
		delete(got, "seq")
		want := rig.Frame{
			"id": id, "type": "message", "content": "Hello!", "metadata": map[string]any{"key": "value"},
			"tenant_id": "acme", "agent_id": "alice", "channel_id": "general", "extra": []any{1.0, 2.0},
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("received %s\n    want %s", got, want)
		}
	}
	ack.Time(t)
	elsewhere.Settle()
	if got := elsewhere.Pending(); len(got) > 0 {
		t.Errorf("another channel received %s", got)
	}
}

func TestContentIsAnyValue(t *testing.T) {
	t.Parallel()
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	alice := acme.agent("alice", "general")
	for _, content := range []any{
		nil, true, 0.0, -1.5, 9007199254740993.0, "", "ünïcödé 🎉 \u2028 \u0000", []any{}, map[string]any{}, map[string]any{"a": []any{nil, map[string]any{"b": "c"}}},
	} {
		alice.Publish(content)
		got := alice.Message()
		if value, ok := got["content"]; !ok || !reflect.DeepEqual(value, content) {
			t.Errorf("sent %#v, received %s", content, got)
		}
	}
}

func TestEveryTypeButTheReservedOnes(t *testing.T) {
	t.Parallel()
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	alice := acme.agent("alice", "general")
	for _, kind := range []string{"message", "m", "task.started", "Tool_Call-2", "acknowledge"} {
		alice.PublishFrame(rig.Frame{"type": kind, "content": 1})
		if got := alice.Message(); got.Type() != kind {
			t.Errorf("sent type %s, received %s", kind, got)
		}
	}
}

func TestSenderMayDoWithoutItsEcho(t *testing.T) {
	t.Parallel()
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	alice := acme.agent("alice", "general", "echo", "false")
	second := acme.agent("alice", "general")
	bob := acme.agent("bob", "general")
	alice.Publish("mine")
	for _, s := range []*rig.Socket{second, bob} {
		if got := s.Message(); got["content"] != "mine" {
			t.Errorf("received %s", got)
		}
	}
	bob.Publish("yours")
	if got := alice.Message(); got["content"] != "yours" {
		t.Errorf("an echo came, or nothing: %s", got)
	}
}

func TestDirectMessage(t *testing.T) {
	t.Parallel()
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	alice, bob := acme.agent("alice", "general"), acme.agent("bob", "")
	bobToo := acme.agent("bob", "general")
	id, _ := alice.PublishFrame(rig.Frame{"type": "message", "target": "bob", "content": "psst"})
	for _, s := range []*rig.Socket{bob, bobToo} {
		got := s.Message()
		if got.ID() != id || got["content"] != "psst" || got.Text("agent_id") != "alice" || got.Text("target") != "bob" {
			t.Errorf("received %s", got)
		}
		if _, there := got["channel_id"]; there {
			t.Errorf("a direct message names a channel: %s", got)
		}
	}
	alice.Settle()
	if got := alice.Pending(); len(got) > 0 {
		t.Errorf("the sender of a direct message received %s", got)
	}
}

func TestOfflineInbox(t *testing.T) {
	t.Parallel()
	server := parley.Start(t, rig.Options{})
	acme := newTenant(t, server, "acme")
	alice := acme.agent("alice", "general")
	var want []any
	for i := range 5 {
		content := fmt.Sprint("while you were out ", i)
		alice.PublishFrame(rig.Frame{"type": "message", "target": "bob", "content": content})
		want = append(want, content)
	}
	server.Kill() // the inbox waits for the agent, not for the process
	server.Restart()
	bob := acme.agent("bob", "")
	if got := contents(bob.Messages(5)); !reflect.DeepEqual(got, want) {
		t.Errorf("received %v, want %v", got, want)
	}
	bob.Settle()
	bob.Close()
	again := acme.agent("bob", "")
	again.Settle()
	if got := again.Pending(); len(got) > 0 {
		t.Errorf("delivered twice: %s", got)
	}
}

func TestSameIDIsDeliveredOnce(t *testing.T) {
	t.Parallel()
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	alice, bob := acme.agent("alice", "general"), acme.agent("bob", "general")
	frame := func(content string) rig.Frame { return rig.Frame{"id": "same", "type": "message", "content": content} }

	_, first := alice.PublishFrame(frame("first"))
	_, second := alice.PublishFrame(frame("second"))
	if first["duplicate"] != nil || second["duplicate"] != true || first.Seq() != second.Seq() {
		t.Errorf("ACKs %s and %s", first, second)
	}
	// An id belongs to its tenant, sender and channel.
	if _, ack := bob.PublishFrame(frame("bob's")); ack["duplicate"] != nil {
		t.Errorf("another sender's id: %s", ack)
	}
	other := frame("elsewhere")
	other["channel_id"] = "other"
	if _, ack := alice.PublishFrame(other); ack["duplicate"] != nil {
		t.Errorf("another channel's id: %s", ack)
	}
	bob.Publish("end")
	if got, want := contents(bob.Messages(3)), []any{"first", "bob's", "end"}; !reflect.DeepEqual(got, want) {
		t.Errorf("received %v, want %v", got, want)
	}
}

func TestThreePartPath(t *testing.T) {
	t.Parallel()
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	token := acme.token("alice", "--channels", "general,team.*")
	open := func(tenant, agent, channel string) (*rig.Socket, rig.Response) {
		path := fmt.Sprintf("/v1/ws/tenant/%s/agent/%s/channel/%s?token=%s", tenant, agent, channel, token)
		return rig.TryDial(t, acme.Addr(), path, nil)
	}
	s, res := open("acme", "alice", "general")
	if s == nil {
		t.Fatalf("refused: %d %s", res.Status, res.Body)
	}
	s.Publish("hi")
	if got := s.Message(); got.Text("channel_id") != "general" {
		t.Errorf("received %s", got)
	}
	if s, _ := open("acme", "alice", "team.red"); s == nil {
		t.Error("a channel that a pattern grants was refused")
	}
	for _, c := range [][3]string{{"acme", "bob", "general"}, {"other", "alice", "general"}, {"acme", "alice", "secret"}, {"acme", "alice", "team"}, {"acme", "alice", "team.red.x"}} {
		s, res := open(c[0], c[1], c[2])
		if s != nil || res.Status != http.StatusForbidden {
			t.Errorf("%v: status %d, want 403: %s", c, res.Status, res.Body)
			continue
		}
		if p := res.Problem(t); p.Code != "PERMISSION_DENIED" || p.Message == "" {
			t.Errorf("%v: %+v", c, p)
		}
	}
}

func TestCredentialMayStandInThreePlaces(t *testing.T) {
	t.Parallel()
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	token := acme.token("alice")
	for name, header := range map[string]http.Header{
		"header":                     {"Authorization": {"Bearer " + token}},
		"subprotocol":                {"Sec-Websocket-Protocol": {"base64url.bearer.parley." + encode(token)}},
		"subprotocol beside another": {"Sec-Websocket-Protocol": {"chat", "base64url.bearer.parley." + encode(token)}},
	} {
		t.Run(name, func(t *testing.T) {
			s, res := rig.TryDial(t, acme.Addr(), "/v1/ws?channel_id=general", header)
			if s == nil {
				t.Fatalf("refused: %d %s", res.Status, res.Body)
			}
			s.Publish("hi")
			want := ""
			if name == "subprotocol beside another" {
				want = "chat"
			}
			if got := res.Header.Get("Sec-WebSocket-Protocol"); got != want {
				t.Errorf("the server chose the subprotocol %q, want %q", got, want)
			}
		})
	}
}

func TestSubscribeUnsubscribe(t *testing.T) {
	t.Parallel()
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	alice, bob := acme.agent("alice", "a"), acme.agent("bob", "b")
	if got := bob.Ask(rig.Frame{"type": "subscribe", "channel_id": "a"}); got.Type() != "ACK" || got.Text("channel_id") != "a" {
		t.Fatalf("subscribe: %s", got)
	}
	alice.Publish("one")
	if got := bob.Message(); got["content"] != "one" || got.Text("channel_id") != "a" {
		t.Errorf("received %s", got)
	}
	if got := bob.Ask(rig.Frame{"type": "unsubscribe", "channel_id": "a"}); got.Type() != "ACK" {
		t.Fatalf("unsubscribe: %s", got)
	}
	alice.Publish("two")
	bob.Publish("mine")
	if got := bob.Message(); got["content"] != "mine" {
		t.Errorf("after unsubscribe: %s", got)
	}
	if got := bob.Ask(rig.Frame{"type": "unsubscribe", "channel_id": "a"}); got.Text("code") != "NOT_SUBSCRIBED" {
		t.Errorf("unsubscribe twice: %s", got)
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	alice := acme.agent("alice", "general", "echo", "false")
	var seqs []uint64
	for i := range 7 {
		_, ack := alice.Publish(i)
		seqs = append(seqs, ack.Seq())
	}
	bob := acme.agent("bob", "")
	page := func(frame rig.Frame) (contents []any, more any) {
		t.Helper()
		frame["type"], frame["channel_id"] = "history", "general"
		got := bob.Ask(frame)
		list, ok := got["messages"].([]any)
		if !ok {
			t.Fatalf("history: %s", got)
		}
		for _, m := range list {
			contents = append(contents, m.(map[string]any)["content"])
		}
		return contents, got["more"]
	}
	for _, c := range []struct {
		ask  rig.Frame
		want []any
		more bool
	}{
		{rig.Frame{}, []any{0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0}, false},
		{rig.Frame{"since": seqs[2]}, []any{3.0, 4.0, 5.0, 6.0}, false},
		{rig.Frame{"since": seqs[2], "limit": 2}, []any{3.0, 4.0}, true},
		{rig.Frame{"since": seqs[6]}, nil, false},
	} {
		if got, more := page(c.ask); !reflect.DeepEqual(got, c.want) || more != c.more {
			t.Errorf("%s: %v, more %v; want %v, %v", c.ask, got, more, c.want, c.more)
		}
	}
}

func TestRESTPublishAndHistory(t *testing.T) {
	t.Parallel()
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	token := acme.token("alice")
	bob := acme.agent("bob", "general")
	res := rig.Do(t, "POST", acme.URL()+"/v1/channels/general/messages", token, `{"id":"r1","type":"message","content":"by REST"}`)
	var ack rig.Frame
	res.JSON(t, &ack)
	if res.Status != http.StatusCreated && res.Status != http.StatusOK || ack.Text("message_id") != "r1" || ack.Seq() == 0 {
		t.Errorf("status %d: %s", res.Status, res.Body)
	}
	if got := bob.Message(); got["content"] != "by REST" || got.Text("agent_id") != "alice" {
		t.Errorf("received %s", got)
	}
	var page struct{ Messages []rig.Frame }
	acme.get("/v1/channels/general/messages", token).JSON(t, &page)
	if got := contents(page.Messages); !reflect.DeepEqual(got, []any{"by REST"}) {
		t.Errorf("history %v", got)
	}
}

func TestPresenceAndStatus(t *testing.T) {
	t.Parallel()
	server := parley.Start(t, rig.Options{})
	acme := newTenant(t, server, "acme")
	watcher := acme.service("watch").Listen("status.agent.>")
	alice := acme.agent("alice", "general")
	status := func(agent string) string {
		var a rig.Frame
		acme.get("/v1/agents/"+agent, acme.token("watcher")).JSON(t, &a)
		return a.Text("status")
	}
	awaitStatus(t, watcher, "alice", "online")
	if got := status("alice"); got != "online" {
		t.Errorf("status %q", got)
	}
	if got := alice.Ask(rig.Frame{"type": "status", "status": "busy"}); got.Type() != "ACK" {
		t.Errorf("status: %s", got)
	}
	awaitStatus(t, watcher, "alice", "busy")
	if got := status("alice"); got != "busy" {
		t.Errorf("status %q", got)
	}
	bob := acme.agent("bob", "general")
	got := bob.Ask(rig.Frame{"type": "presence", "channel_id": "general"})
	agents, _ := got["agents"].([]any)
	seen := map[any]any{}
	for _, a := range agents {
		a := a.(map[string]any)
		seen[a["agent_id"]] = a["status"]
	}
	if want := (map[any]any{"alice": "busy", "bob": "online"}); !reflect.DeepEqual(seen, want) {
		t.Errorf("presence %s, want %v", got, want)
	}
	second := acme.agent("alice", "")
	alice.Close()
	second.Settle()
	if got := status("alice"); got == "offline" {
		t.Error("offline while a socket is open")
	}
	second.Drop()
	awaitStatus(t, watcher, "alice", "offline")
	if got := status("alice"); got != "offline" {
		t.Errorf("status %q after the last socket", got)
	}
}

// awaitStatus reads announcements until the agent has the status.
func awaitStatus(t *testing.T, announcements *rig.Inbox, agent, status string) {
	t.Helper()
	for {
		m := announcements.Next()
		if m.Subject == "status.agent."+agent && frameOf(t, m.Data).Text("status") == status {
			return
		}
	}
}
