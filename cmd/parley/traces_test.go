package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/coder/websocket"
	"github.com/nats-io/nats.go"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"parley/internal/fakemodel"
	"parley/sessions/worker"
	"parley/sessions/worker/openai"
	"parley/tenants"
)

// span is one that has arrived.
type span struct {
	trace, id, parent string
	service, name     string
	attrs             map[string]string
}

// spans is a collector of traces that takes OTLP over HTTP.
type spans struct {
	mu  sync.Mutex
	all []span // guarded by mu
}

// ServeHTTP takes spans.
func (s *spans) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	var req collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(b, &req)
	}
	if err != nil || r.URL.Path != "/v1/traces" {
		http.Error(w, "no traces", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, of := range req.GetResourceSpans() {
		service := ""
		for _, a := range of.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				service = a.GetValue().GetStringValue()
			}
		}
		for _, scope := range of.GetScopeSpans() {
			for _, one := range scope.GetSpans() {
				got := span{
					hex.EncodeToString(one.GetTraceId()), hex.EncodeToString(one.GetSpanId()), hex.EncodeToString(one.GetParentSpanId()),
					service, one.GetName(),
					map[string]string{},
				}
				for _, a := range one.GetAttributes() {
					got.attrs[a.GetKey()] = a.GetValue().GetStringValue()
				}
				s.all = append(s.all, got)
			}
		}
	}
}

// path returns the names of a span and of all above it, from the top.
func (s *spans) path(of span) string {
	for _, above := range s.all {
		if above.id == of.parent {
			return s.path(above) + " > " + of.service + ":" + of.name
		}
	}
	return of.parent + " > " + of.service + ":" + of.name
}

// TestOneTraceFromTheSocketToTheModelAndBack follows a message of a user through the log to an AI worker that asks a model,
// and to the end of the answer; and a message of an agent to a service that reads it.
func TestOneTraceFromTheSocketToTheModelAndBack(t *testing.T) {
	var got spans
	endpoint := httptest.NewServer(&got)
	defer endpoint.Close()
	log := slog.New(slog.DiscardHandler)
	ends := []func(){}
	open := func(service string) nodeConfig {
		p, end, err := traceFlags{OTLPEndpoint: endpoint.URL, TraceRatio: 1}.open(t.Context(), service, "1", log)
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, end)
		return nodeConfig{Traces: p}
	}
	n := startNode(t, open("parley"))
	acme, _, err := n.registry.Create(t.Context(), tenants.Spec{ID: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	stopWorker := runWorker(t, n, acme, open("worker"))

	const trace, socket, frame = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "00f067aa0ba902b7"
	token, err := n.registry.IssueToken(t.Context(), tenants.TokenSpec{Tenant: "acme", User: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	chatting := dialTraced(t, n, "/?token="+token, "00-"+trace+"-"+socket+"-01")
	say(t, chatting, `{"type":"chat","content":"hello","traceparent":"00-`+trace+`-`+frame+`-01"}`, "stream-end")
	say(t, chatting, `{"type":"chat","content":"again","traceparent":"00-nonsense\r\nNats-Rollup: all"}`, "stream-end")

	if token, err = n.registry.IssueToken(t.Context(), tenants.TokenSpec{Tenant: "acme", Agent: "bob"}); err != nil {
		t.Fatal(err)
	}
	service, err := n.engine.Dial(acme.Account)
	if err != nil {
		t.Fatal(err)
	}
	defer service.Close()
	heard, err := service.SubscribeSync("channel.news")
	if err != nil || service.Flush() != nil {
		t.Fatal(err)
	}
	say(t, dialTraced(t, n, "/v1/ws?channel_id=news&token="+token, "00-"+trace+"-"+socket+"-01"), `{"type":"message","id":"1","content":"x"}`, "ACK")
	m, err := heard.NextMsgWithContext(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	published := m.Header.Get("traceparent")

	stopWorker()
	for _, end := range ends { // which waits until all have arrived
		end()
	}
	got.mu.Lock()
	defer got.mu.Unlock()
	found := map[string]int{}
	for _, s := range got.all {
		if s.trace != trace {
			t.Errorf("the span %s:%s belongs to another trace", s.service, s.name)
		}
		found[got.path(s)]++
		if s.name == "chat test-model" && (s.attrs["gen_ai.provider.name"] != "openai" || s.attrs["gen_ai.request.model"] != "test-model") {
			t.Errorf("the model's span has %v", s.attrs)
		}
		if s.name == "publish" && published != "00-"+trace+"-"+s.id+"-01" {
			t.Errorf("the message of the span %s was stored with %q", s.id, published)
		}
	}
	for _, from := range []string{frame, socket} { // the second message names no trace of its own
		said := from + " > parley:say"
		for _, want := range []string{
			said, said + " > parley:store", said + " > parley:answer", said + " > parley:answer > parley:store",
			said + " > parley:answer > worker:process ai", said + " > parley:answer > worker:process ai > worker:chat test-model",
		} {
			if found[want] != 1 {
				t.Errorf("%d spans %s", found[want], want)
			}
		}
	}
	if found[socket+" > parley:publish"] != 1 || len(got.all) != 13 {
		t.Errorf("%d spans in all: %v", len(got.all), found)
	}
}

// runWorker has a model answer a tenant's users, until the function that it returns is called.
func runWorker(t *testing.T, n *node, tenant tenants.Tenant, cfg nodeConfig) (stop func()) {
	t.Helper()
	if err := n.talks.Ready(t.Context(), tenant.Account, "ai"); err != nil {
		t.Fatal(err)
	}
	server := fakemodel.New(fakemodel.Say("Hello", " there"))
	model, err := openai.New(openai.Config{BaseURL: server.BaseURL(), Model: "test-model"})
	if err != nil {
		t.Fatal(err)
	}
	nc, err := n.engine.Dial(tenant.Account)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := worker.Run(ctx, worker.Config{Conns: []*nats.Conn{nc}, Traces: cfg.Traces}, model.Answer); err != nil {
			t.Error(err)
		}
	})
	return func() {
		cancel()
		running.Wait()
		nc.Close()
		model.Close()
		server.Close()
	}
}

// dialTraced opens a WebSocket connection within a trace.
func dialTraced(t *testing.T, n *node, path, traceparent string) *websocket.Conn {
	t.Helper()
	conn, resp, err := websocket.Dial(t.Context(), "ws://"+n.info.Listen[0]+path, &websocket.DialOptions{HTTPHeader: http.Header{"Traceparent": {traceparent}}})
	if err != nil {
		t.Fatal(err)
	}
	if resp.Header.Get("X-Request-Id") == "" {
		t.Error("the handshake has no id")
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

// say sends a frame and waits for one of a type.
func say(t *testing.T, conn *websocket.Conn, frame, until string) {
	t.Helper()
	if err := conn.Write(t.Context(), websocket.MessageText, []byte(frame)); err != nil {
		t.Fatal(err)
	}
	for {
		_, text, err := conn.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var f struct{ Type string }
		if json.Unmarshal(text, &f) == nil && f.Type == until {
			return
		}
	}
}
