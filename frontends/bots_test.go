package frontends

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/uuid"

	"parley/broker"
	"parley/frontends/bots"
	"parley/sessions"
	"parley/tenants"
)

func (w *world) bots(t *testing.T, tenant tenants.ID, user broker.Token) *peer {
	t.Helper()
	return w.dial(t, "/ws?token="+w.token(t, tenants.TokenSpec{Tenant: tenant, User: user}), nil)
}

// kind reads the next frame, which must be of that type.
func (p *peer) kind(kind string) frame {
	p.t.Helper()
	f := p.next()
	if f["type"] != kind {
		p.t.Fatalf("got %v, want %s", f, kind)
	}
	return f
}

func (p *peer) errorCode(code string) frame {
	p.t.Helper()
	f := p.kind("error")
	if f["code"] != code || f["message"] == "" || f["message"] == nil {
		p.t.Errorf("got %v, want %s", f, code)
	}
	return f
}

// alive expects that the connection goes on, and that nothing else has come.
func (p *peer) alive() {
	p.t.Helper()
	p.send(`{"type":"ping"}`)
	if f := p.kind("pong"); f["timestamp"] == "" {
		p.t.Errorf("%v", f)
	}
}

// turnedAway reads AUTH_FAILED and the close behind it.
func (p *peer) turnedAway() {
	p.t.Helper()
	p.errorCode("AUTH_FAILED")
	if end := p.closed(); end.Code != websocket.StatusPolicyViolation {
		p.t.Errorf("closed with %v", end)
	}
}

// botStream reads a streamed answer with the typing around it.
func (p *peer) botStream(session string) (text string, end frame) {
	p.t.Helper()
	if f := p.kind("bot_typing"); f["is_typing"] != true || f["session_id"] != session {
		p.t.Errorf("%v", f)
	}
	start := p.kind("stream_start")
	if start["session_id"] != session {
		p.t.Errorf("%v", start)
	}
	for {
		f := p.next()
		switch f["type"] {
		case "stream_chunk":
			text += f["content"].(string)
		case "tool_call", "tool_result":
		case "stream_end":
			if f["message_id"] != start["message_id"] {
				p.t.Errorf("%v ends with %v", start, f)
			}
			if typing := p.kind("bot_typing"); typing["is_typing"] != false {
				p.t.Errorf("%v", typing)
			}
			return text, f
		default:
			p.t.Fatalf("in a stream: %v", f)
		}
	}
}

func TestBots(t *testing.T) {
	w := newWorld(t)
	ai := w.worker(t, "acme", "ai")
	ann, phone := w.bots(t, "acme", "ann"), w.bots(t, "acme", "ann")

	ann.send(`{"type":"message","content":"Hello, I need help with my order"}`)
	session, _ := ann.kind("session_created")["session_id"].(string)
	if uuid.Validate(session) != nil {
		t.Errorf("session %q", session)
	}
	ann.alive() // the message is stored
	phone.send(`{"type":"subscribe","session_id":"` + session + `"}`)
	phone.alive()
	j := ai.take()
	if j.User != "ann" || j.Text != "Hello, I need help with my order" {
		t.Errorf("the worker was asked %+v", j.Request)
	}
	j.chunks("I'd be happy to ")
	j.send("tool_call", map[string]any{"tool": "search_orders", "call_id": "c", "arguments": map[string]any{"order_id": "12345"}})
	j.send("tool_result", map[string]any{"tool": "search_orders", "call_id": "c", "result": map[string]any{"status": "shipped"}})
	j.chunks("help!").end("Why?")
	for name, p := range map[string]*peer{"ann": ann, "phone": phone} {
		p.kind("bot_typing")
		p.kind("stream_start")
		p.kind("stream_chunk")
		call, result := p.kind("tool_call"), p.kind("tool_result")
		if call["tool"] != "search_orders" || call["session_id"] != session || call["arguments"].(map[string]any)["order_id"] != "12345" ||
			result["tool"] != "search_orders" || result["result"].(map[string]any)["status"] != "shipped" {
			t.Errorf("%s: %v %v", name, call, result)
		}
		p.kind("stream_chunk")
		if f := p.kind("stream_end"); f["content"] != "I'd be happy to help!" {
			t.Errorf("%s: %v", name, f)
		}
		p.kind("bot_typing")
	}

	// The envelope, and what each side sees of the other.
	phone.send(`{"type":"message","payload":{"session_id":"` + session + `","content":"From my phone","type":"ignored"},"timestamp":"2024-01-01T10:00:00Z"}`)
	if f := ann.kind("message"); f["role"] != "user" || f["content"] != "From my phone" || f["session_id"] != session || f["message_id"] == "" || f["timestamp"] == "" {
		t.Errorf("%v", f)
	}
	ai.take().chunks("Yes").end()
	for name, p := range map[string]*peer{"ann": ann, "phone": phone} { // the sender does not see its own message
		if text, end := p.botStream(session); text != "Yes" || end["content"] != "Yes" {
			t.Errorf("%s: %q %v", name, text, end)
		}
	}
	ann.send(`{"type":"typing_start","session_id":"` + session + `"}`)
	if f := phone.kind("typing_start"); f["session_id"] != session {
		t.Errorf("%v", f)
	}
	ann.send(`{"type":"typing_stop","session_id":"` + session + `"}`)
	phone.kind("typing_stop")

	// Two sessions on one socket.
	fresh := uuid.NewString()
	ann.send(`{"type":"message","session_id":"` + fresh + `","content":"Another one"}`)
	if f := ann.kind("session_created"); f["session_id"] != fresh {
		t.Errorf("%v", f)
	}
	ai.take().chunks("Two").end()
	if text, _ := ann.botStream(fresh); text != "Two" {
		t.Errorf("%q", text)
	}
	ann.send(`{"type":"unsubscribe","session_id":"` + session + `"}`)
	ann.alive()
	phone.send(`{"type":"message","session_id":"` + session + `","content":"Alone"}`)
	ai.take().chunks("A long")
	phone.kind("bot_typing")
	phone.kind("stream_start")
	phone.kind("stream_chunk")
	phone.send(`{"type":"stop","session_id":"` + session + `"}`)
	if f := phone.kind("stream_end"); f["status"] != "stopped" || f["content"] != "A long" {
		t.Errorf("%v", f)
	}
	phone.kind("bot_typing")
	ann.alive() // nothing of it has come here

	status, _ := w.do(t, "DELETE", "/api/sessions/"+session+"?reason=user_disconnect", "", "Authorization", "Bearer "+w.token(t, tenants.TokenSpec{Tenant: "acme", User: "ann"}))
	if f := phone.kind("session_closed"); status != 204 || f["session_id"] != session || f["reason"] != "user_disconnect" {
		t.Errorf("%d %v", status, f)
	}
	phone.send(`{"type":"message","session_id":"` + session + `","content":"Too late"}`)
	phone.errorCode("SESSION_CLOSED")
	phone.send(`{"type":"subscribe"}`)
	phone.kind("session_created")
}

func TestBotsResume(t *testing.T) {
	w := newWorld(t)
	ai := w.worker(t, "acme", "ai")
	first := w.bots(t, "acme", "ann")
	first.send(`{"type":"message","content":"Hello"}`)
	session := first.kind("session_created")["session_id"].(string)
	j := ai.take().chunks("One", " two")
	first.kind("bot_typing")
	first.kind("stream_start")
	first.kind("stream_chunk")
	_ = first.conn.CloseNow()
	second := w.bots(t, "acme", "ann")
	second.send(`{"type":"subscribe","session_id":"` + session + `"}`)
	second.kind("bot_typing")
	second.kind("stream_start")
	if f := second.kind("stream_chunk"); f["content"] != "One two" {
		t.Errorf("caught up with %v", f)
	}
	j.chunks(" three").end()
	second.kind("stream_chunk")
	if f := second.kind("stream_end"); f["content"] != "One two three" {
		t.Errorf("ended with %v", f)
	}
}

func TestBotsAuthentication(t *testing.T) {
	w := newWorld(t)
	good := w.token(t, tenants.TokenSpec{Tenant: "acme", User: "ann"})
	login := w.token(t, tenants.TokenSpec{Tenant: "acme", User: "ann", Login: true})
	_, key := w.apiKey(t, "acme", tenants.APIKeySpec{})
	for _, bad := range []string{"auth-token", good + "x", login, key} {
		w.dial(t, "/ws?token="+bad, nil).turnedAway()
		p := w.dial(t, "/ws", nil)
		p.send(`{"type":"auth","token":"` + bad + `"}`)
		p.turnedAway()
	}
	p := w.dial(t, "/ws?token="+good, &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + login}}})
	p.turnedAway()

	for _, first := range []string{
		`{"type":"message","content":"Hello"}`, `{"type":"subscribe","session_id":"x"}`, `{"type":"auth"}`, `{"type":"auth","token":7}`, `{"type":"dance"}`,
	} {
		p := w.dial(t, "/ws", nil)
		p.send(`nonsense`)
		p.errorCode("INVALID_FORMAT")
		p.alive()
		p.send(first)
		p.turnedAway()
	}

	p = w.dial(t, "/ws", nil)
	p.send(`{"type":"auth","token":"` + good + `"}`)
	p.send(`{"type":"subscribe"}`)
	p.kind("session_created")
	// Another token of the same user renews the connection, one of somebody else does not, and harms nothing.
	for _, other := range []string{
		w.token(t, tenants.TokenSpec{Tenant: "acme", User: "bob"}), w.token(t, tenants.TokenSpec{Tenant: "evil", User: "ann"}), "nonsense",
	} {
		p.send(`{"type":"auth","token":"` + other + `"}`)
		p.errorCode("AUTH_FAILED")
	}
	p.send(`{"type":"auth","payload":{"token":"` + w.token(t, tenants.TokenSpec{Tenant: "acme", User: "ann", TTL: 5 * time.Hour}) + `"}}`)
	p.alive()
	w.edge.set.Tick(time.Now().Add(2 * time.Hour))
	p.alive()
	w.edge.set.Tick(time.Now().Add(6 * time.Hour))
	if end := p.closed(); end.Code != 4001 {
		t.Errorf("closed with %v", end)
	}
}

func TestBotsAuthenticationInTime(t *testing.T) {
	w := newWorldWith(t, Config{Bots: bots.Config{AuthWithin: 50 * time.Millisecond}})
	w.dial(t, "/ws", nil).turnedAway()
	p := w.bots(t, "acme", "ann")
	p.send(`{"type":"subscribe"}`)
	p.kind("session_created")
	late := w.dial(t, "/ws", nil)
	late.turnedAway()
	p.alive()
}

// TestBotsStrangers tries to reach a session of another user and of another tenant, by its id, in every way.
func TestBotsStrangers(t *testing.T) {
	w := newWorld(t)
	ai := w.worker(t, "acme", "ai")
	ann := w.bots(t, "acme", "ann")
	ann.send(`{"type":"message","content":"A secret"}`)
	session := ann.kind("session_created")["session_id"].(string)
	j := ai.take().chunks("The answer")
	ann.kind("bot_typing")
	ann.kind("stream_start")
	ann.kind("stream_chunk")
	for _, who := range []struct {
		tenant    tenants.ID
		user      broker.Token
		subscribe string
	}{{"acme", "bob", "SUBSCRIPTION_FAILED"}, {"evil", "ann", "SESSION_NOT_FOUND"}} {
		p := w.bots(t, who.tenant, who.user)
		p.send(`{"type":"subscribe","session_id":"` + session + `"}`)
		if f := p.errorCode(who.subscribe); f["session_id"] != session {
			t.Errorf("%v", f)
		}
		p.send(`{"type":"unsubscribe","session_id":"` + session + `"}`)
		p.errorCode("SUBSCRIPTION_FAILED")
		for _, verb := range []string{"typing_start", "typing_stop", "stop", "human-escalation"} {
			p.send(`{"type":"` + verb + `","session_id":"` + session + `"}`)
			p.errorCode("SESSION_NOT_FOUND")
		}
		if who.tenant == "acme" {
			p.send(`{"type":"message","session_id":"` + session + `","content":"Let me in"}`)
			p.errorCode("SESSION_NOT_FOUND")
		}
		p.alive()
		token := []string{"Authorization", "Bearer " + w.token(t, tenants.TokenSpec{Tenant: who.tenant, User: who.user})}
		_, key := w.apiKey(t, who.tenant, tenants.APIKeySpec{})
		if status, f := w.do(t, "POST", "/api/sessions/"+session+"/stop", "", token...); status != 404 || f["error"].(map[string]any)["code"] != "SESSION_NOT_FOUND" {
			t.Errorf("%s stops: %d %v", who.user, status, f)
		}
		for _, method := range []string{"GET", "DELETE"} {
			if status, f := w.do(t, method, "/api/sessions/"+session, "", token...); status != 404 || f["error"].(map[string]any)["code"] != "SESSION_NOT_FOUND" {
				t.Errorf("%s %s: %d %v", who.user, method, status, f)
			}
			if who.tenant == "evil" {
				if status, f := w.do(t, method, "/api/sessions/"+session, "", "X-API-Key", key); status != 404 {
					t.Errorf("%s by API key: %d %v", method, status, f)
				}
			}
		}
		if _, f := w.do(t, "GET", "/api/sessions", "", token...); f["total"] != 0.0 {
			t.Errorf("%s lists %v", who.user, f)
		}
		if status, _ := w.do(t, "GET", "/api/sessions?user_id=ann", "", token...); who.tenant == "acme" && status != 403 {
			t.Errorf("%s lists ann's: %d", who.user, status)
		}
	}
	j.chunks(" goes on").end()
	ann.kind("stream_chunk")
	if f := ann.kind("stream_end"); f["content"] != "The answer goes on" || f["status"] != nil {
		t.Errorf("%v", f)
	}
}

func TestBotsBadFrames(t *testing.T) {
	w := newWorld(t)
	p := w.bots(t, "acme", "ann")
	const absent = "550e8400-e29b-41d4-a716-446655440000"
	for name, tt := range map[string]struct{ text, code, session, id string }{
		"nonsense":           {`nonsense`, "INVALID_FORMAT", "", ""},
		"array":              {`[]`, "INVALID_FORMAT", "", ""},
		"no type":            {`{"content":"a"}`, "INVALID_FORMAT", "", ""},
		"type's type":        {`{"type":7}`, "INVALID_FORMAT", "", ""},
		"type in payload":    {`{"payload":{"type":"ping"}}`, "INVALID_FORMAT", "", ""},
		"unknown type":       {`{"type":"dance"}`, "INVALID_FORMAT", "", ""},
		"server's type":      {`{"type":"stream_start","session_id":"s"}`, "INVALID_FORMAT", "s", ""},
		"payload":            {`{"type":"message","payload":[]}`, "INVALID_FORMAT", "", ""},
		"twice":              {`{"type":"ping","type":"ping"}`, "INVALID_FORMAT", "", ""},
		"no content":         {`{"type":"message","session_id":"s"}`, "INVALID_FORMAT", "s", ""},
		"empty content":      {`{"type":"message","content":""}`, "INVALID_FORMAT", "", ""},
		"content's type":     {`{"type":"message","content":{},"message_id":"m"}`, "INVALID_FORMAT", "", "m"},
		"metadata":           {`{"type":"message","content":"a","metadata":7}`, "INVALID_FORMAT", "", ""},
		"message_id":         {`{"type":"message","content":"a","message_id":"a\nb"}`, "INVALID_FORMAT", "", ""},
		"bot_id":             {`{"type":"message","content":"a","bot_id":"a.b"}`, "INVALID_FORMAT", "", ""},
		"session's type":     {`{"type":"message","content":"a","session_id":7}`, "INVALID_FORMAT", "", ""},
		"session-uuid":       {`{"type":"message","content":"a","session_id":"session-uuid"}`, "SESSION_NOT_FOUND", "session-uuid", ""},
		"wildcard":           {`{"type":"message","content":"a","session_id":"a.>"}`, "SESSION_NOT_FOUND", "a.>", ""},
		"subscribe":          {`{"type":"subscribe","session_id":"` + absent + `"}`, "SESSION_NOT_FOUND", absent, ""},
		"subscribe wildcard": {`{"type":"subscribe","session_id":"*"}`, "SESSION_NOT_FOUND", "*", ""},
		"unsubscribe":        {`{"type":"unsubscribe","session_id":"` + absent + `"}`, "SUBSCRIPTION_FAILED", absent, ""},
		"unsubscribe what":   {`{"type":"unsubscribe"}`, "INVALID_FORMAT", "", ""},
		"typing where":       {`{"type":"typing_start"}`, "INVALID_FORMAT", "", ""},
		"typing":             {`{"type":"typing_start","payload":{"session_id":"` + absent + `"}}`, "SESSION_NOT_FOUND", absent, ""},
		"too large":          {`{"type":"message","session_id":"s","message_id":"m","content":"` + strings.Repeat("x", 65_536) + `"}`, "MESSAGE_TOO_LARGE", "s", "m"},
		"deep":               {`{"type":"message","content":"a","metadata":` + strings.Repeat(`{"a":`, 11_000), "INVALID_FORMAT", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := &peer{t, w.bots(t, "acme", "ann").conn}
			p.send(tt.text)
			f := p.errorCode(tt.code)
			for member, want := range map[string]string{"session_id": tt.session, "message_id": tt.id} {
				if got, _ := f[member].(string); got != want {
					t.Errorf("%s %q, want %q", member, got, want)
				}
			}
			p.alive()
		})
	}
	p.alive()
	if err := p.conn.Write(t.Context(), websocket.MessageBinary, []byte(`{"type":"ping"}`)); err != nil {
		t.Fatal(err)
	}
	p.errorCode("INVALID_FORMAT")
}

func TestBotsRate(t *testing.T) {
	w := newWorld(t)
	w.limit(t, "acme", "messages_per_second=1")
	p := w.bots(t, "acme", "ann")
	for range 3 {
		p.send(`{"type":"ping"}`)
	}
	p.kind("pong")
	p.kind("pong")
	p.errorCode("RATE_LIMITED")
}

func TestBotsREST(t *testing.T) {
	w := newWorld(t)
	ann := []string{"Authorization", "Bearer " + w.token(t, tenants.TokenSpec{Tenant: "acme", User: "ann"})}
	_, key := w.apiKey(t, "acme", tenants.APIKeySpec{})
	status, made := w.do(t, "POST", "/api/sessions", `{"bot_id":"support","user_id":"ann","metadata":{"a":1}}`, ann...)
	if status != 201 || made["id"] == "" || made["id"] != made["session_id"] || made["bot_id"] != "support" || made["user_id"] != "ann" ||
		made["status"] != "active" || made["created_at"] == nil || made["last_activity"] == nil {
		t.Fatalf("%d %v", status, made)
	}
	id := made["id"].(string)
	for _, body := range []string{"", "{}", `{"bot_id":null,"user_id":null,"metadata":null}`} {
		if status, f := w.do(t, "POST", "/api/sessions", body, ann...); status != 201 || f["bot_id"] != "ai" {
			t.Errorf("%q: %d %v", body, status, f)
		}
	}
	if status, f := w.do(t, "GET", "/api/sessions/"+id, "", ann...); status != 200 || f["session_id"] != id {
		t.Errorf("%d %v", status, f)
	}
	status, list := w.do(t, "GET", "/api/sessions?limit=3", "", ann...)
	if all, _ := list["sessions"].([]any); status != 200 || len(all) != 3 || list["total"] != 4.0 || list["has_more"] != true {
		t.Errorf("%d %v", status, list)
	}
	if status, f := w.do(t, "POST", "/api/sessions", `{"user_id":"bob"}`, "X-API-Key", key); status != 201 || f["user_id"] != "bob" {
		t.Errorf("%d %v", status, f)
	}
	if _, f := w.do(t, "GET", "/api/sessions?user_id=bob", "", "X-API-Key", key); f["total"] != 1.0 {
		t.Errorf("%v", f)
	}
	if _, f := w.do(t, "GET", "/api/sessions", "", "X-API-Key", key); f["total"] != 5.0 {
		t.Errorf("%v", f)
	}
	for _, tt := range []struct {
		method, path, body string
		headers            []string
		status             int
		code               string
	}{
		{"GET", "/api/sessions", "", nil, 401, "AUTH_FAILED"},
		{"GET", "/api/sessions", "", []string{"Authorization", "Bearer x"}, 401, "AUTH_FAILED"},
		{"POST", "/api/sessions", `nonsense`, ann, 400, "INVALID_FORMAT"},
		{"POST", "/api/sessions", `[]`, ann, 400, "INVALID_FORMAT"},
		{"POST", "/api/sessions", `{"bot_id":"a.b"}`, ann, 400, "INVALID_FORMAT"},
		{"POST", "/api/sessions", `{"bot_id":7}`, ann, 400, "INVALID_FORMAT"},
		{"POST", "/api/sessions", `{"metadata":7}`, ann, 400, "INVALID_FORMAT"},
		{"POST", "/api/sessions", `{"user_id":"bob"}`, ann, 403, "PERMISSION_DENIED"},
		{"POST", "/api/sessions", `{}`, []string{"X-API-Key", key}, 400, "INVALID_FORMAT"},
		{"POST", "/api/sessions", `{"metadata":{"a":"` + strings.Repeat("x", 70_000) + `"}}`, ann, 413, "MESSAGE_TOO_LARGE"},
		{"GET", "/api/sessions?limit=0", "", ann, 400, "INVALID_FORMAT"},
		{"GET", "/api/sessions/nothing", "", ann, 404, "SESSION_NOT_FOUND"},
		{"GET", "/api/sessions/a.b", "", ann, 404, "SESSION_NOT_FOUND"},
		{"PUT", "/api/sessions", "", ann, 405, "METHOD_NOT_ALLOWED"},
		{"GET", "/api/unknown", "", ann, 404, "NOT_FOUND"},
	} {
		status, f := w.do(t, tt.method, tt.path, tt.body, tt.headers...)
		problem, _ := f["error"].(map[string]any)
		if status != tt.status || f["success"] != false || problem["code"] != tt.code || problem["message"] == "" {
			t.Errorf("%s %s %.60s: %d %v, want %d %s", tt.method, tt.path, tt.body, status, f, tt.status, tt.code)
		}
	}

	// A session for another bot is answered by that bot's workers, and by operators when a human takes over.
	support := w.worker(t, "acme", "support")
	p := w.bots(t, "acme", "ann")
	p.send(`{"type":"message","session_id":"` + id + `","content":"Hello"}`)
	support.take().chunks("Hi").end()
	if text, _ := p.botStream(id); text != "Hi" {
		t.Errorf("%q", text)
	}
	owner, err := w.registry.Get("acme")
	if err != nil {
		t.Fatal(err)
	}
	olga := sessions.Principal{Tenant: "acme", Account: owner.Account, User: "olga", Operator: true}
	if err := w.talks.Claim(t.Context(), olga, id); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.talks.Say(t.Context(), olga, id, sessions.Utterance{Text: "This is Olga."}); err != nil {
		t.Fatal(err)
	}
	if f := p.kind("message"); f["role"] != "assistant" || f["sender_role"] != "operator" || f["content"] != "This is Olga." {
		t.Errorf("%v", f)
	}
	if err := w.talks.Delete(t.Context(), olga, id); err != nil {
		t.Fatal(err)
	}
	if f := p.kind("session_closed"); f["session_id"] != id {
		t.Errorf("%v", f)
	}
}
