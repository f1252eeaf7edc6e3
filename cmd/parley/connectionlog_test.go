package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"parley/broker"
	"parley/tenants"
)

// lines is a log that can be read while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// TestEachConnectionHasOneLine: the log says who was connected from where, for how long, and how it ended, and never with
// which token.
func TestEachConnectionHasOneLine(t *testing.T) {
	var log lines
	cfg := nodeConfig{Broker: broker.Config{DataDir: t.TempDir(), Listen: broker.ListenOff}, Listen: []string{"127.0.0.1:0"}, AdminListen: "127.0.0.1:0"}
	n, err := openNode(t.Context(), cfg, slog.New(slog.NewJSONHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	closed := false
	defer func() {
		if !closed {
			_ = n.close()
		}
	}()
	if _, _, err := n.registry.Create(t.Context(), tenants.Spec{ID: "acme"}); err != nil {
		t.Fatal(err)
	}
	token, err := n.registry.IssueToken(t.Context(), tenants.TokenSpec{Tenant: "acme", Agent: "bob"})
	if err != nil {
		t.Fatal(err)
	}
	conn, resp, err := websocket.Dial(t.Context(), "ws://"+n.info.Listen[0]+"/v1/ws?channel_id=news&token="+token, nil)
	if err != nil {
		t.Fatal(err)
	}
	const frame = `{"type":"message","id":"1","content":"secret words"}`
	say(t, conn, frame, "ACK")
	if err := conn.Close(4321, "enough"); err != nil {
		t.Fatal(err)
	}
	closed = true
	if err := n.close(); err != nil { // after which all lines are written
		t.Fatal(err)
	}
	var ended []map[string]any
	for line := range strings.Lines(log.text.String()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if entry["msg"] == "connection ended" {
			ended = append(ended, entry)
		}
	}
	if len(ended) != 1 {
		t.Fatalf("%d lines about a connection:\n%s", len(ended), log.text.String())
	}
	for key, want := range map[string]any{
		"dialect": "agents", "tenant": "acme", "principal": "bob", "request": resp.Header.Get("X-Request-Id"),
		"received": 1.0, "received_bytes": float64(len(frame)), "code": 4321.0, "reason": "enough", "by_client": true,
	} {
		if ended[0][key] != want {
			t.Errorf("%s is %v, want %v", key, ended[0][key], want)
		}
	}
	if sent, _ := ended[0]["sent"].(float64); sent < 1 || ended[0]["duration"] == nil || ended[0]["remote"] == "" {
		t.Errorf("the line is %v", ended[0])
	}
	for _, secret := range []string{token, "secret words"} {
		if strings.Contains(log.text.String(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
}
