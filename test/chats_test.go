package test

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"parley/test/rig"
)

// demo starts a broker with the tenant demo, whose sessions an AI worker answers by repeating what it is told.
func demo(t *testing.T) (tenant, *rig.Server) {
	t.Helper()
	server := parley.Start(t, rig.Options{Args: []string{"--dev"}})
	return tenant{Server: server, t: t, id: "demo"}, server
}

func (n tenant) apiKey(more ...string) string {
	n.t.Helper()
	return strings.TrimSpace(n.MustCLI(append([]string{"apikey", "create", "--tenant", n.id}, more...)...))
}

// newChat makes a chat over REST.
func (n tenant) newChat(key, user string) string {
	n.t.Helper()
	r := rig.DoWith(n.t, "POST", n.URL()+"/api/v1/chats/", http.Header{"X-Api-Key": {key}}, fmt.Sprintf(`{"user_id":%q}`, user))
	var chat struct{ ID string }
	r.JSON(n.t, &chat)
	if r.Status != http.StatusCreated || chat.ID == "" {
		n.t.Fatalf("%d %s", r.Status, r.Body)
	}
	return chat.ID
}

// TestChatClients runs clients of the published documents in other languages.
func TestChatClients(t *testing.T) {
	t.Parallel()
	acme, server := demo(t)
	base, key := "ws://"+server.Addr(), acme.apiKey()
	talk := func(chat, user string, known bool) []rig.Frame {
		f := []rig.Frame{{"connected": user, "chat": chat, "tenant": "demo"}, {"created": user}}
		if known {
			f = f[:1]
		}
		for _, text := range []string{"Hello, I need help", "ünïcödé 🎉 \"quoted\""} {
			f = append(f, rig.Frame{"received": text}, rig.Frame{"streamed": text, "answer": text})
		}
		return append(f, rig.Frame{"closed": 1000.0})
	}
	for _, tt := range []struct {
		name, file, user string
		more             []string
		known            bool
	}{
		{"Node by query", "javascript/tenantchat.js", "user123", []string{"query"}, false},
		{"Node by headers", "javascript/tenantchat.js", "user123", []string{"headers"}, true},
		{"Python", "python/tenantchat.py", "user456", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			chat := acme.newChat(key, tt.user)
			args := append(append([]string{base, key, tt.user, chat}, tt.more...), "Hello, I need help", "ünïcödé 🎉 \"quoted\"")
			got := rig.Script(t, clients, tt.file, args...)
			if want := talk(chat, tt.user, tt.known); !reflect.DeepEqual(got, want) {
				t.Errorf("got  %v\nwant %v", got, want)
			}
		})
	}
	t.Run("a wrong key", func(t *testing.T) {
		got := rig.Script(t, clients, "javascript/tenantchat.js", base, "your-key", "user123", "uuid", "query", "Hello")
		want := []rig.Frame{{
			"error": "AUTH_ERROR", "message": "Invalid API key",
			"fix": "Check your tenant API key value. Each tenant has a unique API key in the tenants table.",
		}, {"closed": 1008.0}}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %v", got)
		}
	})
	for _, manner := range []string{"query", "message"} {
		t.Run("bots by "+manner, func(t *testing.T) {
			const session = "550e8400-e29b-41d4-a716-446655440000"
			got := rig.Script(t, clients, "javascript/bots.js", base, acme.user("bot-"+manner), manner, fresh(session, manner), "Hello!", "/tool orders")
			if len(got) < 9 || got[0].Text("created") != fresh(session, manner) || got[1]["typing"] != true ||
				got[2].Text("streamed") != "Hello!" || got[2].Text("answer") != "Hello!" || got[3]["typing"] != false || got[4]["typing"] != true ||
				got[5]["call"] == nil || got[6]["result"] != got[5]["call"] || got[7].Text("answer") != got[7].Text("streamed") || got[len(got)-1]["closed"] != 1000.0 {
				t.Errorf("got %v", got)
			}
		})
	}
	t.Run("bots with a wrong token", func(t *testing.T) {
		for _, manner := range []string{"query", "message"} {
			got := rig.Script(t, clients, "javascript/bots.js", base, "auth-token", manner, "session-uuid", "Hello!")
			if want := []rig.Frame{{"error": "AUTH_FAILED"}, {"closed": 1008.0}}; len(got) < 2 || !reflect.DeepEqual(got[:2], want) {
				t.Errorf("%s: got %v", manner, got)
			}
		}
	})
}

// fresh makes another UUID of one.
func fresh(uuid, salt string) string { return fmt.Sprintf("%s%02x", uuid[:34], len(salt)) }
