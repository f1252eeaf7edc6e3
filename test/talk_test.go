package test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"parley/test/rig"
)

// talker is a client of one of the dialects of chat, as far as all of them are alike: it says something and reads the
// answer as it streams.
type talker struct {
	token func(t *testing.T, s *rig.Server, user string) string // for a user of the tenant demo
	path  string                                                // of the endpoint, to which the token is appended
	say   func(session, text string) rig.Frame
	read  func(rig.Frame) part
}

// dial opens a connection with a token.
func (k talker) dial(t *testing.T, s *rig.Server, token string) *rig.Socket {
	t.Helper()
	return rig.Dial(t, s.Addr(), k.path+token)
}

// open is dial with a fresh token.
func (k talker) open(t *testing.T, s *rig.Server, user string) *rig.Socket {
	t.Helper()
	return k.dial(t, s, k.token(t, s, user))
}

// part is what a frame is of an answer.
type part struct {
	fresh bool   // the answer begins, or begins anew
	text  string // to be appended
	last  bool   // the answer has ended
}

var talkers = map[string]talker{
	"chat": {
		token: func(_ *testing.T, s *rig.Server, user string) string { return userToken(s, user) },
		path:  "/?token=",
		say:   func(_, text string) rig.Frame { return rig.Frame{"type": "chat", "content": text} },
		read: func(f rig.Frame) part {
			return part{f.Type() == "stream-start", f.Text("token"), f.Type() == "stream-end"}
		},
	},
	"assistant": {
		token: accessToken,
		path:  "/websocket/ws?access_token=",
		say: func(session, text string) rig.Frame {
			return rig.Frame{"type": "conversation_with_aileen", "message": text, "conversation_id": session, "request_id": "r-" + session}
		},
		read: func(f rig.Frame) part {
			response, _ := f["response"].(map[string]any)
			data, _ := response["data"].(map[string]any)
			text, _ := data["delta"].(string)
			last, _ := data["delta_generation_finished"].(bool)
			return part{text: text, last: last}
		},
	},
}

func userToken(s *rig.Server, user string) string {
	return s.MustCLI("token", "issue", "--tenant", "demo", "--user", user)
}

// accessToken exchanges a login token, as the published page does.
func accessToken(t *testing.T, s *rig.Server, user string) string {
	t.Helper()
	login := s.MustCLI("token", "issue", "--tenant", "demo", "--user", user, "--login")
	res := rig.Do(t, http.MethodGet, s.URL()+"/websocket/get_access_token", login, "")
	var answer struct {
		Token string `json:"access_token"`
	}
	if res.JSON(t, &answer); res.Status != http.StatusOK || answer.Token == "" {
		t.Fatalf("get_access_token: %d %s", res.Status, res.Body)
	}
	return answer.Token
}

// listen reads an answer until it ends, or until n pieces of it have come; n < 0 means to the end. It returns all the text
// since the answer began on this socket.
func (k talker) listen(t *testing.T, s *rig.Socket, n int) (text string, ended bool) {
	t.Helper()
	for pieces := 0; pieces != n; {
		p := k.read(s.Next())
		if p.fresh {
			text = ""
		}
		if p.text != "" {
			pieces++
		}
		if text += p.text; p.last {
			return text, true
		}
	}
	return text, false
}

// TestOneConversationInTwoDialects types in one dialect and watches the answer in the other.
func TestOneConversationInTwoDialects(t *testing.T) {
	t.Parallel()
	server := parley.Start(t, rig.Options{Args: []string{"--dev"}})
	chat, assistant := talkers["chat"], talkers["assistant"]
	page := assistant.open(t, server, "ann")
	page.Send(assistant.say("shared", "first"))
	if text, _ := assistant.listen(t, page, -1); text != "first" {
		t.Errorf("%q", text)
	}
	phone := rig.Dial(t, server.Addr(), "/?session_id=shared&token="+userToken(server, "ann"))
	if f := phone.Next(); f.Type() != "connection" || f.Text("session_id") != "shared" {
		t.Errorf("greeted with %s", f)
	}
	phone.Send(chat.say("", "second, from the phone"))
	for name, text := range map[string]func() (string, bool){
		"chat":      func() (string, bool) { return chat.listen(t, phone, -1) },
		"assistant": func() (string, bool) { return assistant.listen(t, page, -1) },
	} {
		if text, _ := text(); text != "second, from the phone" {
			t.Errorf("%s shows %q", name, text)
		}
	}
}

// TestConversationsOfOthers: nobody reaches another user's conversation, nor one of another tenant.
func TestConversationsOfOthers(t *testing.T) {
	t.Parallel()
	server := parley.Start(t, rig.Options{Args: []string{"--dev"}})
	evil := newTenant(t, server, "evil")
	chat := talkers["chat"]
	ann := rig.Dial(t, server.Addr(), "/?session_id=anns&token="+userToken(server, "ann"))
	ann.Next()
	ann.Send(chat.say("", "/repeat 40 secret"))
	chat.listen(t, ann, 1)
	if s, res := rig.TryDial(t, server.Addr(), "/?session_id=anns&token="+userToken(server, "eve"), nil); s != nil || res.Status != http.StatusNotFound {
		t.Errorf("another user: %d %s", res.Status, res.Body)
	}
	stranger := rig.Dial(t, server.Addr(), "/?session_id=anns&token="+evil.user("ann"))
	if f := stranger.Next(); f.Type() != "connection" {
		t.Errorf("greeted with %s", f)
	}
	stranger.Send(rig.Frame{"type": "stop"})
	page := talkers["assistant"].open(t, server, "eve")
	for _, frame := range []rig.Frame{
		talkers["assistant"].say("anns", "let me in"),
		{"type": "stop", "conversation_id": "anns"},
		{"type": "human-escalation", "conversation_id": "anns"},
	} {
		page.Send(frame)
		if f := page.Next(); !strings.Contains(f.String(), `"NOT_FOUND"`) || strings.Contains(f.String(), "secret") {
			t.Errorf("%s was answered %s", frame, f)
		}
	}
	if text, _ := chat.listen(t, ann, -1); len(text) == 0 || strings.Contains(text, "let me in") {
		t.Errorf("the answer became %q", text)
	}
	stranger.Send(rig.Frame{"type": "ping"})
	if f := stranger.Next(); f.Type() != "pong" {
		t.Errorf("a stranger received %s", f)
	}
}

// TestTooFast sends until the broker says that it is too fast. The connection goes on.
func TestTooFast(t *testing.T) {
	t.Parallel()
	server := parley.Start(t, rig.Options{Args: []string{"--dev"}})
	s := rig.Dial(t, server.Addr(), "/?token="+userToken(server, "ann"))
	s.Next()
	for range 5 { // more at once than a connection may send, less than ends it
		for n := range 90 {
			s.Send(rig.Frame{"type": "ping", "id": fmt.Sprint("p-", n)})
		}
	}
	pongs, refused := 0, 0
	for range 5 * 90 {
		switch f := s.Next(); {
		case f.Type() == "pong":
			pongs++
		case f.Text("code") == "RATE_LIMITED" && f.Text("message") == "Failed to process chat message" && strings.HasPrefix(f.ID(), "p-"):
			refused++
		default:
			t.Fatalf("answered %s", f)
		}
	}
	if pongs < 200 {
		t.Errorf("%d answered, %d refused", pongs, refused)
	}
}

// TestFramesThatEndAChat sends what no connection survives.
func TestFramesThatEndAChat(t *testing.T) {
	t.Parallel()
	server := parley.Start(t, rig.Options{Args: []string{"--dev"}})
	for name, k := range talkers {
		for what, c := range map[string]struct {
			frame string
			code  int
		}{
			"over a megabyte": {`{"type":"` + long(1<<20) + `"}`, 1009},
			"not UTF-8":       {"{\"type\":\"\xff\xfe\"}", 1007},
		} {
			t.Run(name+"/"+what, func(t *testing.T) {
				s := k.open(t, server, "ann")
				_ = s.TrySend(c.frame)
				if code, reason := s.Ended(); code != c.code || reason == "" {
					t.Errorf("closed with %d %q, want %d and a reason", code, reason, c.code)
				}
			})
		}
	}
}

// TestBadFramesOfChats answers each bad frame in the form of the dialect's document, and goes on.
func TestBadFramesOfChats(t *testing.T) {
	t.Parallel()
	server := parley.Start(t, rig.Options{Args: []string{"--dev"}})
	const format, unknown = "Invalid message format", "Unknown message type"
	chat, page := talkers["chat"].open(t, server, "ann"), talkers["assistant"].open(t, server, "ann")
	chat.Next() // the greeting
	for _, c := range []struct{ name, frame, code, words string }{
		{"nothing", "", "INVALID_FORMAT", format},
		{"a word", "hello", "INVALID_FORMAT", format},
		{"half an object", `{"type":"chat"`, "INVALID_FORMAT", format},
		{"a list", `[{"type":"chat"}]`, "INVALID_FORMAT", format},
		{"null", "null", "INVALID_FORMAT", format},
		{"two objects", `{"type":"ping"}{"type":"ping"}`, "INVALID_FORMAT", format},
		{"a name twice", `{"type":"ping","type":"ping"}`, "INVALID_FORMAT", format},
		{"NUL", "{\"type\":\"ping\"}\x00", "INVALID_FORMAT", format},
		{"a lone surrogate", `{"type":"\ud800"}`, "INVALID_FORMAT", format},
		{"deep", strings.Repeat("[", 60_000), "INVALID_FORMAT", format},
		{"no type", `{"content":"x","message":"x"}`, "INVALID_FORMAT", format},
		{"type null", `{"type":null}`, "INVALID_FORMAT", format},
		{"type a number", `{"type":1}`, "INVALID_FORMAT", format},
		{"type a list", `{"type":["chat"]}`, "INVALID_FORMAT", format},
		{"unknown type", `{"type":"nonsense"}`, "UNKNOWN_TYPE", unknown},
		{"a type of the agents'", `{"type":"subscribe","channel_id":"x"}`, "UNKNOWN_TYPE", unknown},
		{"one byte too many", `{"type":"` + long(65_537-11) + `"}`, "MESSAGE_TOO_LARGE", format},
	} {
		t.Run(c.name, func(t *testing.T) {
			chat.Send(c.frame)
			if f := chat.Next(); f.Type() != "error" || f.Text("message") != c.words || f.Text("code") != c.code {
				t.Errorf("chat answered %s", f)
			}
			page.Send(c.frame)
			f := page.Next()
			var response struct {
				Final bool `json:"is_final"`
				Data  struct {
					Delta    string
					Finished bool `json:"delta_generation_finished"`
				}
				Error struct{ Code, Message string }
			}
			b, err := json.Marshal(f["response"])
			if err == nil {
				err = json.Unmarshal(b, &response)
			}
			if err != nil || f.Type() != "conversation_with_aileen" || !response.Final || !response.Data.Finished ||
				response.Error.Code != c.code || response.Error.Message == "" || response.Data.Delta != response.Error.Message {
				t.Errorf("assistant answered %s (%v)", f, err)
			}
		})
	}
	for _, s := range []*rig.Socket{chat, page} {
		s.SendBinary([]byte{0xff})
		if f := s.Next(); !strings.Contains(f.String(), "INVALID_FORMAT") {
			t.Errorf("a binary message was answered %s", f)
		}
		s.Send(rig.Frame{"type": "ping"})
		if f := s.Next(); f.Type() != "pong" {
			t.Errorf("after all that: %s", f)
		}
	}
}
