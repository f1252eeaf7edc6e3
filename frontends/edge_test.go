package frontends

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"parley/acks"
	"parley/broker"
	"parley/broker/brokertest"
	"parley/channels"
	"parley/frontends/door"
	"parley/frontends/ws"
	"parley/internal/fault"
	"parley/internal/openapi/openapitest"
	"parley/quota"
	"parley/rooms"
	"parley/sessions"
	"parley/tenants"
)

// TestMain fails when a test leaves a goroutine behind. Started by a benchmark, it is the server or another client.
func TestMain(m *testing.M) {
	if os.Getenv(serveBenchmark) != "" {
		benchmarkServer()
		return
	}
	if spec := os.Getenv(serveNoise); spec != "" {
		benchmarkNoise(spec)
		return
	}
	goleak.VerifyTestMain(m)
}

// world is a node with two tenants of which the second is hostile.
type world struct {
	*brokertest.Node
	talks    *sessions.Hub
	meetings *rooms.Hub
	registry *tenants.Registry
	edge     *Edge
	url      string       // host:port
	client   *http.Client // checks answers against the description
	drain    func()
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldWith(t, Config{})
}

func newWorldWith(t testing.TB, cfg Config) *world {
	t.Helper()
	return newWorldOn(t, broker.Config{DataDir: t.TempDir()}, cfg)
}

// newWorldOn starts on a data directory, which may have been another world's that has ended.
func newWorldOn(t testing.TB, store broker.Config, cfg Config) *world {
	t.Helper()
	return newWorldIn(t, brokertest.Start(t, store), cfg)
}

// newWorldIn starts what runs on a node, from the bottom.
func newWorldIn(t testing.TB, n *brokertest.Node, cfg Config) *world {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	cfg.Sockets.IdleAfter = 24 * time.Hour
	log := slog.New(slog.DiscardHandler)
	committer := acks.NewCommitter(n.Sync)
	registry, err := tenants.Open(t.Context(), n.Engine, tenants.Config{}, log)
	must(err)
	cfg.Quota = quota.NewBook(registry, n.Engine, log)
	hub := channels.NewHub(channels.Config{Frame: ws.AppendText, Quota: cfg.Quota}, n.Engine, committer, log)
	limits := func(a broker.AccountID) *quota.Tenant { return cfg.Quota.Tenant(registry.Of(a)) }
	talks, err := sessions.NewHub(sessions.Config{Quota: limits}, n.Engine, committer, log)
	must(err)
	meetings, err := rooms.NewHub(rooms.Config{Quota: limits}, n.Engine, log)
	must(err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	edge := New(cfg, registry, hub, talks, meetings, log)
	for _, run := range []func(context.Context) error{committer.Run, registry.Run, hub.Run, talks.Run, meetings.Run} {
		n.Run(run)
	}
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	for _, id := range []tenants.ID{"acme", "evil"} {
		_, _, err := registry.Create(t.Context(), tenants.Spec{ID: id})
		must(err)
	}
	return &world{
		Node: n, talks: talks, meetings: meetings, registry: registry, edge: edge, url: l.Addr().String(),
		client: &http.Client{Transport: openapitest.New(t, http.DefaultTransport, "/openapi.json")},
		drain:  n.Run(func(ctx context.Context) error { return edge.Serve(ctx, l) }),
	}
}

func (w *world) token(t testing.TB, spec tenants.TokenSpec) string {
	t.Helper()
	token, err := w.registry.IssueToken(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// peer is a client that reads frames as maps.
type peer struct {
	t    *testing.T
	conn *websocket.Conn
}

func (w *world) dial(t *testing.T, pathAndQuery string, opts *websocket.DialOptions) *peer {
	t.Helper()
	conn, resp, err := websocket.Dial(t.Context(), "ws://"+w.url+pathAndQuery, opts)
	if err != nil {
		body := ""
		if resp != nil && resp.Body != nil {
			b, _ := io.ReadAll(resp.Body)
			body = string(b)
		}
		t.Fatalf("dial %s: %v %s", pathAndQuery, err, body)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &peer{t, conn}
}

func (w *world) agent(t *testing.T, tenant tenants.ID, agent broker.Token, query string) *peer {
	t.Helper()
	return w.dial(t, "/v1/ws?token="+w.token(t, tenants.TokenSpec{Tenant: tenant, Agent: agent})+query, nil)
}

type frame map[string]any

func (p *peer) send(text string) {
	p.t.Helper()
	if err := p.conn.Write(p.t.Context(), websocket.MessageText, []byte(text)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) next() frame {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 20*time.Second)
	defer cancel()
	_, b, err := p.conn.Read(ctx)
	if err != nil {
		p.t.Fatal(err)
	}
	var f frame
	if err := json.Unmarshal(b, &f); err != nil {
		p.t.Fatalf("%s: %v", b, err)
	}
	return f
}

// expect reads frames until one of each given "type:id-or-content" has come, in any order, and returns them.
func (p *peer) expect(want ...string) map[string]frame {
	p.t.Helper()
	got := map[string]frame{}
	for range want {
		f := p.next()
		key, _ := f["type"].(string)
		for _, name := range []string{"message_id", "id", "code"} {
			if s, ok := f[name].(string); ok {
				key += ":" + s
				break
			}
		}
		got[key] = f
	}
	for _, w := range want {
		if got[w] == nil {
			p.t.Fatalf("no %s among %v", w, got)
		}
	}
	return got
}

func (p *peer) closed() websocket.CloseError {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 20*time.Second)
	defer cancel()
	for {
		if _, _, err := p.conn.Read(ctx); err != nil {
			var c websocket.CloseError
			if c.Code = websocket.CloseStatus(err); c.Code < 0 {
				p.t.Fatalf("ended without a close frame: %v", err)
			}
			return c
		}
	}
}

func TestConversation(t *testing.T) {
	w := newWorld(t)
	ann := w.agent(t, "acme", "ann", "&channel_id=news")
	bob := w.agent(t, "acme", "bob", "&channel_id=news&echo=false")
	spy := w.agent(t, "evil", "bob", "&channel_id=news")

	ann.send(`{"id":"m1","type":"message","content":"Hello","metadata":{"k":"v"},"agent_id":"eve","tenant_id":"evil"}`)
	f := ann.expect("ACK:m1", "message:m1")["message:m1"]
	if f["agent_id"] != "ann" || f["tenant_id"] != "acme" || f["channel_id"] != "news" || f["content"] != "Hello" || f["seq"] != 1.0 {
		t.Fatalf("message %v", f)
	}
	bob.expect("message:m1")
	bob.send(`{"id":"m2","type":"task","x":[1,{"y":null}]}`)
	if f := bob.next(); f["type"] != "ACK" || f["message_id"] != "m2" {
		t.Fatalf("without echo bob got %v", f)
	}
	ann.expect("task:m2")

	ann.send(`{"id":"m1","type":"message","content":"again"}`)
	if f := ann.expect("ACK:m1")["ACK:m1"]; f["duplicate"] != true || f["seq"] != 1.0 {
		t.Fatalf("repetition %v", f)
	}
	ann.send(`{"id":"d1","type":"message","content":"psst","target":"bob"}`)
	ann.expect("ACK:d1")
	if f := bob.expect("message:d1")["message:d1"]; f["target"] != "bob" || f["channel_id"] != nil {
		t.Fatalf("direct message %v", f)
	}
	for _, tt := range []struct{ text, want string }{
		{`{"id":"s1","type":"subscribe","channel_id":"other"}`, "ACK:s1"},
		{`{"id":"s2","type":"history","limit":1}`, "ACK:s2"},
		{`{"id":"s3","type":"presence"}`, "ACK:s3"},
		{`{"id":"s4","type":"status","status":"busy"}`, "ACK:s4"},
		{`{"id":"s5","type":"unsubscribe","channel_id":"other"}`, "ACK:s5"},
		{`{"id":"s6","type":"unsubscribe","channel_id":"other"}`, "ERROR:s6"},
		{`{"id":"s7","type":"ping"}`, "ACK:s7"},
		{`nonsense`, "ERROR:INVALID_FORMAT"},
		{`{"id":"s8","type":"status","status":"asleep"}`, "ERROR:s8"},
		{`{"id":"s9","type":"ACK"}`, "ERROR:s9"},
		{`{"id":"s10"}`, "ERROR:s10"},
	} {
		ann.send(tt.text)
		f := ann.expect(tt.want)[tt.want]
		switch tt.want {
		case "ACK:s2":
			if m := f["messages"].([]any); len(m) != 1 || m[0].(map[string]any)["id"] != "m2" {
				t.Errorf("history %v", f)
			}
		case "ACK:s3":
			if a := f["agents"].([]any); len(a) != 2 || a[0].(map[string]any)["agent_id"] != "ann" {
				t.Errorf("presence %v", f)
			}
		}
	}
	spy.send(`{"id":"own","type":"message","content":"mine"}`)
	if f := spy.expect("ACK:own", "message:own")["message:own"]; f["seq"] != 1.0 {
		t.Errorf("the other tenant's first message %v", f)
	}
}

func TestResumeOnTheEndpoint(t *testing.T) {
	w := newWorld(t)
	ann := w.agent(t, "acme", "ann", "&channel_id=news")
	for _, id := range []string{"1", "2", "3"} {
		ann.send(`{"id":"` + id + `","type":"message","content":1}`)
		ann.expect("ACK:"+id, "message:"+id)
	}
	bob := w.agent(t, "acme", "bob", "&channel_id=news&since=1")
	for _, want := range []string{"2", "3"} {
		if f := bob.next(); f["id"] != want {
			t.Fatalf("got %v, want %s", f, want)
		}
	}
	bob.send(`{"id":"s","type":"subscribe","channel_id":"news","since":0}`)
	if f := bob.next(); f["type"] != "ACK" || f["seq"] != 0.0 {
		t.Fatalf("got %v, want the ACK first", f)
	}
	for _, want := range []string{"1", "2", "3"} {
		if f := bob.next(); f["id"] != want {
			t.Fatalf("got %v, want %s", f, want)
		}
	}
}

func TestTokensEverywhere(t *testing.T) {
	w := newWorld(t)
	token := w.token(t, tenants.TokenSpec{Tenant: "acme", Agent: "ann"})
	w.dial(t, "/v1/ws/tenant/acme/agent/ann/channel/news?token="+token, nil)
	w.dial(t, "/v1/ws", &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}})
	bearer := bearerProtocol + base64.RawURLEncoding.EncodeToString([]byte(token))
	p := w.dial(t, "/v1/ws", &websocket.DialOptions{Subprotocols: []string{bearer, "parley"}})
	if got := p.conn.Subprotocol(); got != "parley" {
		t.Errorf("subprotocol %q, want the one that is no token", got)
	}
}

func TestRefusalsBeforeTheUpgrade(t *testing.T) {
	w := newWorld(t)
	good := w.token(t, tenants.TokenSpec{Tenant: "acme", Agent: "ann", Channels: []string{"news"}})
	other := w.token(t, tenants.TokenSpec{Tenant: "acme", Agent: "bob"})
	login := w.token(t, tenants.TokenSpec{Tenant: "acme", User: "ann", Login: true})
	for _, tt := range []struct {
		path   string
		status int
		code   fault.Code
	}{
		{"/v1/ws", 401, fault.AuthRequired},
		{"/v1/ws?token=", 401, fault.AuthRequired},
		{"/v1/ws?token=nonsense", 401, fault.AuthFailed},
		{"/v1/ws?token=" + good + "&token=" + other, 401, fault.AuthFailed},
		{"/v1/ws?token=" + login, 403, fault.PermissionDenied},
		{"/v1/ws?token=" + good + "&channel_id=secret", 403, fault.PermissionDenied},
		{"/v1/ws?token=" + good + "&channel_id=a..b", 400, fault.InvalidID},
		{"/v1/ws?token=" + good + "&channel_id=news&since=yesterday", 400, fault.InvalidFormat},
		{"/v1/ws?token=" + good + "&echo=maybe", 400, fault.InvalidFormat},
		{"/v1/ws?token=" + good, 426, fault.UpgradeRequired},
		{"/v1/ws?token=" + good + "&since=1", 400, fault.InvalidFormat}, // of which channel?
		{"/v1/ws/tenant/evil/agent/ann/channel/news?token=" + good, 403, fault.PermissionDenied},
		{"/v1/ws/tenant/acme/agent/bob/channel/news?token=" + good, 403, fault.PermissionDenied},
		{"/v1/ws/tenant/acme/agent/ann/channel/secret?token=" + good, 403, fault.PermissionDenied},
		{"/v1/nothing?token=" + good, 404, fault.NotFound},
		{"/v1/agents/nobody?token=" + good, 404, fault.NotFound},
		{"/v1/channels/secret/messages?token=" + good, 403, fault.PermissionDenied},
		{"/v1/channels/news/messages?limit=0&token=" + good, 400, fault.InvalidFormat},
	} {
		resp, err := http.Get("http://" + w.url + tt.path)
		if err != nil {
			t.Fatal(err)
		}
		var body struct{ Code fault.Code }
		err = json.NewDecoder(resp.Body).Decode(&body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != tt.status || body.Code != tt.code {
			t.Errorf("%s: %d %s, %v; want %d %s", strings.SplitN(tt.path, "ey", 2)[0], resp.StatusCode, body.Code, err, tt.status, tt.code)
		}
	}
}

func TestPublishAndReadOverHTTP(t *testing.T) {
	w := newWorld(t)
	token := w.token(t, tenants.TokenSpec{Tenant: "acme", Agent: "ann"})
	do := func(method, path, body string) (int, frame) {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+w.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := w.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var f frame
		if err := json.NewDecoder(resp.Body).Decode(&f); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, f
	}
	const message = `{"id":"m1","content":"over HTTP"}`
	if status, f := do("POST", "/v1/channels/news/messages", message); status != 201 || f["type"] != "ACK" || f["seq"] != 1.0 {
		t.Fatalf("%d %v", status, f)
	}
	if status, f := do("POST", "/v1/channels/news/messages", message); status != 200 || f["duplicate"] != true {
		t.Fatalf("%d %v", status, f)
	}
	if status, f := do("POST", "/v1/channels/news/messages", strings.Repeat("x", 70_000)); status != 413 || f["code"] != "MESSAGE_TOO_LARGE" {
		t.Fatalf("%d %v", status, f)
	}
	if status, f := do("DELETE", "/v1/channels/news/messages", ""); status != 405 || f["code"] != "METHOD_NOT_ALLOWED" {
		t.Fatalf("%d %v", status, f)
	}
	if status, f := do("GET", "/v1/channels/news/messages?since=0", ""); status != 200 || len(f["messages"].([]any)) != 1 || f["next"] != 1.0 || f["more"] != false {
		t.Fatalf("%d %v", status, f)
	}
	w.agent(t, "acme", "ann", "")
	if status, f := do("GET", "/v1/agents/ann", ""); status != 200 || f["agent_id"] != "ann" {
		t.Fatalf("%d %v", status, f)
	}
}

func TestGrantsEndOpenConnections(t *testing.T) {
	w := newWorld(t)
	for name, tt := range map[string]struct {
		end  func(t *testing.T)
		code websocket.StatusCode
	}{
		"suspension": {func(t *testing.T) {
			if _, err := w.registry.Suspend(t.Context(), "acme"); err != nil {
				t.Fatal(err)
			}
		}, websocket.StatusCode(door.Suspended)},
		"deletion": {func(t *testing.T) {
			if err := w.registry.Delete(t.Context(), "acme"); err != nil {
				t.Fatal(err)
			}
		}, websocket.StatusCode(door.Revoked)},
		"revoked key": {func(t *testing.T) {
			acme, err := w.registry.Get("acme")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.registry.RevokeKey(t.Context(), "acme", acme.Keys[0].Kid); err != nil {
				t.Fatal(err)
			}
		}, websocket.StatusCode(door.Revoked)},
		"expiry": {func(*testing.T) { w.edge.set.Tick(time.Now().Add(2 * time.Hour)) }, websocket.StatusCode(door.TokenExpired)},
		"drain":  {func(*testing.T) { go w.drain() }, websocket.StatusServiceRestart},
	} {
		t.Run(name, func(t *testing.T) {
			w = newWorld(t)
			ann := w.agent(t, "acme", "ann", "&channel_id=news")
			ann.send(`{"type":"ping","id":"p"}`) // so that it is served for sure
			ann.expect("ACK:p")
			tt.end(t)
			if got := ann.closed(); got.Code != tt.code {
				t.Errorf("closed with %d, want %d", got.Code, tt.code)
			}
		})
	}
}

func TestRenewedToken(t *testing.T) {
	w := newWorld(t)
	ann := w.agent(t, "acme", "ann", "&channel_id=news")
	fresh := w.token(t, tenants.TokenSpec{Tenant: "acme", Agent: "ann", Channels: []string{"other"}, TTL: 5 * time.Hour})
	for _, foreign := range []string{
		w.token(t, tenants.TokenSpec{Tenant: "acme", Agent: "bob"}), w.token(t, tenants.TokenSpec{Tenant: "evil", Agent: "ann"}), "nonsense", "",
	} {
		ann.send(`{"id":"a","type":"auth","token":"` + foreign + `"}`)
		ann.expect("ERROR:a")
	}
	ann.send(`{"id":"a","type":"auth","token":"` + fresh + `"}`)
	ann.expect("ACK:a")
	ann.send(`{"id":"m","type":"message","content":1}`)
	if f := ann.expect("ERROR:m")["ERROR:m"]; f["code"] != "PERMISSION_DENIED" {
		t.Errorf("publish under the new token: %v", f)
	}
	w.edge.set.Tick(time.Now().Add(2 * time.Hour)) // the first token would have ended
	ann.send(`{"id":"p","type":"ping"}`)
	ann.expect("ACK:p")
}

func TestTakeTokenLeavesNothingToLog(t *testing.T) {
	const secret = "canary-token"
	r := httptest.NewRequest("GET", "/v1/ws?x=1&token="+secret+"&access_token="+secret+"&api_key="+secret, nil)
	r.Header.Set("Authorization", "bearer "+secret)
	r.Header.Set("Sec-WebSocket-Protocol", "chat, "+bearerProtocol+base64.RawURLEncoding.EncodeToString([]byte(secret)))
	token, err := takeToken(r, "token")
	if err != nil || token != secret {
		t.Fatalf("token %q, %v", token, err)
	}
	if r.URL.String() != "/v1/ws?x=1" || r.RequestURI != "/v1/ws?x=1" || len(r.Header) != 1 || r.Header.Get("Sec-WebSocket-Protocol") != "chat" {
		t.Errorf("what is left: %s %s %v", r.URL, r.RequestURI, r.Header)
	}
}

// tryDial opens a connection and returns the status and body of a refusal, 0 when there is none.
func (w *world) tryDial(t *testing.T, path string) (int, string) {
	t.Helper()
	conn, resp, err := websocket.Dial(t.Context(), "ws://"+w.url+path, nil)
	if err == nil {
		_ = conn.CloseNow()
		return 0, ""
	}
	if resp == nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}
