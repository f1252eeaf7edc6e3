package rig_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"parley/test/rig"
)

// foreigners are the clients in other languages.
var foreigners = map[string]func(testing.TB, string) *rig.Foreign{
	"Python": rig.Python, "Node": rig.Node, "Chromium": rig.Browser,
}

// script is a server that knows just enough to tell whether a client does what the published ones do: it acknowledges
// what it likes, refuses what is called "bad" and hangs up without a word on "drop". It greets every connection.
func script(t *testing.T) (base string, queries <-chan string) {
	seen := make(chan string, 8)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("token") == "" {
			http.Error(w, "no token", http.StatusUnauthorized)
			return
		}
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return
		}
		defer conn.CloseNow()
		seen <- r.URL.RequestURI()
		if conn.Write(r.Context(), websocket.MessageText, []byte(`{"type":"hello"}`)) != nil {
			return
		}
		for {
			_, b, err := conn.Read(r.Context())
			if err != nil {
				return
			}
			var frame rig.Frame
			if json.Unmarshal(b, &frame) != nil {
				return
			}
			var answers []rig.Frame
			switch frame.Text("content") {
			case "drop":
				return
			case "bad":
				answers = []rig.Frame{{"type": "ERROR", "message_id": frame.ID(), "error": "refused"}}
			default:
				answers = []rig.Frame{frame, {"type": "ACK", "message_id": frame.ID()}}
			}
			for _, a := range answers {
				if conn.Write(r.Context(), websocket.MessageText, []byte(a.String())) != nil {
					return
				}
			}
		}
	}))
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http") + "/v1", seen
}

func TestForeignClientsFollowThePublishedOnes(t *testing.T) {
	for name, start := range foreigners {
		t.Run(name, func(t *testing.T) {
			base, queries := script(t)
			client := start(t, "../clients")
			if err := client.Connect(base, "", "c"); err == nil {
				t.Error("connected without a token")
			}
			if err := client.Connect(base, "T", "c"); err != nil {
				t.Fatal(err)
			}
			if got := <-queries; got != "/v1/ws?token=T&channel_id=c" {
				t.Errorf("connected to %s", got)
			}
			greeted(t, client)
			ack := client.MustSend("good", map[string]any{"n": 1})
			got := client.Message()
			if got.Text("content") != "good" || got.Type() != "message" || got.ID() != ack.Text("message_id") {
				t.Errorf("ack %s, message %s", ack, got)
			}
			if _, err := client.Send("bad", nil); err == nil || err.Error() != "refused" {
				t.Errorf("an ERROR became %v", err)
			}
			if _, err := client.Send("drop", nil); err == nil || err.Error() != "disconnected" {
				t.Errorf("a lost connection became %v", err)
			}
			if code := client.Closed(); code != 1006 {
				t.Errorf("close code %d", code)
			}
			greeted(t, client) // it came back by itself
			client.Disconnect()
			if code := client.Closed(); code != 1000 && code != 1005 { // a browser that closes without a code says 1005
				t.Errorf("close code %d", code)
			}
		})
	}
}

// greeted returns once the client has a connection that it knows of.
func greeted(t *testing.T, client *rig.Foreign) {
	t.Helper()
	if m := client.Message(); m.Type() != "hello" {
		t.Errorf("want the greeting, got %s", m)
	}
}
