package frontends

import (
	"strings"
	"testing"
	"time"

	"parley/broker"
	"parley/sessions"
	"parley/tenants"
)

// chat opens a connection of the chat dialect for a user of acme and takes its greeting.
func (w *world) chat(t *testing.T, user broker.Token, query string) *peer {
	t.Helper()
	p := w.dial(t, "/?token="+w.token(t, tenants.TokenSpec{Tenant: "acme", User: user})+query, nil)
	f := p.next()
	if f["type"] != "connection" || f["message"] != "Connected to chatbot server" || f["session_id"] == "" {
		t.Fatalf("greeted with %v", f)
	}
	return p
}

// stream reads the stream of one answer and returns its text and its end.
func (p *peer) stream() (text string, end frame) {
	p.t.Helper()
	start := p.next()
	if id, _ := start["messageId"].(string); start["type"] != "stream-start" || !strings.HasPrefix(id, "msg_") {
		p.t.Fatalf("the stream begins with %v", start)
	}
	for {
		f := p.next()
		if f["messageId"] != start["messageId"] {
			p.t.Fatalf("in the stream of %v: %v", start["messageId"], f)
		}
		switch f["type"] {
		case "stream-token":
			text += f["token"].(string)
		case "stream-end":
			return text, f
		default:
			p.t.Fatalf("in a stream: %v", f)
		}
	}
}

func (p *peer) want(kind, message string) frame {
	p.t.Helper()
	f := p.next()
	if f["type"] != kind || message != "" && f["message"] != message {
		p.t.Fatalf("got %v, want %s %q", f, kind, message)
	}
	return f
}

func TestChat(t *testing.T) {
	w := newWorld(t)
	ai := w.worker(t, "acme", "ai")
	ann := w.chat(t, "ann", "")
	phone := w.chat(t, "ann", "")
	other := w.chat(t, "bob", "")

	ann.send(`{"type":"chat","content":"Hello","timestamp":"2025-09-12T00:00:00Z","metadata":{"page":"/home"}}`)
	j := ai.take()
	if j.Text != "Hello" || j.User != "ann" || string(j.Metadata) != `{"page":"/home"}` {
		t.Errorf("the worker was asked %+v", j.Request)
	}
	j.chunks("Hel", "lo ✓").end("Why?")
	for name, p := range map[string]*peer{"ann": ann, "phone": phone} {
		if text, end := p.stream(); text != "Hello ✓" || end["status"] != "complete" || end["follow_up_questions"] == nil {
			t.Errorf("%s: %q, %v", name, text, end)
		}
	}

	ann.send(`{"type":"chat","content":"A long story, please"}`)
	ai.take().chunks("Once upon")
	ann.want("stream-start", "")
	token := ann.want("stream-token", "")
	ann.send(`{"type":"stop","messageId":"msg_of_another"}`)
	ann.send(`{"type":"stop","messageId":"` + token["messageId"].(string) + `"}`)
	if end := ann.want("stream-end", ""); end["status"] != "stopped" {
		t.Errorf("the end of what was stopped is %v", end)
	}
	if text, end := phone.stream(); text != "Once upon" || end["status"] != "stopped" {
		t.Errorf("phone: %q, %v", text, end)
	}

	ann.send(`{"type":"human-escalation","reason":"Need human assistance","timestamp":"…"}`)
	ann.want("human-escalation-response", "A human agent will contact you soon.")
	ann.send(`{"type":"human-escalation","message":"Really"}`)
	ann.want("human-escalation-response", "A human agent will contact you soon.")
	ann.send(`{"type":"feedback","messageId":"msg_x","feedbackType":"positive"}`)
	ann.want("feedback-confirmation", "")
	ann.send(`{"type":"ping","timestamp":"…"}`)
	ann.want("pong", "")
	other.send(`{"type":"ping"}`)
	other.want("pong", "") // and nothing of ann's before it
}

// TestChatResume comes back in the middle of an answer, and after its end.
func TestChatResume(t *testing.T) {
	w := newWorld(t)
	ai := w.worker(t, "acme", "ai")
	first := w.chat(t, "ann", "")
	first.send(`{"type":"chat","content":"Hello"}`)
	j := ai.take().chunks("One", " two")
	first.want("stream-start", "")
	first.want("stream-token", "")
	_ = first.conn.CloseNow()
	j.chunks(" three")
	second := w.chat(t, "ann", "")
	second.want("stream-start", "")
	if f := second.want("stream-token", ""); f["token"] != "One two three" {
		t.Errorf("caught up with %v", f)
	}
	j.chunks(" four")
	if f := second.want("stream-token", ""); f["token"] != " four" {
		t.Errorf("went on with %v", f)
	}
	_ = second.conn.CloseNow()
	w.awaitConnections(t, 0)
	j.chunks(" five").end()
	third := w.chat(t, "ann", "")
	if text, end := third.stream(); text != "One two three four five" || end["status"] != "complete" {
		t.Errorf("after the end: %q, %v", text, end)
	}
	fourth := w.chat(t, "ann", "")
	fourth.send(`{"type":"ping"}`)
	fourth.want("pong", "") // what was seen to its end does not come again
}

// awaitConnections waits until the edge has n connections.
func (w *world) awaitConnections(t *testing.T, n int) {
	t.Helper()
	deadline, tick := time.After(patience), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for w.edge.Connections() != n {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%d connections, want %d", w.edge.Connections(), n)
		}
	}
}

// TestChatOperator has a human take over.
func TestChatOperator(t *testing.T) {
	w := newWorld(t)
	ann := w.chat(t, "ann", "&session_id=case-1")
	acme, err := w.registry.Get("acme")
	if err != nil {
		t.Fatal(err)
	}
	olga := sessions.Principal{Tenant: "acme", Account: acme.Account, User: "olga", Operator: true}
	if err := w.talks.Claim(t.Context(), olga, "case-1"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.talks.Say(t.Context(), olga, "case-1", sessions.Utterance{Text: "Hi, this is Olga."}); err != nil {
		t.Fatal(err)
	}
	if text, end := ann.stream(); text != "Hi, this is Olga." || end["status"] != "complete" {
		t.Errorf("%q, %v", text, end)
	}
	if err := w.talks.Close(t.Context(), olga, "case-1", "solved"); err != nil {
		t.Fatal(err)
	}
	ann.send(`{"id":"m-1","type":"chat","content":"One more thing"}`)
	if f := ann.want("error", "Failed to process chat message"); f["code"] != "SESSION_CLOSED" || f["id"] != "m-1" {
		t.Errorf("said in a closed session: %v", f)
	}
}

// TestChatSessions: a session is its user's only, and a closed one of the user's own is followed by another.
func TestChatSessions(t *testing.T) {
	w := newWorld(t)
	w.chat(t, "ann", "&session_id=anns")
	for _, thief := range []struct {
		tenant tenants.ID
		want   int
	}{{"acme", 404}, {"evil", 0}} {
		path := "/?token=" + w.token(t, tenants.TokenSpec{Tenant: thief.tenant, User: "eve"}) + "&session_id=anns"
		status, body := w.tryDial(t, path)
		if status != thief.want {
			t.Errorf("%s: %d %s", thief.tenant, status, body)
		}
	}
	if status, _ := w.tryDial(t, "/?session_id=anns"); status != 401 {
		t.Errorf("without a token: %d", status)
	}
	if status, _ := w.tryDial(t, "/?token="+w.token(t, tenants.TokenSpec{Tenant: "acme", User: "ann"})+"&session_id=a.b"); status != 400 {
		t.Errorf("bad session id: %d", status)
	}

	home := sessions.DefaultID("ann")
	w.chat(t, "ann", "")
	acme, err := w.registry.Get("acme")
	if err != nil {
		t.Fatal(err)
	}
	admin := sessions.Principal{Tenant: "acme", Account: acme.Account, User: "admin", Operator: true}
	if err := w.talks.Close(t.Context(), admin, home, "solved"); err != nil {
		t.Fatal(err)
	}
	p := w.dial(t, "/?token="+w.token(t, tenants.TokenSpec{Tenant: "acme", User: "ann"}), nil)
	if f := p.next(); f["session_id"] != home+"-2" {
		t.Errorf("after the close: %v", f)
	}
}

// TestChatBadInput never ends a connection, and says what the document says.
func TestChatBadInput(t *testing.T) {
	const format, unknown = "Invalid message format", "Unknown message type"
	w := newWorld(t)
	p := w.chat(t, "ann", "")
	for _, c := range []struct{ name, text, message, code string }{
		{"nothing", "", format, "INVALID_FORMAT"},
		{"not JSON", "hello", format, "INVALID_FORMAT"},
		{"cut off", `{"type":"chat"`, format, "INVALID_FORMAT"},
		{"not an object", `["chat"]`, format, "INVALID_FORMAT"},
		{"null", `null`, format, "INVALID_FORMAT"},
		{"a name twice", `{"type":"chat","type":"chat","content":"x"}`, format, "INVALID_FORMAT"},
		{"no type", `{"content":"x"}`, format, "INVALID_FORMAT"},
		{"type null", `{"type":null,"content":"x"}`, format, "INVALID_FORMAT"},
		{"type a number", `{"type":1,"content":"x"}`, format, "INVALID_FORMAT"},
		{"type empty", `{"type":"","content":"x"}`, format, "INVALID_FORMAT"},
		{"unknown type", `{"type":"chatter","content":"x"}`, unknown, "UNKNOWN_TYPE"},
		{"upper case type", `{"type":"CHAT","content":"x"}`, unknown, "UNKNOWN_TYPE"},
		{"a server's type", `{"type":"stream-start","messageId":"x"}`, unknown, "UNKNOWN_TYPE"},
		{"no content", `{"type":"chat"}`, format, "INVALID_FORMAT"},
		{"content null", `{"type":"chat","content":null}`, format, "INVALID_FORMAT"},
		{"content a number", `{"type":"chat","content":1}`, format, "INVALID_FORMAT"},
		{"content an object", `{"type":"chat","content":{"text":"x"}}`, format, "INVALID_FORMAT"},
		{"content empty", `{"type":"chat","content":""}`, format, "INVALID_FORMAT"},
		{"content blank", `{"type":"chat","content":" \n\t"}`, format, "INVALID_FORMAT"},
		{"metadata a list", `{"type":"chat","content":"x","metadata":[]}`, format, "INVALID_FORMAT"},
		{"id a number", `{"type":"chat","content":"x","id":1}`, format, "INVALID_FORMAT"},
		{"id too long", `{"type":"chat","content":"x","id":"` + strings.Repeat("x", 129) + `"}`, format, "INVALID_ID"},
		{"id with a line break", `{"type":"chat","content":"x","id":"a\nb"}`, format, "INVALID_ID"},
		{"reason a number", `{"type":"human-escalation","reason":1}`, format, "INVALID_FORMAT"},
		{"feedback on nothing", `{"type":"feedback","feedbackType":"positive"}`, format, "INVALID_FORMAT"},
		{"stop a number", `{"type":"stop","messageId":7}`, format, "INVALID_FORMAT"},
		{"too large", `{"type":"chat","content":"` + strings.Repeat("x", 65536) + `"}`, format, "MESSAGE_TOO_LARGE"},
		{"a megabyte", `{"type":"chat","content":"` + strings.Repeat("x", 1<<20-40) + `"}`, format, "MESSAGE_TOO_LARGE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p.t = t
			p.send(c.text)
			f := p.want("error", c.message)
			if f["code"] != c.code || f["detail"] == "" || f["timestamp"] == "" {
				t.Errorf("answered %v", f)
			}
		})
	}
	p.t = t
	p.send(`{"type":"ping"}`)
	p.want("pong", "")
}
