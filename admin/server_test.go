package admin

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/nats-io/nats.go"

	"parley/acks"
	"parley/admin/adminkey"
	"parley/broker"
	"parley/broker/brokertest"
	"parley/channels"
	"parley/internal/fault"
	"parley/internal/loglevel"
	"parley/internal/openapi/openapitest"
	"parley/rooms"
	"parley/sessions"
	"parley/tenants"
)

// world is a whole broker but for its client edge, with its admin API on a real socket.
type world struct {
	*Client
	url, key   string
	engine     *broker.Engine
	hub        *channels.Hub
	talks      *sessions.Hub
	meetings   *rooms.Hub
	registry   *tenants.Registry
	keys       *adminkey.Store
	full       atomic.Bool
	unwritable atomic.Bool // the audit log
	stopAPI    func()
	logged     *bytes.Buffer // read after the test's end only
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	node := brokertest.Start(t, broker.Config{DataDir: dir})
	w := &world{engine: node.Engine, logged: &bytes.Buffer{}}
	log := slog.New(slog.NewTextHandler(w.logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	registry, err := tenants.Open(t.Context(), w.engine, tenants.Config{}, nil)
	must(err)
	committer := acks.NewCommitter(w.engine.Sync)
	w.hub = channels.NewHub(channels.Config{Frame: func(dst, m []byte) []byte { return append(dst, m...) }}, w.engine, committer, slog.New(slog.DiscardHandler))
	w.registry = registry
	w.talks, err = sessions.NewHub(sessions.Config{}, w.engine, committer, slog.New(slog.DiscardHandler))
	must(err)
	w.meetings, err = rooms.NewHub(rooms.Config{}, w.engine, slog.New(slog.DiscardHandler))
	must(err)
	registry.Changes(func(t tenants.Tenant) { // as the edge does
		if t.State != tenants.Active {
			w.hub.Drop(t.ID)
			w.talks.Drop(t.Account)
			w.meetings.Drop(t.Account)
		}
	})
	w.key, err = EnsureKey(dir)
	must(err)
	journal, err := w.engine.Journal(t.Context(), "audit", time.Hour)
	must(err)
	w.keys, err = adminkey.Open(t.Context(), w.engine, log)
	must(err)
	server, err := New(Config{
		Key: w.key, Keys: w.keys, LogLevel: loglevel.New(slog.LevelInfo), Node: "here", Journal: &flaky{Journal: journal, broken: &w.unwritable}, Ready: w.ready,
		Info: func() Info { return Info{Version: "test", Listen: []string{"127.0.0.1:1"}} },
	}, registry, w.engine, w.hub, w.talks, w.meetings, log)
	must(err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	w.url = "http://" + l.Addr().String()

	for _, run := range []func(context.Context) error{registry.Run, committer.Run, w.hub.Run, w.talks.Run, w.meetings.Run} {
		node.Run(run)
	}
	w.stopAPI = node.Run(func(ctx context.Context) error { return server.Serve(ctx, l) })
	w.Client, err = NewClient(w.url, w.key)
	must(err)
	w.Client.http.Transport = openapitest.New(t, http.DefaultTransport, prefix+"/openapi.json")
	t.Cleanup(w.Client.Close)
	return w
}

func (w *world) ready() error {
	if w.full.Load() {
		return errors.New("canary: the disk at /secret is full")
	}
	return nil
}

func (w *world) mustCreate(t *testing.T, id tenants.ID) {
	t.Helper()
	if _, created, err := w.CreateTenant(t.Context(), NewTenant{ID: id}); err != nil || !created {
		t.Fatalf("create %s: %t, %v", id, created, err)
	}
}

func wantCode(t *testing.T, what string, err error, code fault.Code) {
	t.Helper()
	if fault.CodeOf(err) != code {
		t.Errorf("%s: %q (%v), want %q", what, fault.CodeOf(err), err, code)
	}
}

// do makes a raw request.
func (w *world) do(t *testing.T, method, path, body string, header http.Header) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func (w *world) bearer() http.Header { return http.Header{"Authorization": {"Bearer " + w.key}} }

func TestTenantLife(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.mustCreate(t, "acme")
	if _, created, err := w.CreateTenant(ctx, NewTenant{ID: "acme"}); err != nil || created {
		t.Errorf("again: %t, %v", created, err)
	}
	_, _, err := w.CreateTenant(ctx, NewTenant{ID: "acme", Name: "Other"})
	wantCode(t, "another name", err, fault.AlreadyExists)
	_, _, err = w.CreateTenant(ctx, NewTenant{ID: "a.b"})
	wantCode(t, "bad id", err, fault.InvalidID)
	w.mustCreate(t, "other")
	if all, err := w.Tenants(ctx); err != nil || len(all) != 2 || all[0].ID != "acme" {
		t.Errorf("%v, %v", all, err)
	}
	for query, want := range map[string]string{
		"?limit=1": `"last":"acme","more":true`, "?after=acme": `"last":"other","more":false`, "?after=b&limit=1": `"last":"other","more":false`,
		"?after=zzz": `{"tenants":[],"last":"zzz","more":false}`, "?limit=0": `limit is a number up to 500`, "?limit=501": `limit is a number up to 500`,
	} {
		if _, body := w.do(t, "GET", prefix+"/tenants"+query, "", w.bearer()); !strings.Contains(body, want) {
			t.Errorf("%s: %s", query, body)
		}
	}
	if s, err := w.SuspendTenant(ctx, "acme"); err != nil || s.State != tenants.Suspended {
		t.Errorf("%v, %v", s.State, err)
	}
	_, err = w.Channels(ctx, "acme")
	wantCode(t, "look into a suspended tenant", err, fault.TenantSuspended)
	if s, err := w.ResumeTenant(ctx, "acme"); err != nil || s.State != tenants.Active {
		t.Errorf("%v, %v", s.State, err)
	}
	if err := w.DeleteTenant(ctx, "acme"); err != nil {
		t.Error(err)
	}
	for _, id := range []string{"acme", "nobody"} {
		_, err = w.Tenant(ctx, id)
		wantCode(t, "show", err, fault.NotFound)
		_, err = w.SuspendTenant(ctx, id)
		wantCode(t, "suspend", err, fault.NotFound)
		wantCode(t, "delete", w.DeleteTenant(ctx, id), fault.NotFound)
	}
	_, err = w.Tenant(ctx, "../info")
	wantCode(t, "a path", err, fault.InvalidID)
	if tenant, err := w.Tenant(ctx, "other"); err != nil || tenant.State != tenants.Active {
		t.Errorf("the other tenant: %v, %v", tenant, err)
	}
}

func TestKeysAndTokens(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.mustCreate(t, "acme")
	w.mustCreate(t, "other")
	secret := []byte("canary-secret-canary-secret-canary")
	k, added, err := w.AddKey(ctx, "acme", NewKey{Kid: "mine", Alg: tenants.HS256, Secret: secret})
	if err != nil || !added || k.Kid != "mine" || !k.CanSign {
		t.Fatalf("%+v, %t, %v", k, added, err)
	}
	if _, added, err := w.AddKey(ctx, "acme", NewKey{Kid: "mine", Alg: tenants.HS256, Secret: secret}); err != nil || added {
		t.Errorf("again: %t, %v", added, err)
	}
	if keys, err := w.Keys(ctx, "acme"); err != nil || len(keys) != 2 {
		t.Errorf("%v, %v", keys, err)
	}
	token, err := w.IssueToken(ctx, "acme", NewToken{Agent: "bot", Channels: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	if report, err := w.InspectToken(ctx, token); err != nil || !report.Valid || !strings.Contains(string(report.Claims), `"channels":[]`) {
		t.Errorf("%+v, %v", report, err)
	}
	if _, err := w.RevokeKey(ctx, "acme", "mine"); err != nil {
		t.Fatal(err)
	}
	if report, err := w.InspectToken(ctx, token); err != nil || report.Valid || report.Code != fault.AuthFailed || report.Reason == "" {
		t.Errorf("%+v, %v", report, err)
	}
	_, err = w.RevokeKey(ctx, "other", "mine")
	wantCode(t, "another tenant's key", err, fault.NotFound)
	_, err = w.IssueToken(ctx, "acme", NewToken{})
	wantCode(t, "token for nobody", err, fault.InvalidFormat)
	_, err = w.IssueToken(ctx, "acme", NewToken{Agent: "a b"})
	wantCode(t, "token for a bad id", err, fault.InvalidID)
	_, err = w.IssueToken(ctx, "acme", NewToken{Agent: "a", TTLSeconds: -1})
	wantCode(t, "token that ended", err, fault.InvalidFormat)

	for _, path := range []string{"/admin/v1/tenants", "/admin/v1/tenants/acme", "/admin/v1/tenants/acme/keys"} {
		if _, body := w.do(t, "GET", path, "", w.bearer()); strings.Contains(body, "canary") || strings.Contains(body, "secret") {
			t.Errorf("%s shows a secret: %s", path, body)
		}
	}
}

func TestCredsAreReal(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.mustCreate(t, "acme")
	connect := func(spec NewCreds) *nats.Conn {
		t.Helper()
		creds, err := w.IssueCreds(ctx, "acme", spec)
		if err != nil {
			t.Fatal(err)
		}
		nc, err := nats.Connect(w.engine.ServicesURL(), nats.UserCredentialBytes([]byte(creds.Creds)), nats.NoReconnect(), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		return nc
	}
	service, reader := connect(NewCreds{Name: "svc"}), connect(NewCreds{Name: "reader", Subscribe: []string{"channel.a"}})
	heard, err := reader.SubscribeSync("channel.a")
	if err != nil {
		t.Fatal(err)
	}
	if err := reader.Flush(); err != nil {
		t.Fatal(err)
	}
	_ = reader.Publish("channel.a", []byte("not allowed"))
	if err := reader.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := service.Publish("channel.a", []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if m, err := heard.NextMsgWithContext(ctx); err != nil || string(m.Data) != "hello" {
		t.Errorf("%v, %v", m, err)
	}
	for name, spec := range map[string]NewCreds{
		"no name": {}, "role": {Name: "x", Role: "root"}, "JetStream": {Name: "x", Publish: []string{"$JS.API.>"}}, "everything": {Name: "x", Subscribe: []string{">"}},
		"ended": {Name: "x", TTLSeconds: -1}, "queue": {Name: "x", Role: RoleWorker, Queue: "a.b"}, "service with a queue": {Name: "x", Queue: "ai"},
		"worker of everything": {Name: "x", Role: RoleWorker, Publish: []string{"$JS.API.>"}},
	} {
		if _, err := w.IssueCreds(ctx, "acme", spec); fault.CodeOf(err) != fault.InvalidID && fault.CodeOf(err) != fault.InvalidFormat {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMessages(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.mustCreate(t, "acme")
	w.mustCreate(t, "other")
	first, err := w.Publish(ctx, "acme", "news", NewMessage{ID: "m1", Content: jsontext.Value(`"one"`)})
	if err != nil || first.ID != "m1" || first.Seq == 0 || first.Duplicate {
		t.Fatalf("%+v, %v", first, err)
	}
	if again, err := w.Publish(ctx, "acme", "news", NewMessage{ID: "m1", Content: jsontext.Value(`"one"`)}); err != nil || !again.Duplicate || again.Seq != first.Seq {
		t.Errorf("again: %+v, %v", again, err)
	}
	if _, err := w.Publish(ctx, "acme", "news", NewMessage{Agent: "bot", Content: jsontext.Value(`{"n":2}`)}); err != nil {
		t.Fatal(err)
	}
	page, err := w.History(ctx, "acme", "news", "", 10)
	if err != nil || len(page.Messages) != 2 || page.More || !strings.Contains(string(page.Messages[1]), `"agent_id":"bot"`) {
		t.Errorf("%s, %v", page.Messages, err)
	}
	if page, err = w.History(ctx, "acme", "news", "0", 1); err != nil || len(page.Messages) != 1 || !page.More || page.Last != first.Seq {
		t.Errorf("%+v, %v", page, err)
	}
	if all, err := w.Channels(ctx, "acme"); err != nil || len(all) != 1 || all[0] != (Channel{ID: "news", Messages: 2}) {
		t.Errorf("%v, %v", all, err)
	}
	// The other tenant's channel of the same name is another one.
	if page, err := w.History(ctx, "other", "news", "0", 10); err != nil || len(page.Messages) != 0 {
		t.Errorf("%s, %v", page.Messages, err)
	}
	if all, err := w.Channels(ctx, "other"); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
	for name, m := range map[string]NewMessage{"long id": {ID: strings.Repeat("x", 129), Content: jsontext.Value(`1`)}, "bad agent": {Agent: "a.b", Content: jsontext.Value(`1`)}} {
		if _, err := w.Publish(ctx, "acme", "news", m); fault.CodeOf(err) != fault.InvalidFormat && fault.CodeOf(err) != fault.InvalidID {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err = w.Publish(ctx, "acme", "news", NewMessage{Content: jsontext.Value(`"` + strings.Repeat("x", maxContentBytes) + `"`)})
	wantCode(t, "long content", err, fault.MessageTooLarge)
	for _, bad := range []string{"a..b", "*", "a.>", "$JS", "a b", strings.Repeat("a", 200)} {
		_, err = w.History(ctx, "acme", bad, "", 1)
		wantCode(t, bad, err, fault.InvalidID)
	}
	_, err = w.History(ctx, "acme", "news", "yesterday", 1)
	wantCode(t, "since", err, fault.InvalidFormat)
	_, err = w.History(ctx, "acme", "news", "", 0)
	wantCode(t, "limit", err, fault.InvalidFormat)
}

func TestAgents(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.mustCreate(t, "acme")
	tenant, err := w.Tenant(ctx, "acme")
	if err != nil {
		t.Fatal(err)
	}
	space, err := w.hub.Open(ctx, "acme", tenant.Account)
	if err != nil {
		t.Fatal(err)
	}
	defer space.Release()
	bot := space.Enter("bot")
	bot.Join("news")
	defer bot.Leave()
	all, err := w.Agents(ctx, "acme")
	if err != nil || len(all) != 1 || all[0].ID != "bot" || all[0].Status != channels.Online || len(all[0].Channels) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
	if a, err := w.Agent(ctx, "acme", "bot"); err != nil || a.Sockets != 1 {
		t.Errorf("%+v, %v", a, err)
	}
	_, err = w.Agent(ctx, "acme", "nobody")
	wantCode(t, "unknown", err, fault.NotFound)
	_, err = w.Agent(ctx, "acme", "a.b")
	wantCode(t, "bad id", err, fault.InvalidID)
}

// tailOf collects what a tail says, until enough has come.
func tailOf(t *testing.T, w *world, since string, got chan<- string) (end func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- w.Tail(ctx, "acme", "news", since, func(m jsontext.Value) error { got <- string(m); return nil })
	}()
	return func() error { cancel(); return <-ended }
}

func TestTail(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.mustCreate(t, "acme")
	publish := func(text string) {
		t.Helper()
		if _, err := w.Publish(ctx, "acme", "news", NewMessage{Content: jsontext.Value(`"` + text + `"`)}); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 * channels.MaxHistory {
		publish("old")
	}
	got := make(chan string, 1000)
	end := tailOf(t, w, "0", got)
	for range 2 * channels.MaxHistory {
		if m := <-got; !strings.Contains(m, `"content":"old"`) {
			t.Errorf("%s", m)
		}
	}
	publish("new")
	if m := <-got; !strings.Contains(m, `"content":"new"`) {
		t.Errorf("%s", m)
	}
	if err := end(); !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	wantCode(t, "tail of nobody", w.Tail(ctx, "nobody", "news", "", nil), fault.NotFound)

	// Suspending the tenant ends its tails, and so does the end of the server.
	ended := make(chan error, 1)
	end = tailOf(t, w, "0", got)
	<-got
	go func() { ended <- w.Tail(ctx, "acme", "news", "0", func(jsontext.Value) error { return nil }) }()
	if _, err := w.SuspendTenant(ctx, "acme"); err != nil {
		t.Fatal(err)
	}
	<-ended
	_ = end()
	if _, err := w.ResumeTenant(ctx, "acme"); err != nil {
		t.Fatal(err)
	}
	for len(got) > 0 {
		<-got
	}
	end = tailOf(t, w, "0", got)
	<-got
	w.stopAPI()
	if err := end(); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("a tail of a server that stops: %v", err)
	}
}

func TestWhoMayNotIn(t *testing.T) {
	w := newWorld(t)
	bearer := "Bearer " + w.key
	tests := []struct {
		name   string
		header http.Header
		status int
		code   fault.Code
	}{
		{"nothing", nil, 401, fault.AuthRequired},
		{"empty", http.Header{"Authorization": {""}}, 401, fault.AuthRequired},
		{"no scheme", http.Header{"Authorization": {w.key}}, 401, fault.AuthRequired},
		{"another scheme", http.Header{"Authorization": {"Basic " + w.key}}, 401, fault.AuthRequired},
		{"no key", http.Header{"Authorization": {"Bearer "}}, 401, fault.AuthRequired},
		{"wrong key", http.Header{"Authorization": {"Bearer wrong"}}, 401, fault.AuthFailed},
		{"half the key", http.Header{"Authorization": {bearer[:len(bearer)-5]}}, 401, fault.AuthFailed},
		{"too much key", http.Header{"Authorization": {bearer + "x"}}, 401, fault.AuthFailed},
		{"the key in another header", http.Header{"X-Api-Key": {w.key}}, 401, fault.AuthRequired},
		{"a page's script", http.Header{"Authorization": {bearer}, "Origin": {"https://evil.example"}}, 403, fault.PermissionDenied},
		{"a page of its own origin", http.Header{"Authorization": {bearer}, "Origin": {w.url}}, 403, fault.PermissionDenied},
		{"a page without origin", http.Header{"Authorization": {bearer}, "Origin": {"null"}}, 403, fault.PermissionDenied},
		{"a browser's fetch", http.Header{"Authorization": {bearer}, "Sec-Fetch-Site": {"same-origin"}}, 403, fault.PermissionDenied},
	}
	for _, tt := range tests {
		for _, path := range []string{"/admin/v1/tenants", "/admin/v1/info", "/admin/v1/nothing", "/", "/metrics"} {
			status, body := w.do(t, "GET", path, "", tt.header)
			if status != tt.status || !strings.Contains(body, `"code":"`+string(tt.code)+`"`) {
				t.Errorf("%s, %s: %d %s", tt.name, path, status, body)
			}
		}
	}
	if status, _ := w.do(t, "OPTIONS", "/admin/v1/tenants", "", http.Header{"Origin": {"https://evil.example"}, "Access-Control-Request-Method": {"POST"}}); status < 400 {
		t.Errorf("a preflight is answered with %d", status)
	}
}

func TestHealth(t *testing.T) {
	w := newWorld(t)
	if status, _ := w.do(t, "GET", "/healthz", "", nil); status != 200 {
		t.Errorf("healthz: %d", status)
	}
	if status, _ := w.do(t, "GET", "/readyz", "", nil); status != 200 {
		t.Errorf("readyz: %d", status)
	}
	w.full.Store(true)
	if status, body := w.do(t, "GET", "/readyz", "", nil); status != 503 || strings.Contains(body, "canary") {
		t.Errorf("readyz: %d %s", status, body)
	}
}

func TestAPIKeys(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.mustCreate(t, "acme")
	w.mustCreate(t, "other")
	made, err := w.CreateAPIKey(ctx, "acme", NewAPIKey{Name: "shop", Scopes: []tenants.Scope{tenants.ReadChats}})
	if err != nil || !strings.HasPrefix(made.Key, made.Prefix) || made.Name != "shop" || len(made.Scopes) != 1 {
		t.Fatalf("%+v, %v", made, err)
	}
	for _, path := range []string{"/admin/v1/tenants", "/admin/v1/tenants/acme", "/admin/v1/tenants/acme/apikeys"} {
		status, body := w.do(t, "GET", path, "", w.bearer())
		if status != http.StatusOK || !strings.Contains(body, made.ID) || strings.Contains(body, made.Key) || strings.Contains(body, `"sum"`) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if keys, err := w.APIKeys(ctx, "other"); err != nil || len(keys) != 0 {
		t.Errorf("%v, %v", keys, err)
	}
	_, err = w.RevokeAPIKey(ctx, "other", made.ID)
	wantCode(t, "by another tenant's path", err, fault.NotFound)
	if revoked, err := w.RevokeAPIKey(ctx, "acme", made.ID); err != nil || revoked.Revoked.IsZero() {
		t.Errorf("%+v, %v", revoked, err)
	}
	if keys, err := w.APIKeys(ctx, "acme"); err != nil || len(keys) != 1 || keys[0].Revoked.IsZero() {
		t.Errorf("%v, %v", keys, err)
	}
}

func TestBadRequests(t *testing.T) {
	w := newWorld(t)
	w.mustCreate(t, "acme")
	tests := []struct {
		method, path, body string
		status             int
		code               fault.Code
	}{
		{"POST", "/admin/v1/tenants", ``, 400, fault.InvalidFormat},
		{"POST", "/admin/v1/tenants", `{`, 400, fault.InvalidFormat},
		{"POST", "/admin/v1/tenants", `[]`, 400, fault.InvalidFormat},
		{"POST", "/admin/v1/tenants", `{"id":1}`, 400, fault.InvalidFormat},
		{"POST", "/admin/v1/tenants", `{"id":"a","id":"b"}`, 400, fault.InvalidFormat},
		{"POST", "/admin/v1/tenants", `{"id":"a"}{"id":"b"}`, 400, fault.InvalidFormat},
		{"POST", "/admin/v1/tenants", `{"id":"a","color":"red"}`, 400, fault.InvalidFormat},
		{"POST", "/admin/v1/tenants", `{"id":"a","name":"` + strings.Repeat("x", maxBodyBytes) + `"}`, 413, fault.MessageTooLarge},
		{"POST", "/admin/v1/tenants/acme/keys", `{"secret":"not base64!"}`, 400, fault.InvalidFormat},
		{"POST", "/admin/v1/tenants/acme/keys", `{"alg":"none"}`, 400, fault.InvalidFormat},
		{"POST", "/admin/v1/tenants/a.b/keys", `{}`, 400, fault.InvalidID},
		{"POST", "/admin/v1/tenants/acme/apikeys", `{"scopes":["admin"]}`, 400, fault.InvalidFormat},
		{"POST", "/admin/v1/tenants/acme/apikeys", `{"not_after":"2020-01-01T00:00:00Z"}`, 400, fault.InvalidFormat},
		{"POST", "/admin/v1/tenants/acme/apikeys", `{"key":"mine"}`, 400, fault.InvalidFormat},
		{"POST", "/admin/v1/tenants/nobody/apikeys", `{}`, 404, fault.NotFound},
		{"DELETE", "/admin/v1/tenants/acme/apikeys/x", ``, 404, fault.NotFound},
		{"POST", "/admin/v1/tokens/inspect", `{}`, 200, ""},
		{"POST", "/admin/v1/tenants/acme/channels/news/messages", `{}`, 400, fault.InvalidFormat},
		{"GET", "/admin/v1/tenants/acme/nothing", ``, 404, fault.NotFound},
		{"GET", "/admin/v2/tenants", ``, 404, fault.NotFound},
		{"PUT", "/admin/v1/tenants", ``, 404, fault.NotFound},
	}
	for _, tt := range tests {
		status, body := w.do(t, tt.method, tt.path, tt.body, w.bearer())
		if status != tt.status || tt.code != "" && !strings.Contains(body, `"code":"`+string(tt.code)+`"`) {
			t.Errorf("%s %s %.40s: %d %s", tt.method, tt.path, tt.body, status, body)
		}
	}
}

func TestKeyFile(t *testing.T) {
	dir := t.TempDir()
	key, err := EnsureKey(dir)
	if err != nil || !ValidKey(key) {
		t.Fatalf("%q, %v", key, err)
	}
	if again, err := EnsureKey(dir); err != nil || again != key {
		t.Errorf("%q, %v", again, err)
	}
	path := filepath.Join(dir, keyFile)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if err := Advertise(dir, "http://127.0.0.1:1"); err != nil {
		t.Fatal(err)
	}
	if url, found, err := Find(dir); err != nil || url != "http://127.0.0.1:1" || found != key {
		t.Errorf("%q, %v", url, err)
	}
	if err := errors.Join(Withdraw(dir), Withdraw(dir)); err != nil {
		t.Error(err)
	}
	_, _, err = Find(dir)
	wantCode(t, "nobody is there", err, fault.Unavailable)
	for name, content := range map[string]string{"empty": "", "short": "secret", "garbage": strings.Repeat("garbage ", 10), "binary": strings.Repeat("\x00", 40)} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := EnsureKey(dir); fault.CodeOf(err) != fault.Usage || !strings.Contains(fault.Message(err), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if names, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(names) > 0 {
		t.Errorf("left behind: %v, %v", names, err)
	}
}

func TestClientMeetsSomethingElse(t *testing.T) {
	key := strings.Repeat("k", 32)
	for _, bad := range []string{"", "localhost:8081", "ftp://x", "http://", "::"} {
		_, err := NewClient(bad, key)
		wantCode(t, bad, err, fault.Usage)
	}
	_, err := NewClient("http://127.0.0.1:1", "short")
	wantCode(t, "key", err, fault.Usage)
	c, err := NewClient("http://127.0.0.1:1", key)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Info(t.Context())
	wantCode(t, "nobody listens", err, fault.Unavailable)

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	other := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/info") {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
			return
		}
		_, _ = w.Write([]byte("<html>"))
	})}
	var serving sync.WaitGroup
	serving.Go(func() { _ = other.Serve(l) })
	defer serving.Wait()
	defer other.Close()
	if c, err = NewClient("http://"+l.Addr().String(), key); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Info(t.Context())
	wantCode(t, "a redirect", err, fault.Unavailable)
	_, err = c.Tenants(t.Context())
	wantCode(t, "a page", err, fault.Unavailable)
}
