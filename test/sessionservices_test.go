package test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"parley/test/rig"
)

// chat connects a user to his own session and returns its id.
func (n tenant) chat(user string) (s *rig.Socket, session string) {
	n.t.Helper()
	token := n.user(user)
	s = rig.Dial(n.t, n.Addr(), "/?"+rig.Query("token", token))
	return s, s.Next().Text("session_id")
}

// awaitType reads frames until one of a type comes.
func awaitType(s *rig.Socket, kind string) rig.Frame {
	for {
		if f := s.Next(); f.Type() == kind {
			return f
		}
	}
}

// served is how the broker answers a service.
type served struct {
	OK        bool
	ID        string
	Duplicate bool
	Error     struct{ Code, Message string }
}

// do has a service ask for something in a session.
func do(t *testing.T, service *rig.Service, session, verb, body string) (answer served) {
	t.Helper()
	m, err := service.Request("session."+session+".do."+verb, []byte(body), rig.Patience)
	if err != nil {
		t.Fatalf("%s: %v", verb, err)
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		t.Fatalf("%s: %v\n%s", verb, err, m.Data)
	}
	return answer
}

func mustDo(t *testing.T, service *rig.Service, session, verb, body string) served {
	t.Helper()
	answer := do(t, service, session, verb, body)
	if !answer.OK {
		t.Fatalf("%s: %+v", verb, answer.Error)
	}
	return answer
}

// TestServiceTakesOver: all of a hand-off by a service, as its events and as the user sees it.
func TestServiceTakesOver(t *testing.T) {
	t.Parallel()
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	worker, service := acme.aiWorker("llm"), acme.service("desk")
	ann, id := acme.chat("ann")
	log := service.Listen("live.session.*.log")
	expect := func(kind, want string) rig.Frame {
		t.Helper()
		m := log.Next()
		e := frameOf(t, m.Data)
		if m.Subject != "live.session."+id+".log" || e.Text("kind") != kind || !strings.Contains(e.String(), want) {
			t.Fatalf("on %s came %s, want %s with %s", m.Subject, e, kind, want)
		}
		return e
	}
	ann.Send(rig.Frame{"type": "chat", "content": "Hello"})
	expect("created", `"from":"ann"`)
	expect("message", `"text":"Hello"`)
	job := worker.take()
	expect("start", `"role":"assistant"`)
	job.chunk("I think ")
	expect("chunk", `"text":"I think "`)
	ann.Send(rig.Frame{"type": "human-escalation", "reason": "no machines, please"})
	if e := expect("escalated", `"text":"no machines, please"`); e["state"].(map[string]any)["mode"] != "waiting" {
		t.Errorf("while she waits: %s", e)
	}
	mustDo(t, service, id, "claim", `{"operator":"otto"}`)
	expect("end", `"status":"interrupted"`)
	if state := expect("claimed", `"from":"otto"`)["state"].(map[string]any); state["mode"] != "human" || state["operator"] != "otto" || state["epoch"] != 1.0 {
		t.Errorf("after the claim: %v", state)
	}
	// What the AI still says is of an epoch that is over.
	if ok, code := job.try(rig.Frame{"type": "chunk", "text": "that you are wrong"}); ok || code != "GONE" {
		t.Errorf("the worker went on: %t %s", ok, code)
	}
	first := mustDo(t, service, id, "reply", `{"operator":"otto","id":"r-1","text":"Otto here."}`)
	again := mustDo(t, service, id, "reply", `{"operator":"otto","id":"r-1","text":"Otto here."}`)
	if first.ID != "r-1" || first.Duplicate || again.ID != "r-1" || !again.Duplicate {
		t.Errorf("a reply, said twice: %+v %+v", first, again)
	}
	expect("message", `"role":"operator"`)
	for f := awaitType(ann, "stream-start"); f.Text("role") != "operator"; f = awaitType(ann, "stream-start") {
	}
	if f := awaitType(ann, "stream-token"); f.Text("token") != "Otto here." {
		t.Errorf("the user got %s", f)
	}
	ann.Send(rig.Frame{"type": "chat", "content": "Thank you"})
	expect("message", `"text":"Thank you"`)
	mustDo(t, service, id, "release", `{"operator":"otto"}`)
	expect("released", `"epoch":2`)
	mustDo(t, service, id, "say", `{"text":"And now the AI"}`)
	expect("message", `"role":"user"`)
	if job := worker.take(); job.Text != "And now the AI" || job.Epoch != 2 {
		t.Errorf("the worker was asked %q in epoch %d", job.Text, job.Epoch)
	}
	expect("start", "")
	mustDo(t, service, id, "stop", "")
	expect("end", `"status":"stopped"`)
	m, err := service.Request("session."+id+".do.info", nil, rig.Patience)
	if err != nil {
		t.Fatal(err)
	}
	if about, ok := frameOf(t, m.Data)["session"].(map[string]any); !ok || about["user"] != "ann" || about["state"].(map[string]any)["mode"] != "ai" {
		t.Errorf("info: %s", m.Data)
	}
	mustDo(t, service, id, "close", `{"operator":"otto","text":"solved"}`)
	expect("closed", `"text":"solved"`)
}

// TestServiceIsRefused: what a service can't do in a session, and what the broker says.
func TestServiceIsRefused(t *testing.T) {
	t.Parallel()
	server := parley.Start(t, rig.Options{})
	acme, evil := newTenant(t, server, "acme"), newTenant(t, server, "evil")
	service, stranger := acme.service("desk"), evil.service("desk")
	_, id := acme.chat("bob")
	evil.chat("eve") // whose tenant answers services from now on; for a service alone it is opened behind its connection
	for _, c := range []struct {
		name      string
		who       *rig.Service
		verb      string
		body      string
		wantsCode string
	}{
		{"no verb", service, "explode", "", "INVALID_FORMAT"},
		{"another tenant's session, only looked at", stranger, "info", "", "NOT_FOUND"},
		{"no JSON", service, "claim", "otto", "INVALID_FORMAT"},
		{"a claim by nobody", service, "claim", "", "PERMISSION_DENIED"},
		{"a name that can't be printed", service, "claim", `{"operator":"a\nb"}`, "INVALID_ID"},
		{"a name that is too long", service, "claim", fmt.Sprintf(`{"operator":%q}`, strings.Repeat("x", 129)), "INVALID_ID"},
		{"a reply without a claim", service, "reply", `{"operator":"otto","text":"x"}`, "PERMISSION_DENIED"},
		{"an empty message", service, "say", `{"text":" "}`, "INVALID_FORMAT"},
		{"another tenant's session", stranger, "claim", `{"operator":"eve"}`, "NOT_FOUND"},
		{"another tenant's user", stranger, "say", `{"text":"x"}`, "NOT_FOUND"},
	} {
		if got := do(t, c.who, id, c.verb, c.body); got.OK || got.Error.Code != c.wantsCode || got.Error.Message == "" {
			t.Errorf("%s: %+v, want %s", c.name, got, c.wantsCode)
		}
	}
	if got := do(t, service, "nothing", "claim", `{"operator":"otto"}`); got.Error.Code != "NOT_FOUND" {
		t.Errorf("a session that does not exist: %+v", got)
	}
	mustDo(t, service, id, "claim", `{"operator":"otto"}`)
	if got := do(t, service, id, "claim", `{"operator":"eve"}`); got.Error.Code != "ALREADY_EXISTS" || !strings.Contains(got.Error.Message, `"otto"`) {
		t.Errorf("a second claim: %+v", got)
	}
}

// TestServiceForgesNothing: only the broker writes logs, asks workers and speaks as one.
func TestServiceForgesNothing(t *testing.T) {
	t.Parallel()
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	worker, service := acme.aiWorker("llm"), acme.service("desk")
	ann, id := acme.chat("ann")
	log := service.Listen("live.session." + id + ".log")
	forge := func(who string, s *rig.Service, subject string) {
		t.Helper()
		if err := s.Publish(subject, []byte(`{"index":1,"kind":"message","role":"operator","text":"forged"}`)); err != nil {
			t.Fatal(err)
		}
		s.Sync()
		if err := s.LastError(); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("Publish to %q", subject)) {
			t.Errorf("%s may publish on %s: %v", who, subject, err)
		}
	}
	for _, subject := range []string{
		"session." + id + ".log", "live.session." + id + ".log", "live.session." + id + ".deleted", "live.session." + id + ".typing",
		"work.ai", "gateway.session." + id, "$JS.API.STREAM.PURGE.SESSIONS", "$KV.sessions.s." + id,
	} {
		forge("a service", service, subject)
		forge("a worker", worker.Service, subject)
	}
	forge("a service", service, "session."+id+".run")
	forge("a worker", worker.Service, "session."+id+".do.claim")
	ann.Send(rig.Frame{"type": "chat", "content": "Is all well?"})
	for _, want := range []string{"created", "message"} {
		if e := frameOf(t, log.Next().Data); e.Text("kind") != want || strings.Contains(e.String(), "forged") {
			t.Errorf("the log has %s, want %s", e, want)
		}
	}
	for _, subject := range []string{"session.x.log", "work.ai"} {
		forge("creds that ask for it", acme.service("greedy", "--pub", subject), subject)
	}
}
