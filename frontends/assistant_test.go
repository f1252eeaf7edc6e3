package frontends

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"parley/broker"
	"parley/frontends/assistant"
	"parley/tenants"
)

// exchange asks for an access token as the published page does.
func (w *world) exchange(t *testing.T, login string) (status int, answer map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+w.url+"/websocket/get_access_token", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Origin", "https://shop.example")
	if login != "" {
		req.Header.Set("Authorization", "Bearer "+login)
	}
	res, err := w.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	if res.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Error("a page of another origin can't read the answer")
	}
	return res.StatusCode, answer
}

func (w *world) login(t *testing.T, tenant tenants.ID, user broker.Token) string {
	t.Helper()
	return w.token(t, tenants.TokenSpec{Tenant: tenant, User: user, Login: true, TTL: time.Hour})
}

// access returns an access token made of a login token.
func (w *world) access(t *testing.T, tenant tenants.ID, user broker.Token) string {
	t.Helper()
	status, answer := w.exchange(t, w.login(t, tenant, user))
	token, _ := answer["access_token"].(string)
	if status != http.StatusOK || token == "" {
		t.Fatalf("exchange: %d %v", status, answer)
	}
	return token
}

// assistant opens a connection of the assistant dialect with an access token. One with an origin is a page's.
func (w *world) assistant(t *testing.T, access, origin string) *peer {
	t.Helper()
	return w.dial(t, "/websocket/ws?access_token="+access, &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {origin}}})
}

func TestAccessToken(t *testing.T) {
	w := newWorld(t)
	status, answer := w.exchange(t, w.login(t, "acme", "ann"))
	if status != http.StatusOK || answer["token_type"] != "Bearer" || answer["expires_in"] != 300.0 {
		t.Fatalf("%d %v", status, answer)
	}
	g, err := w.registry.Verify(t.Context(), answer["access_token"].(string))
	if err != nil || g.Login || g.Agent != "ann" || g.Tenant != "acme" {
		t.Errorf("the access token grants %+v, %v", g, err)
	}
	for name, login := range map[string]string{
		"none": "", "nonsense": "x.y.z", "an access token": w.token(t, tenants.TokenSpec{Tenant: "acme", User: "ann"}),
	} {
		if status, answer := w.exchange(t, login); status != http.StatusUnauthorized || answer["message"] == "" || answer["fix"] == "" {
			t.Errorf("%s: %d %v", name, status, answer)
		}
	}
	if status, _ := w.tryDial(t, "/websocket/ws?access_token="+w.login(t, "acme", "ann")); status != http.StatusForbidden {
		t.Errorf("a login token on the socket: %d", status)
	}
	if status, _ := w.tryDial(t, "/websocket/ws"); status != http.StatusUnauthorized {
		t.Errorf("no token on the socket: %d", status)
	}
	acme, err := w.registry.Get("acme")
	if err != nil {
		t.Fatal(err)
	}
	login := w.login(t, "acme", "ann")
	if _, err := w.registry.RevokeKey(t.Context(), "acme", acme.Keys[0].Kid); err != nil {
		t.Fatal(err)
	}
	if status, answer := w.exchange(t, login); status != http.StatusUnauthorized {
		t.Errorf("after its key was revoked: %d %v", status, answer)
	}
}

func TestAccessTokenPreflight(t *testing.T) {
	w := newWorld(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, "http://"+w.url+"/websocket/get_access_token", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", "https://shop.example")
	req.Header.Set("Access-Control-Request-Method", "GET")
	req.Header.Set("Access-Control-Request-Headers", "authorization,content-type")
	res, err := w.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	allowed := strings.ToLower(res.Header.Get("Access-Control-Allow-Headers"))
	if res.StatusCode != http.StatusNoContent || !strings.Contains(allowed, "authorization") || !strings.Contains(allowed, "content-type") ||
		res.Header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(res.Header.Get("Access-Control-Allow-Methods"), "GET") {
		t.Errorf("%d %v", res.StatusCode, res.Header)
	}
}

// response is what an assistant's frame says.
type response struct {
	conversation, request, delta, status string
	finished, final                      bool
	followUps                            any
	problem                              map[string]any
}

func (p *peer) response() (r response) {
	p.t.Helper()
	f := p.next()
	if f["type"] != "conversation_with_aileen" {
		p.t.Fatalf("got %v", f)
	}
	body := f["response"].(map[string]any)
	data := body["data"].(map[string]any)
	r.conversation, _ = data["meta"].(map[string]any)["conversation_id"].(string)
	r.request, _ = body["request_id"].(string)
	r.status, _ = body["status"].(string)
	r.delta = data["delta"].(string)
	r.finished, r.final = data["delta_generation_finished"].(bool), body["is_final"].(bool)
	r.followUps = data["follow_up_questions"]
	r.problem, _ = body["error"].(map[string]any)
	return r
}

// answer reads one answer to its end, which has to be one to this request.
func (p *peer) answer(conversation, request string) (text string, last response) {
	p.t.Helper()
	for {
		r := p.response()
		if r.conversation != conversation || r.request != request {
			p.t.Fatalf("in the answer to %s: %+v", request, r)
		}
		text += r.delta
		if r.finished != r.final || !r.finished && r.followUps != nil {
			p.t.Fatalf("%+v", r)
		}
		if r.finished {
			return text, r
		}
	}
}

func ask(conversation, request, message string) string {
	b, _ := json.Marshal(map[string]string{
		"type": "conversation_with_aileen", "message": message, "conversation_id": conversation, "request_id": request,
	})
	return string(b)
}

func TestAssistant(t *testing.T) {
	w := newWorld(t)
	ai := w.worker(t, "acme", "ai")
	token := w.access(t, "acme", "ann")
	page, other := w.assistant(t, token, "https://shop.example"), w.assistant(t, token, "")

	page.send(ask("c-1", "r-1", "Hello"))
	ai.take().chunks("Hel", "lo ✓").end("Why?", "How?")
	text, last := page.answer("c-1", "r-1")
	if q, _ := last.followUps.([]any); text != "Hello ✓" || last.status != "complete" || len(q) != 2 || q[0] != "Why?" {
		t.Errorf("%q %+v", text, last)
	}

	// Two conversations side by side, and two messages in one of them.
	page.send(ask("c-1", "r-2", "first"))
	first := ai.take()
	first.chunks("a")
	page.send(ask("c-1", "r-3", "second"))
	page.send(ask("c-2", "r-4", "elsewhere"))
	ai.take().chunks("b").end()
	if r := page.response(); r.request != "r-2" || r.delta != "a" {
		t.Errorf("%+v", r)
	}
	if text, _ := page.answer("c-2", "r-4"); text != "b" {
		t.Errorf("side by side: %q", text)
	}
	first.chunks("c").end()
	if text, _ := page.answer("c-1", "r-2"); text != "c" {
		t.Errorf("the rest of the first: %q", text)
	}
	ai.take().chunks("d").end()
	if text, _ := page.answer("c-1", "r-3"); text != "d" {
		t.Errorf("the second: %q", text)
	}

	// What was said twice is answered once, and told again to who has not got it.
	page.send(ask("c-1", "r-3", "second"))
	page.send(`{"type":"ping"}`)
	page.want("pong", "")
	other.send(ask("c-1", "r-3", "second"))
	if text, _ := other.answer("c-1", "r-3"); text != "d" {
		t.Errorf("said again on another connection: %q", text)
	}

	page.send(ask("c-2", "r-5", "stop this"))
	ai.take().chunks("e")
	page.response()
	page.send(`{"type":"stop","conversation_id":"c-2","request_id":"r-5"}`)
	if _, last := page.answer("c-2", "r-5"); last.status != "stopped" {
		t.Errorf("stopped: %+v", last)
	}
	page.send(`{"type":"human-escalation","conversation_id":"c-2","reason":"help"}`)
	page.want("human-escalation-response", "A human agent will contact you soon.")
	page.send(`{"type":"feedback","conversation_id":"c-2","request_id":"r-5","feedbackType":"negative"}`)
	page.want("feedback-confirmation", "")
}

// TestAssistantOfATenant is another one than the document's, with workers of its own.
func TestAssistantOfATenant(t *testing.T) {
	w := newWorld(t)
	sales := w.worker(t, "acme", "sales")
	p := w.assistant(t, w.access(t, "acme", "ann"), "")
	p.send(`{"type":"conversation_with_sales","message":"Hello","conversation_id":"c-1","request_id":"r-1"}`)
	sales.take().end()
	if f := p.next(); f["type"] != "conversation_with_sales" {
		t.Errorf("%v", f)
	}
}

// TestAssistantResume comes back in the middle of an answer without a word, as the published page does.
func TestAssistantResume(t *testing.T) {
	w := newWorld(t)
	ai := w.worker(t, "acme", "ai")
	token := w.access(t, "acme", "ann")
	tab := w.assistant(t, token, "https://shop.example")
	tab.send(ask("other", "r-0", "Hello"))
	elsewhere := ai.take().chunks("another tab's")
	tab.response()

	page := w.assistant(t, token, "https://shop.example")
	page.send(ask("c-1", "r-1", "Hello"))
	j := ai.take().chunks("One", " two")
	if r := page.response(); r.request != "r-1" {
		t.Fatalf("%+v", r)
	}
	_ = page.conn.CloseNow()
	w.awaitConnections(t, 1)
	j.chunks(" three")
	page = w.assistant(t, token, "https://shop.example")
	if r := page.response(); r.request != "" || r.delta != "" || !r.finished || r.final || r.conversation != "c-1" {
		t.Errorf("what the page shows should be ended, not %+v", r)
	}
	j.chunks(" four")
	if r := page.response(); r.delta != "One two three" || r.request != "r-1" {
		t.Errorf("caught up with %+v", r)
	}
	if r := page.response(); r.delta != " four" {
		t.Errorf("went on with %+v", r)
	}
	_ = page.conn.CloseNow()
	w.awaitConnections(t, 1)
	j.chunks(" five").end()
	client := w.assistant(t, token, "") // no page: nothing that it shows has to be ended
	if text, _ := client.answer("c-1", "r-1"); text != "One two three four five" {
		t.Errorf("after the end: %q", text)
	}
	elsewhere.end()
	if text, _ := tab.answer("other", "r-0"); text != "" {
		t.Errorf("the other tab: %q", text)
	}
	client.send(`{"type":"ping"}`)
	client.want("pong", "") // and nothing of the other tab's before it
}

// TestAssistantPing closes connections that do not answer.
func TestAssistantPing(t *testing.T) {
	w := newWorldWith(t, Config{Assistant: assistant.Config{PingEvery: 10 * time.Millisecond, PongWithin: 200 * time.Millisecond}})
	p := w.assistant(t, w.access(t, "acme", "ann"), "")
	p.want("ping", "")
	p.send(`{"type":"pong"}`)
	p.want("ping", "")
	if c := p.closed(); c.Code != websocket.StatusGoingAway {
		t.Errorf("closed with %d", c.Code)
	}
}

// TestAssistantIsolation: no conversation of another user's, and none of another tenant's under the same id.
func TestAssistantIsolation(t *testing.T) {
	w := newWorld(t)
	ai, evil := w.worker(t, "acme", "ai"), w.worker(t, "evil", "ai")
	ann := w.assistant(t, w.access(t, "acme", "ann"), "")
	ann.send(ask("c-1", "r-1", "secret"))
	j := ai.take().chunks("secret")
	ann.response()
	eve := w.assistant(t, w.access(t, "acme", "eve"), "")
	for _, frame := range []string{
		ask("c-1", "r-2", "let me in"),
		`{"type":"stop","conversation_id":"c-1"}`,
		`{"type":"human-escalation","conversation_id":"c-1"}`,
		`{"type":"feedback","conversation_id":"c-1","request_id":"r-1"}`,
	} {
		eve.send(frame)
		if r := eve.response(); r.problem["code"] != "NOT_FOUND" || strings.Contains(r.delta, "secret") {
			t.Errorf("%s: %+v", frame, r)
		}
	}
	mallory := w.assistant(t, w.access(t, "evil", "ann"), "")
	mallory.send(ask("c-1", "r-1", "mine"))
	evil.take().chunks("own").end()
	if text, _ := mallory.answer("c-1", "r-1"); text != "own" {
		t.Errorf("%q", text)
	}
	j.end()
	ann.answer("c-1", "r-1")
}

func TestAssistantBadInput(t *testing.T) {
	w := newWorld(t)
	p := w.assistant(t, w.access(t, "acme", "ann"), "")
	for _, c := range []struct{ name, text, code, conversation, request string }{
		{"nothing", "", "INVALID_FORMAT", "", ""},
		{"not JSON", "hello", "INVALID_FORMAT", "", ""},
		{"cut off", `{"request_id":"r-1","conversation_id":"c-1","type":`, "INVALID_FORMAT", "c-1", "r-1"},
		{"not an object", `["x"]`, "INVALID_FORMAT", "", ""},
		{"a name twice", `{"type":"x","type":"x"}`, "INVALID_FORMAT", "", ""},
		{"no type", `{"message":"x","conversation_id":"c-1","request_id":"r-1"}`, "INVALID_FORMAT", "c-1", "r-1"},
		{"type a number", `{"type":1}`, "INVALID_FORMAT", "", ""},
		{"unknown type", `{"type":"conversation","conversation_id":"c-1"}`, "UNKNOWN_TYPE", "c-1", ""},
		{"an assistant that is no id", `{"type":"conversation_with_a.b"}`, "UNKNOWN_TYPE", "", ""},
		{"no message", `{"type":"conversation_with_aileen","conversation_id":"c-1","request_id":"r-1"}`, "INVALID_FORMAT", "c-1", "r-1"},
		{"message empty", ask("c-1", "r-1", ""), "INVALID_FORMAT", "c-1", "r-1"},
		{"message blank", ask("c-1", "r-1", "  "), "INVALID_FORMAT", "c-1", "r-1"},
		{"message a number", `{"type":"conversation_with_aileen","conversation_id":"c-1","request_id":"r-1","message":1}`, "INVALID_FORMAT", "c-1", "r-1"},
		{"no conversation", `{"type":"conversation_with_aileen","message":"x","request_id":"r-1"}`, "INVALID_FORMAT", "", "r-1"},
		{"conversation null", `{"type":"conversation_with_aileen","conversation_id":null,"message":"x","request_id":"r-1"}`, "INVALID_FORMAT", "", "r-1"},
		{"conversation that is no id", ask("a.*", "r-1", "x"), "INVALID_ID", "", "r-1"},
		{"conversation too long", ask(strings.Repeat("x", 65), "r-1", "x"), "INVALID_ID", "", "r-1"},
		{"no request", `{"type":"conversation_with_aileen","message":"x","conversation_id":"c-1"}`, "INVALID_FORMAT", "c-1", ""},
		{"request empty", ask("c-1", "", "x"), "INVALID_FORMAT", "c-1", ""},
		{"request with a line break", ask("c-1", "a\nb", "x"), "INVALID_ID", "c-1", ""},
		{"request too long", ask("c-1", strings.Repeat("x", 129), "x"), "INVALID_ID", "c-1", ""},
		{"metadata a string", `{"type":"conversation_with_aileen","message":"x","conversation_id":"c-1","request_id":"r-1","metadata":"x"}`, "INVALID_FORMAT", "c-1", "r-1"},
		{"stop of nothing", `{"type":"stop"}`, "INVALID_FORMAT", "", ""},
		{"stop of an unknown conversation", `{"type":"stop","conversation_id":"nowhere"}`, "NOT_FOUND", "nowhere", ""},
		{"too large", `{"request_id":"r-1","conversation_id":"c-1","type":"conversation_with_aileen","message":"` + strings.Repeat("x", 65536) + `"}`, "MESSAGE_TOO_LARGE", "c-1", "r-1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p.t = t
			p.send(c.text)
			r := p.response()
			if r.problem["code"] != c.code || r.problem["message"] != r.delta || r.delta == "" || !r.finished || !r.final ||
				r.conversation != c.conversation || r.request != c.request || r.status != "failed" {
				t.Errorf("answered %+v", r)
			}
		})
	}
	p.t = t
	p.send(`{"type":"ping"}`)
	p.want("pong", "")
}
