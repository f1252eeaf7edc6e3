package frontends

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"parley/sessions"
	"parley/tenants"
)

func (w *world) apiKey(t *testing.T, tenant tenants.ID, spec tenants.APIKeySpec) (id, text string) {
	t.Helper()
	key, text, err := w.registry.CreateAPIKey(t.Context(), tenant, spec)
	if err != nil {
		t.Fatal(err)
	}
	return key.ID, text
}

// do makes an HTTP request and returns its status and its body as JSON.
func (w *world) do(t *testing.T, method, path, body string, headers ...string) (int, frame) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+w.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := w.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Header.Get("Access-Control-Allow-Origin") != "*" && resp.StatusCode != http.StatusNotFound {
		t.Errorf("%s %s: pages of other origins can't read the answer", method, path)
	}
	if resp.StatusCode == http.StatusTooManyRequests && resp.Header.Get("Retry-After") != "1" {
		t.Errorf("%s %s: nobody says when to try again", method, path)
	}
	var f frame
	if len(b) > 0 {
		if err := json.Unmarshal(b, &f); err != nil {
			t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, b)
		}
	}
	return resp.StatusCode, f
}

// newChat makes a chat over REST.
func (w *world) newChat(t *testing.T, key, user string) string {
	t.Helper()
	status, f := w.do(t, "POST", "/api/v1/chats/", fmt.Sprintf(`{"user_id":%q}`, user), "X-API-Key", key)
	if status != http.StatusCreated {
		t.Fatalf("%d %v", status, f)
	}
	return f["id"].(string)
}

func (w *world) tenantchat(t *testing.T, key, user, chat string) *peer {
	t.Helper()
	q := url.Values{"api_key": {key}, "user_id": {user}, "chat_id": {chat}}
	return w.dial(t, "/ws/chat?"+q.Encode(), nil)
}

// meet opens a user's first connection.
func (w *world) meet(t *testing.T, key, user, chat string) *peer {
	t.Helper()
	p := w.tenantchat(t, key, user, chat)
	p.event("connection_established")
	p.event("user_created")
	return p
}

// event reads the next frame, which must be of that type and have a time.
func (p *peer) event(kind string) frame {
	p.t.Helper()
	f := p.next()
	if f["event_type"] != kind {
		p.t.Fatalf("got %v, want %s", f, kind)
	}
	if _, err := time.Parse("2006-01-02T15:04:05.000Z", f["timestamp"].(string)); err != nil {
		p.t.Errorf("%v: %v", f, err)
	}
	return f
}

// refused reads the document's error and the close behind it.
func (p *peer) refused(code, message string) {
	p.t.Helper()
	f := p.event("error")
	details, _ := f["details"].(map[string]any)
	if f["error_code"] != code || message != "" && f["error_message"] != message || details["fix"] == "" || details["fix"] == nil {
		p.t.Errorf("refused with %v, want %s %q", f, code, message)
	}
	if end := p.closed(); end.Code != websocket.StatusPolicyViolation {
		p.t.Errorf("closed with %v", end)
	}
}

// failed reads an error after which the connection goes on.
func (p *peer) failed(code string) frame {
	p.t.Helper()
	f := p.event("error")
	details, _ := f["details"].(map[string]any)
	if f["error_code"] != code || details["fix"] == "" || details["fix"] == nil {
		p.t.Errorf("failed with %v, want %s", f, code)
	}
	return f
}

// answered reads a streamed answer and returns it with its end.
func (p *peer) answered() (text string, end frame) {
	p.t.Helper()
	p.event("message_stream_started")
	for {
		f := p.next()
		switch f["event_type"] {
		case "message_stream_token":
			text += f["token"].(string)
		case "message_stream_ended":
			return text, f
		default:
			p.t.Fatalf("in a stream: %v", f)
		}
	}
}

func TestTenantChat(t *testing.T) {
	w := newWorld(t)
	_, key := w.apiKey(t, "acme", tenants.APIKeySpec{})
	ai := w.worker(t, "acme", "ai")
	chat := w.newChat(t, key, "user 123")

	first := w.tenantchat(t, key, "user 123", chat)
	hello := first.event("connection_established")
	delete(hello, "timestamp")
	if want := (frame{"event_type": "connection_established", "user_id": "user 123", "chat_id": chat, "tenant_id": "acme"}); !reflect.DeepEqual(hello, want) {
		t.Errorf("greeted with %v", hello)
	}
	if f := first.event("user_created"); f["user_id"] != "user 123" {
		t.Errorf("%v", f)
	}
	// The same by headers, and by a token; the user is known by now.
	second := w.dial(t, "/ws/chat", &websocket.DialOptions{HTTPHeader: http.Header{
		"X-API-Key": {key}, "X-User-ID": {"user 123"}, "X-Chat-ID": {chat},
	}})
	second.event("connection_established")

	first.send(`{"content":"I need help","metadata":{"category":"billing","urgency":"high"}}`)
	for _, p := range []*peer{first, second} {
		f := p.event("message_received")
		if f["content"] != "I need help" || f["chat_id"] != chat || f["user_id"] != "user 123" || f["message_id"] == "" ||
			!reflect.DeepEqual(f["metadata"], map[string]any{"category": "billing", "urgency": "high"}) {
			t.Errorf("%v", f)
		}
	}
	// A second message waits its turn: one answer at a time.
	second.send(`{"content":"And another thing"}`)
	first.event("message_received")
	second.event("message_received")
	j := ai.take()
	if j.User != "user 123" || string(j.Metadata) != `{"category":"billing","urgency":"high"}` {
		t.Errorf("the worker was asked %+v", j.Request)
	}
	j.chunks("I'd", " be", " happy").end("Why?")
	ai.take().chunks("Two").end()
	for _, p := range []*peer{first, second} {
		if text, end := p.answered(); text != "I'd be happy" || end["content"] != text || end["message_id"] == "" || end["status"] != nil || end["chat_id"] != chat {
			t.Errorf("%q, %v", text, end)
		}
		if text, end := p.answered(); text != "Two" || end["content"] != text {
			t.Errorf("%q, %v", text, end)
		}
	}

	first.send(`{"content":"once","message_id":"m-1"}`)
	first.event("message_received")
	first.send(`{"content":"once","message_id":"m-1"}`)
	if f := first.event("message_received"); f["duplicate"] != true || f["message_id"] != "m-1" {
		t.Errorf("repeated: %v", f)
	}
	second.event("message_received")
	ai.take().chunks("A long")
	first.event("message_stream_started")
	first.event("message_stream_token")
	first.send(`{"type":"stop"}`)
	if end := first.event("message_stream_ended"); end["status"] != "stopped" || end["content"] != "A long" {
		t.Errorf("stopped: %v", end)
	}
	if text, end := second.answered(); text != "A long" || end["status"] != "stopped" {
		t.Errorf("second: %q, %v", text, end)
	}
	first.send(`{"event_type":"ping"}`)
	first.event("pong")
}

// TestTenantChatResume comes back in the middle of an answer, by another dialect, too.
func TestTenantChatResume(t *testing.T) {
	w := newWorld(t)
	_, key := w.apiKey(t, "acme", tenants.APIKeySpec{})
	ai := w.worker(t, "acme", "ai")
	chat := w.newChat(t, key, "ann")
	first := w.tenantchat(t, key, "ann", chat)
	first.event("connection_established")
	first.event("user_created")
	first.send(`{"content":"Hello"}`)
	first.event("message_received")
	j := ai.take().chunks("One", " two")
	first.event("message_stream_started")
	first.event("message_stream_token")
	_ = first.conn.CloseNow()
	j.chunks(" three")
	second := w.tenantchat(t, key, "ann", chat)
	second.event("connection_established")
	second.event("message_stream_started")
	if f := second.event("message_stream_token"); f["token"] != "One two three" {
		t.Errorf("caught up with %v", f)
	}
	token := w.token(t, tenants.TokenSpec{Tenant: "acme", User: "ann"})
	bots := w.dial(t, "/ws?token="+token, nil)
	bots.send(`{"type":"subscribe","session_id":"` + chat + `"}`)
	bots.kind("bot_typing")
	bots.kind("stream_start")
	if f := bots.kind("stream_chunk"); f["content"] != "One two three" {
		t.Errorf("caught up with %v", f)
	}
	j.chunks(" four").end()
	second.event("message_stream_token")
	if f := second.event("message_stream_ended"); f["content"] != "One two three four" {
		t.Errorf("ended with %v", f)
	}
	bots.kind("stream_chunk")
	if f := bots.kind("stream_end"); f["content"] != "One two three four" {
		t.Errorf("ended with %v", f)
	}
}

func TestTenantChatRefusals(t *testing.T) {
	w := newWorld(t)
	_, key := w.apiKey(t, "acme", tenants.APIKeySpec{})
	_, evil := w.apiKey(t, "evil", tenants.APIKeySpec{})
	_, writer := w.apiKey(t, "acme", tenants.APIKeySpec{Scopes: []tenants.Scope{tenants.WriteChats}})
	chat := w.newChat(t, key, "ann")
	ann := w.token(t, tenants.TokenSpec{Tenant: "acme", User: "ann"})
	bob := w.token(t, tenants.TokenSpec{Tenant: "acme", User: "bob"})
	login := w.token(t, tenants.TokenSpec{Tenant: "acme", User: "ann", Login: true})
	absent := func(id string) string {
		return "Chat with chat_id '" + id + "' not found or does not belong to your tenant"
	}
	const other = "550e8400-e29b-41d4-a716-446655440000"
	for name, tt := range map[string]struct{ key, user, chat, code, message string }{
		"no key":                 {"", "ann", chat, "AUTH_ERROR", "Missing api_key parameter"},
		"no user":                {key, "", chat, "AUTH_ERROR", "Missing user_id parameter"},
		"no chat":                {key, "ann", "", "AUTH_ERROR", "Missing chat_id parameter"},
		"nonsense":               {"your-key", "ann", chat, "AUTH_ERROR", "Invalid API key"},
		"a key with another end": {key[:len(key)-1] + "x", "ann", chat, "AUTH_ERROR", "Invalid API key"},
		"a key without scope":    {writer, "ann", chat, "AUTH_ERROR", "The API key lacks the scope chats:read"},
		"a broken token":         {ann + "x", "ann", chat, "AUTH_ERROR", "Invalid API key"},
		"a login token":          {login, "ann", chat, "AUTH_ERROR", "A login token opens no connection."},
		"a token of another":     {bob, "ann", chat, "AUTH_ERROR", "The token is not for user_id 'ann'"},
		"no such chat":           {key, "ann", other, "CHAT_NOT_FOUND", absent(other)},
		"no chat's id":           {key, "ann", "a.b>*", "CHAT_NOT_FOUND", absent("a.b>*")},
		"a chat of another":      {key, "bob", chat, "CHAT_NOT_FOUND", absent(chat)},
		"another user's token":   {bob, "bob", chat, "CHAT_NOT_FOUND", absent(chat)},
		"another tenant":         {evil, "ann", chat, "CHAT_NOT_FOUND", absent(chat)},
		"a user that is none":    {key, "a\nb", chat, "INVALID_FORMAT", ""},
		"a user too long":        {key, strings.Repeat("u", 129), chat, "INVALID_FORMAT", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w.tenantchat(t, tt.key, tt.user, tt.chat).refused(tt.code, tt.message)
		})
	}
	t.Run("user twice", func(t *testing.T) {
		p := w.dial(t, "/ws/chat?api_key="+key+"&user_id=ann&chat_id="+chat, &websocket.DialOptions{HTTPHeader: http.Header{"X-User-ID": {"bob"}}})
		p.refused("AUTH_ERROR", "")
	})
	t.Run("key twice", func(t *testing.T) {
		p := w.dial(t, "/ws/chat?api_key="+key+"&user_id=ann&chat_id="+chat, &websocket.DialOptions{HTTPHeader: http.Header{"X-API-Key": {evil}}})
		p.refused("AUTH_ERROR", "")
	})
	if status, f := w.do(t, "GET", "/ws/chat?api_key="+key, ""); status != http.StatusUpgradeRequired || f["code"] != "UPGRADE_REQUIRED" {
		t.Errorf("no WebSocket: %d %v", status, f)
	}
	// Nobody who was refused is known for it.
	p := w.tenantchat(t, key, "ann", chat)
	p.event("connection_established")
	p.event("user_created")
}

func TestTenantChatBadFrames(t *testing.T) {
	w := newWorld(t)
	_, key := w.apiKey(t, "acme", tenants.APIKeySpec{})
	chat := w.newChat(t, key, "ann")
	w.meet(t, key, "ann", chat)
	for name, tt := range map[string]struct{ text, code, id string }{
		"nonsense":        {`nonsense`, "INVALID_FORMAT", ""},
		"array":           {`[]`, "INVALID_FORMAT", ""},
		"no content":      {`{}`, "INVALID_FORMAT", ""},
		"null":            {`{"content":null}`, "INVALID_FORMAT", ""},
		"empty":           {`{"content":""}`, "INVALID_FORMAT", ""},
		"number":          {`{"content":7,"message_id":"m1"}`, "INVALID_FORMAT", "m1"},
		"twice":           {`{"content":"a","content":"b"}`, "INVALID_FORMAT", ""},
		"metadata":        {`{"message_id":"m2","content":"a","metadata":[1]}`, "INVALID_FORMAT", "m2"},
		"id":              {`{"content":"a","message_id":7}`, "INVALID_FORMAT", ""},
		"long id":         {`{"content":"a","message_id":"` + strings.Repeat("i", 129) + `"}`, "INVALID_ID", ""},
		"control id":      {`{"content":"a","message_id":"a\u0000b"}`, "INVALID_ID", ""},
		"type":            {`{"content":"a","type":"dance"}`, "UNKNOWN_TYPE", ""},
		"type's type":     {`{"content":"a","type":7}`, "INVALID_FORMAT", ""},
		"too large":       {`{"message_id":"m3","content":"` + strings.Repeat("x", 65_536) + `"}`, "MESSAGE_TOO_LARGE", "m3"},
		"deep":            {`{"content":"a","metadata":` + strings.Repeat(`{"a":`, 11_000), "INVALID_FORMAT", ""},
		"escalation":      {`{"type":"human-escalation","reason":7}`, "INVALID_FORMAT", ""},
		"metadata's size": {`{"content":"a","metadata":{"a":"` + strings.Repeat("x", 17<<10) + `"}}`, "INVALID_FORMAT", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := w.tenantchat(t, key, "ann", chat)
			p.event("connection_established")
			p.send(tt.text)
			if f := p.failed(tt.code); tt.id != "" && f["message_id"] != tt.id || tt.id == "" && f["message_id"] != nil {
				t.Errorf("names %v, want %q", f["message_id"], tt.id)
			}
			p.send(`{"type":"ping"}`)
			p.event("pong")
		})
	}
}

// TestTenantChatRate sends too fast, and then far too fast.
func TestTenantChatRate(t *testing.T) {
	w := newWorld(t)
	_, key := w.apiKey(t, "acme", tenants.APIKeySpec{})
	p := w.meet(t, key, "ann", w.newChat(t, key, "ann"))
	for range 11 {
		p.send(`{"type":"ping","message_id":"m"}`)
	}
	for range 10 {
		p.event("pong")
	}
	if f := p.failed("RATE_LIMITED"); f["message_id"] != "m" {
		t.Errorf("%v", f)
	}
	flooder := w.tenantchat(t, key, "ann", w.newChat(t, key, "ann"))
	for range 1000 {
		if flooder.conn.Write(t.Context(), websocket.MessageText, []byte(`{"type":"ping"}`)) != nil {
			break
		}
	}
	if end := flooder.closed(); end.Code != websocket.StatusPolicyViolation {
		t.Errorf("the flood ended with %v", end)
	}
}

func TestTenantChatConnectionLimit(t *testing.T) {
	w := newWorld(t)
	_, key := w.apiKey(t, "acme", tenants.APIKeySpec{})
	chat := w.newChat(t, key, "ann")
	open := []*peer{w.meet(t, key, "ann", chat)}
	for range 49 {
		p := w.tenantchat(t, key, "ann", chat)
		p.event("connection_established")
		open = append(open, p)
	}
	w.tenantchat(t, key, "ann", chat).refused("LIMIT_EXCEEDED", "The tenant has 50 connections open, which is the limit.")
	_, evil := w.apiKey(t, "evil", tenants.APIKeySpec{})
	w.meet(t, evil, "ann", w.newChat(t, evil, "ann")) // another tenant has its own
	_ = open[7].conn.Close(websocket.StatusNormalClosure, "")
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if w.tenantchat(t, key, "ann", chat).next()["event_type"] == "connection_established" {
			return
		}
	}
	t.Error("a place that became free can't be had")
}

// TestTenantChatEndsWithItsKey revokes a key while its connections are open.
func TestTenantChatEndsWithItsKey(t *testing.T) {
	w := newWorld(t)
	id, key := w.apiKey(t, "acme", tenants.APIKeySpec{})
	_, other := w.apiKey(t, "acme", tenants.APIKeySpec{})
	chat := w.newChat(t, key, "ann")
	cut := w.meet(t, key, "ann", chat)
	stays := w.tenantchat(t, other, "ann", chat)
	stays.event("connection_established")
	if _, err := w.registry.RevokeAPIKey(t.Context(), "acme", id); err != nil {
		t.Fatal(err)
	}
	if end := cut.closed(); end.Code != 4501 {
		t.Errorf("closed with %v", end)
	}
	w.tenantchat(t, key, "ann", chat).refused("AUTH_ERROR", "Invalid API key")
	stays.send(`{"type":"ping"}`)
	stays.event("pong")
	if _, err := w.registry.Suspend(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	if end := stays.closed(); end.Code != 4505 {
		t.Errorf("closed with %v", end)
	}
	w.tenantchat(t, other, "ann", chat).refused("AUTH_ERROR", "The tenant acme is suspended.")
}

func TestTenantChatReadOnlyKey(t *testing.T) {
	w := newWorld(t)
	_, key := w.apiKey(t, "acme", tenants.APIKeySpec{})
	_, reader := w.apiKey(t, "acme", tenants.APIKeySpec{Scopes: []tenants.Scope{tenants.ReadChats}})
	chat := w.newChat(t, key, "ann")
	p := w.meet(t, reader, "ann", chat)
	p.send(`{"content":"Hello"}`)
	p.failed("AUTH_ERROR")
	p.send(`{"type":"stop"}`)
	p.failed("AUTH_ERROR")
	for _, tt := range []struct {
		method, path, body string
		status             int
	}{
		{"POST", "/api/v1/chats/", `{"user_id":"ann"}`, 403},
		{"DELETE", "/api/v1/chats/" + chat, "", 403},
		{"GET", "/api/v1/chats/" + chat, "", 200},
		{"POST", "/api/sessions", `{"user_id":"ann"}`, 403},
		{"DELETE", "/api/sessions/" + chat, "", 403},
		{"GET", "/api/sessions/" + chat, "", 200},
	} {
		if status, f := w.do(t, tt.method, tt.path, tt.body, "X-API-Key", reader); status != tt.status {
			t.Errorf("%s %s: %d %v", tt.method, tt.path, status, f)
		}
	}
}

// TestTenantChatFailures has answers that fail, before they begin and after, and a human who takes over.
func TestTenantChatFailures(t *testing.T) {
	w := newWorld(t)
	_, key := w.apiKey(t, "acme", tenants.APIKeySpec{})
	ai := w.worker(t, "acme", "ai")
	chat := w.newChat(t, key, "ann")
	p := w.meet(t, key, "ann", chat)
	p.send(`{"content":"Hello"}`)
	p.event("message_received")
	ai.take().chunks("I think").send("error", map[string]any{"code": "UNAVAILABLE", "message": "The model gave up."})
	if text, end := p.answered(); text != "I think" || end["status"] != "failed" {
		t.Errorf("%q, %v", text, end)
	}
	if f := p.failed("WORKER_FAILED"); f["error_message"] != "The model gave up." {
		t.Errorf("%v", f)
	}
	p.send(`{"type":"human-escalation","reason":"I want a human"}`)
	owner, err := w.registry.Get("acme")
	if err != nil {
		t.Fatal(err)
	}
	olga := sessions.Principal{Tenant: "acme", Account: owner.Account, User: "olga", Operator: true}
	if err := w.talks.Claim(t.Context(), olga, chat); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.talks.Say(t.Context(), olga, chat, sessions.Utterance{Text: "Hi, this is Olga."}); err != nil {
		t.Fatal(err)
	}
	if text, end := p.answered(); text != "Hi, this is Olga." || end["content"] != text || end["sender_role"] != "operator" {
		t.Errorf("%q, %v", text, end)
	}
	if err := w.talks.Delete(t.Context(), olga, chat); err != nil {
		t.Fatal(err)
	}
	p.refused("CHAT_NOT_FOUND", "")
}

func TestTenantChatREST(t *testing.T) {
	w := newWorld(t)
	_, key := w.apiKey(t, "acme", tenants.APIKeySpec{})
	_, evil := w.apiKey(t, "evil", tenants.APIKeySpec{})
	ai := w.worker(t, "acme", "ai")
	status, made := w.do(t, "POST", "/api/v1/chats/", `{"user_id":"ann smith","title":"Billing","metadata":{"a":1}}`, "X-API-Key", key)
	if status != 201 {
		t.Fatalf("%d %v", status, made)
	}
	chat := made["id"].(string)
	for name, want := range map[string]any{
		"user_id": "ann smith", "tenant_id": "acme", "title": "Billing", "config": map[string]any{}, "last_message_at": nil,
		"metadata": map[string]any{"a": 1.0}, "updated_at": made["created_at"],
	} {
		if got, there := made[name]; !there || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	p := w.meet(t, key, "ann smith", chat)
	for i, text := range []string{"one", "two", "three"} {
		p.send(`{"content":"` + text + `","metadata":{"n":1}}`)
		p.event("message_received")
		ai.take().chunks("answer ", text).end()
		if got, _ := p.answered(); got != "answer "+text {
			t.Fatalf("answer %d: %q", i, got)
		}
	}
	page := func(query string) (roles, texts []string, f frame) {
		t.Helper()
		status, f := w.do(t, "GET", "/api/v1/chats/"+chat+"/messages"+query, "", "X-API-Key", key)
		if status != 200 {
			t.Fatalf("%d %v", status, f)
		}
		for _, m := range f["messages"].([]any) {
			m := m.(map[string]any)
			if m["id"] == "" || m["created_at"] == "" || m["chat_id"] != chat {
				t.Errorf("%v", m)
			}
			roles, texts = append(roles, m["sender_role"].(string)), append(texts, m["content"].(string))
		}
		return roles, texts, f
	}
	roles, texts, f := page("")
	if !reflect.DeepEqual(roles, []string{"user", "assistant", "user", "assistant", "user", "assistant"}) || texts[1] != "answer one" ||
		f["total"] != 6.0 || f["offset"] != 0.0 || f["limit"] != 50.0 || f["has_more"] != false {
		t.Errorf("%v %v %v", roles, texts, f)
	}
	if _, texts, f := page("?order=desc&limit=2&offset=1"); !reflect.DeepEqual(texts, []string{"three", "answer two"}) || f["has_more"] != true || f["limit"] != 2.0 {
		t.Errorf("%v %v", texts, f)
	}
	if _, texts, f := page("?offset=6"); len(texts) != 0 || f["has_more"] != false {
		t.Errorf("%v %v", texts, f)
	}

	second := w.newChat(t, key, "ann smith")
	w.newChat(t, key, "bob")
	status, list := w.do(t, "GET", "/api/v1/chats/user/ann%20smith?limit=1", "", "X-API-Key", key)
	if chats, _ := list["chats"].([]any); status != 200 || len(chats) != 1 || list["total"] != 2.0 || list["has_more"] != true || chats[0].(map[string]any)["id"] != second {
		t.Errorf("%d %v", status, list)
	}
	status, one := w.do(t, "GET", "/api/v1/chats/"+chat, "", "X-API-Key", key)
	if status != 200 || one["last_message_at"] == nil || one["message_count"] != 6.0 {
		t.Errorf("%d %v", status, one)
	}

	ann := w.token(t, tenants.TokenSpec{Tenant: "acme", User: "bob"})
	for _, tt := range []struct {
		method, path, body string
		headers            []string
		status             int
		code               string
	}{
		{"POST", "/api/v1/chats/", `{"user_id":"x"}`, nil, 401, "AUTH_REQUIRED"},
		{"POST", "/api/v1/chats/", `{"user_id":"x"}`, []string{"X-API-Key", "nonsense"}, 401, "AUTH_FAILED"},
		{"POST", "/api/v1/chats/", `{}`, []string{"X-API-Key", key}, 400, "INVALID_FORMAT"},
		{"POST", "/api/v1/chats/", ``, []string{"X-API-Key", key}, 400, "INVALID_FORMAT"},
		{"POST", "/api/v1/chats/", `nonsense`, []string{"X-API-Key", key}, 400, "INVALID_FORMAT"},
		{"POST", "/api/v1/chats/", `{"user_id":7}`, []string{"X-API-Key", key}, 400, "INVALID_FORMAT"},
		{"POST", "/api/v1/chats/", `{"user_id":"a\u0000"}`, []string{"X-API-Key", key}, 400, "INVALID_FORMAT"},
		{"POST", "/api/v1/chats/", `{"user_id":"a","title":7}`, []string{"X-API-Key", key}, 400, "INVALID_FORMAT"},
		{"POST", "/api/v1/chats/", `{"user_id":"a","title":"` + strings.Repeat("t", 257) + `"}`, []string{"X-API-Key", key}, 400, "INVALID_FORMAT"},
		{"POST", "/api/v1/chats/", `{"user_id":"a","metadata":[]}`, []string{"X-API-Key", key}, 400, "INVALID_FORMAT"},
		{"POST", "/api/v1/chats/", `{"user_id":"a","metadata":{"x":"` + strings.Repeat("t", 70_000) + `"}}`, []string{"X-API-Key", key}, 413, "MESSAGE_TOO_LARGE"},
		{"POST", "/api/v1/chats/", `{"user_id":"a"}`, []string{"X-API-Key", key, "X-User-ID", "b"}, 403, "PERMISSION_DENIED"},
		{"POST", "/api/v1/chats/", `{"user_id":"ann smith"}`, []string{"Authorization", "Bearer " + ann}, 403, "PERMISSION_DENIED"},
		{"POST", "/api/v1/chats", `{"user_id":"bob"}`, []string{"Authorization", "Bearer " + ann}, 201, ""},
		{"POST", "/api/v1/chats", `{}`, []string{"X-API-Key", ann}, 201, ""},
		{"PUT", "/api/v1/chats/", `{}`, []string{"X-API-Key", key}, 405, "METHOD_NOT_ALLOWED"},
		{"GET", "/api/v1/chats/" + chat, ``, []string{"Authorization", "Bearer " + ann}, 404, "NOT_FOUND"},
		{"GET", "/api/v1/chats/" + chat, ``, []string{"X-API-Key", key, "X-User-ID", "bob"}, 404, "NOT_FOUND"},
		{"GET", "/api/v1/chats/" + chat, ``, []string{"X-API-Key", evil}, 404, "NOT_FOUND"},
		{"GET", "/api/v1/chats/" + chat + "/messages", ``, []string{"X-API-Key", evil}, 404, "NOT_FOUND"},
		{"GET", "/api/v1/chats/" + chat + "/messages", ``, []string{"Authorization", "Bearer " + ann}, 404, "NOT_FOUND"},
		{"GET", "/api/v1/chats/" + chat + "/messages?limit=101", ``, []string{"X-API-Key", key}, 400, "INVALID_FORMAT"},
		{"GET", "/api/v1/chats/" + chat + "/messages?offset=-1", ``, []string{"X-API-Key", key}, 400, "INVALID_FORMAT"},
		{"GET", "/api/v1/chats/" + chat + "/messages?order=up", ``, []string{"X-API-Key", key}, 400, "INVALID_FORMAT"},
		{"GET", "/api/v1/chats/" + chat + "/else", ``, []string{"X-API-Key", key}, 404, "NOT_FOUND"},
		{"GET", "/api/v1/chats/user/ann%20smith", ``, []string{"Authorization", "Bearer " + ann}, 403, "PERMISSION_DENIED"},
		{"GET", "/api/v1/chats/nothing", ``, []string{"X-API-Key", key}, 404, "NOT_FOUND"},
		{"GET", "/api/v1/chats/a.b", ``, []string{"X-API-Key", key}, 404, "NOT_FOUND"},
		{"DELETE", "/api/v1/chats/" + chat, ``, []string{"X-API-Key", evil}, 404, "NOT_FOUND"},
		{"DELETE", "/api/v1/chats/" + chat, ``, []string{"Authorization", "Bearer " + ann}, 404, "NOT_FOUND"},
	} {
		if status, f := w.do(t, tt.method, tt.path, tt.body, tt.headers...); status != tt.status || tt.code != "" && f["code"] != tt.code {
			t.Errorf("%s %s %.60s: %d %v, want %d %s", tt.method, tt.path, tt.body, status, f, tt.status, tt.code)
		}
	}
	if status, list := w.do(t, "GET", "/api/v1/chats/user/ann%20smith", "", "X-API-Key", evil); status != 200 || list["total"] != 0.0 {
		t.Errorf("another tenant lists %v", list)
	}

	if status, _ := w.do(t, "DELETE", "/api/v1/chats/"+chat, "", "X-API-Key", key); status != 204 {
		t.Errorf("delete: %d", status)
	}
	p.refused("CHAT_NOT_FOUND", "")
	if status, _ := w.do(t, "GET", "/api/v1/chats/"+chat, "", "X-API-Key", key); status != 404 {
		t.Errorf("deleted, but %d", status)
	}
	status, _ = w.do(t, "OPTIONS", "/api/v1/chats/", "")
	if status != http.StatusNoContent {
		t.Errorf("preflight: %d", status)
	}
}
