package test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"parley/sessions/worker"
	"parley/sessions/worker/echo"
	"parley/test/rig"
)

// piece is what a frame of any dialect says of an answer.
type piece struct {
	begins, ends bool
	text         string
}

// dialect is one way to hold a conversation.
type dialect struct {
	path  func(t *talk) string
	open  func(t *talk) any // what a client sends first; nil for nothing
	say   func(t *talk, text string) rig.Frame
	piece func(f rig.Frame) (p piece, ok bool)
}

// talk is one user's conversation in one dialect.
type talk struct {
	*testing.T
	tenant
	dialect
	user, id, credential string
}

func dialects() map[string]dialect {
	return map[string]dialect{
		"chat": {
			path: func(t *talk) string { return "/?" + rig.Query("token", t.credential, "session_id", t.id) },
			say:  func(_ *talk, text string) rig.Frame { return rig.Frame{"type": "chat", "content": text} },
			piece: func(f rig.Frame) (piece, bool) {
				switch f.Type() {
				case "stream-start":
					return piece{begins: true}, true
				case "stream-token":
					return piece{text: f.Text("token")}, true
				case "stream-end":
					return piece{ends: true}, true
				}
				return piece{}, false
			},
		},
		"tenantchat": {
			path: func(t *talk) string {
				return "/ws/chat?" + rig.Query("api_key", t.credential, "user_id", t.user, "chat_id", t.id)
			},
			say: func(_ *talk, text string) rig.Frame { return rig.Frame{"content": text} },
			piece: func(f rig.Frame) (piece, bool) {
				switch f.Text("event_type") {
				case "message_stream_started":
					return piece{begins: true}, true
				case "message_stream_token":
					return piece{text: f.Text("token")}, true
				case "message_stream_ended":
					return piece{ends: true}, true
				}
				return piece{}, false
			},
		},
		"bots": {
			path: func(t *talk) string { return "/ws?" + rig.Query("token", t.credential) },
			open: func(t *talk) any { return rig.Frame{"type": "subscribe", "session_id": t.id} },
			say: func(t *talk, text string) rig.Frame {
				return rig.Frame{"type": "message", "session_id": t.id, "content": text}
			},
			piece: func(f rig.Frame) (piece, bool) {
				switch f.Type() {
				case "stream_start":
					return piece{begins: true}, true
				case "stream_chunk":
					return piece{text: f.Text("content")}, true
				case "stream_end":
					return piece{ends: true}, true
				}
				return piece{}, false
			},
		},
		"assistant": {
			path: func(t *talk) string {
				return "/websocket/ws?" + rig.Query("access_token", t.credential, "conversation_id", t.id)
			},
			say: func(t *talk, text string) rig.Frame {
				return rig.Frame{"type": "conversation_with_aileen", "message": text, "conversation_id": t.id, "request_id": uuid.NewString()}
			},
			piece: func(f rig.Frame) (piece, bool) {
				response, ok := f["response"].(map[string]any)
				if !ok || response["request_id"] == nil {
					return piece{}, false
				}
				data := response["data"].(map[string]any)
				text, _ := data["delta"].(string)
				return piece{ends: data["delta_generation_finished"] == true, text: text}, true
			},
		},
	}
}

// newTalk makes a conversation that the dialect can be held in.
func newTalk(t *testing.T, n tenant, name string) *talk {
	t.Helper()
	c := &talk{T: t, tenant: n, dialect: dialects()[name], user: "ann-" + name}
	c.credential = n.user(c.user)
	var made struct {
		ID string `json:"id"`
	}
	rig.Do(t, "POST", n.URL()+"/api/sessions", c.credential, `{}`).JSON(t, &made)
	if c.id = made.ID; c.id == "" {
		t.Fatal("no session was made")
	}
	return c
}

// connect opens the conversation, as often as it takes for a broker that is away to come back.
func (c *talk) connect() *rig.Socket {
	c.Helper()
	deadline := time.Now().Add(rig.Patience)
	for {
		s := rig.Reach(c.T, c.StableAddr(), c.path(c))
		if s != nil {
			if c.open != nil {
				_ = s.TrySend(c.open(c)) // the broker may be gone again, which the next frame tells
			}
			_ = s.TrySend(rig.Frame{"type": "ping"})
			s.Take(func(f rig.Frame) bool { return f.Type() == "pong" || f.Text("event_type") == "pong" }) // all is in place
			return s
		}
		if time.Now().After(deadline) {
			c.Fatal("the broker did not come back")
		}
	}
}

// newest is what a chat reads of a conversation's newest message.
type newest struct {
	Total    int
	Messages []struct{ Content string }
}

func (c *talk) newest() (h newest) {
	c.Helper()
	rig.Do(c.T, "GET", "http://"+c.StableAddr()+"/api/v1/chats/"+c.id+"/messages?order=desc&limit=1", c.credential, "").JSON(c.T, &h)
	return h
}

// ask says something and returns the text of the answer, as a client has it that is cut off whenever cut says so. The
// client knows no more than its frames tell it: what begins makes it forget what it had. One that comes back when the
// answer has ended reads it in the history, as every chat does that shows one.
func (c *talk) ask(text string, cut func(words int) bool) string {
	c.Helper()
	s, before := c.connect(), c.newest().Total
	s.Send(c.say(c, text))
	var got strings.Builder
	words := 0
	for fresh := true; ; {
		f, ok := s.Take(func(f rig.Frame) bool { _, is := c.piece(f); return is })
		p, _ := c.piece(f)
		words += strings.Count(p.text, " ")
		if !ok || p.text != "" && !p.ends && cut(words) {
			s.Drop()
			s, fresh = c.connect(), true
			if h := c.newest(); h.Total == before+2 {
				s.Drop()
				return h.Messages[0].Content
			}
			continue
		}
		if p.begins || fresh {
			got.Reset()
			fresh = false
		}
		got.WriteString(p.text)
		if p.ends {
			s.Drop()
			return got.String()
		}
	}
}

// echoes runs a worker inside the test, which outlives the broker.
func echoes(t *testing.T, n tenant, rate float64) {
	t.Helper()
	parrot, err := echo.New(echo.Config{Rate: rate})
	if err != nil {
		t.Fatal(err)
	}
	file := rig.WriteFile(t, "worker.creds", []byte(n.creds("w", "--role", "worker")))
	nc, err := worker.Connect(n.StableNATS(), file, nats.ReconnectWait(50*time.Millisecond), nats.ReconnectJitter(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		cfg := worker.Config{Conns: []*nats.Conn{nc}, Continue: parrot.Continue, Coalesce: -1, Grace: -1, Patience: 500 * time.Millisecond}
		if err := worker.Run(ctx, cfg, parrot.Answer); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		stop()
		running.Wait()
		nc.Close()
	})
}

// sentence is a text whose words are all different, so that a missing or doubled piece of its echo shows.
func sentence(words int) string {
	all := make([]string, words)
	for i := range all {
		all[i] = fmt.Sprintf("w%d-é", i)
	}
	return strings.Join(all, " ")
}

// TestAnswersSurviveDisconnects cuts clients of every dialect off 200 times each, at random points of their answers.
func TestAnswersSurviveDisconnects(t *testing.T) {
	t.Parallel()
	server := parley.Start(t, rig.Options{})
	n := newTenant(t, server, "acme")
	server.StableAddr() // which all talks share
	echoes(t, n, 100)
	for name := range dialects() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newTalk(t, n, name)
			text := sentence(60)
			want := c.ask(text, func(int) bool { return false })
			if !strings.Contains(want, text) {
				t.Fatalf("the echo of %q is %q", text, want)
			}
			for cuts := 0; cuts < 200; {
				got := c.ask(text, func(int) bool {
					if rand.N(4) == 0 {
						cuts++
						return true
					}
					return false
				})
				if got != want {
					t.Fatalf("after %d cuts: got\n%q\nwant\n%q", cuts, got, want)
				}
			}
		})
	}
}

// TestAnswersSurviveCrashes ends the broker 20 times with kill -9 in the middle of answers, with a client of each dialect
// waiting for one.
func TestAnswersSurviveCrashes(t *testing.T) {
	t.Parallel()
	server := parley.Start(t, rig.Options{})
	n := newTenant(t, server, "acme")
	server.StableAddr() // which all talks share
	echoes(t, n, 50)
	text := sentence(60)
	talks := map[string]*talk{}
	for name := range dialects() {
		talks[name] = newTalk(t, n, name)
	}
	const kills = 20
	for kill := range kills {
		begun := make(chan struct{})
		var once sync.Once
		after := 1 + rand.N(30)
		var asking sync.WaitGroup
		for name, c := range talks {
			asking.Go(func() {
				got := c.ask(text, func(words int) bool {
					if words >= after {
						once.Do(func() { close(begun) })
					}
					return false
				})
				if !strings.Contains(got, text) || strings.Count(got, "w0-é") != 1 {
					t.Errorf("kill %d, %s: got %q", kill, name, got)
				}
			})
		}
		<-begun
		server.Kill()
		server.Restart()
		asking.Wait()
		if t.Failed() {
			return
		}
	}
}
