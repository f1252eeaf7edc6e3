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

func (n tenant) user(user string) string {
	n.t.Helper()
	return n.MustCLI("token", "issue", "--tenant", n.id, "--user", user)
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

// chatDialect is how a test speaks one of the dialects of chat.
type chatDialect struct {
	open  func(user, session string) *rig.Socket // and sees what happens in the session
	say   func(s *rig.Socket, session, text string)
	piece func(rig.Frame) (text string, ok bool)     // of an answer
	begun func(rig.Frame) bool                       // an answer begins, or is resumed
	end   func(rig.Frame) (text, id string, ok bool) // of an answer
}

func chatDialects(acme tenant, key string) map[string]chatDialect {
	field := func(name, kind, value string) func(rig.Frame) (string, bool) {
		return func(f rig.Frame) (string, bool) { return f.Text(value), f.Text(name) == kind }
	}
	is := func(name, kind string) func(rig.Frame) bool {
		return func(f rig.Frame) bool { return f.Text(name) == kind }
	}
	end := func(name, kind string) func(rig.Frame) (string, string, bool) {
		return func(f rig.Frame) (string, string, bool) {
			return f.Text("content"), f.Text("message_id"), f.Text(name) == kind
		}
	}
	return map[string]chatDialect{
		"tenantchat": {
			open: func(user, session string) *rig.Socket {
				return rig.Dial(acme.t, acme.StableAddr(), "/ws/chat?"+rig.Query("api_key", key, "user_id", user, "chat_id", session))
			},
			say:   func(s *rig.Socket, _, text string) { s.Send(rig.Frame{"content": text}) },
			begun: is("event_type", "message_stream_started"),
			piece: field("event_type", "message_stream_token", "token"),
			end:   end("event_type", "message_stream_ended"),
		},
		"bots": {
			open: func(user, session string) *rig.Socket {
				s := rig.Dial(acme.t, acme.StableAddr(), "/ws?"+rig.Query("token", acme.user(user)))
				s.Send(rig.Frame{"type": "subscribe", "session_id": session})
				return s
			},
			say: func(s *rig.Socket, session, text string) {
				s.Send(rig.Frame{"type": "message", "session_id": session, "content": text})
			},
			begun: is("type", "stream_start"),
			piece: field("type", "stream_chunk", "content"),
			end:   end("type", "stream_end"),
		},
	}
}

// TestChatsSurvive has clients lose their connections in the middle of answers, again and again, and the broker die in
// the middle of one with the worker in it. What a client has in the end is the answer, byte for byte.
func TestChatsSurvive(t *testing.T) {
	acme, server := demo(t)
	acme.StableAddr()
	key := acme.apiKey()
	for name, d := range chatDialects(acme, key) {
		for _, killed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, broker killed: %t", name, killed), func(t *testing.T) {
				user := fmt.Sprintf("%s-%t", name, killed)
				chat := acme.newChat(key, user)
				s := d.open(user, chat)
				const words = 40
				d.say(s, chat, fmt.Sprintf("/repeat %d ünïcödé", words))
				want := strings.TrimSpace(strings.Repeat("ünïcödé ", words))
				var got string
				for drops, pieces := 0, 0; ; {
					f, ok := s.TryNext()
					if !ok { // the broker was killed
						s, pieces = d.open(user, chat), 0
						continue
					}
					if d.begun(f) {
						got = ""
					}
					if text, ok := d.piece(f); ok {
						got += text
						if pieces++; pieces == 3 && drops < 5 {
							if drops++; killed && drops == 2 {
								server.Kill()
								server.Restart()
							}
							s.Drop()
							s, pieces = d.open(user, chat), 0
						}
					}
					if text, _, ok := d.end(f); ok && f.Text("status") == "" {
						if text != want || got != want {
							t.Errorf("ended with %q after %q", text, got)
						}
						return
					}
				}
			})
		}
	}
}
