package test

import (
	"fmt"
	"strings"
	"testing"

	"parley/test/rig"
)

// refusal is the exact answer to a bad input.
type refusal struct{ code, message string }

// badFrame is something that an agent of acme sends on its connection to the channel general, and the exact ERROR that
// answers it. After each one the same connection still works.
type badFrame struct {
	name, frame string
	want        refusal
}

// long returns a text of n bytes.
func long(n int) string { return strings.Repeat("x", n) }

func message(field, value string) string {
	return fmt.Sprintf(`{"id":"bad","type":"message","content":"x",%q:%s}`, field, value)
}

// The answers that many inputs share.
var (
	notJSON    = refusal{"INVALID_FORMAT", ""}
	noType     = refusal{"INVALID_FORMAT", ""}
	badType    = refusal{"INVALID_FORMAT", ""}
	reserved   = refusal{"RESERVED_TYPE", ""}
	badID      = refusal{"INVALID_FORMAT", ""}
	badChannel = refusal{"INVALID_ID", ""}
	badTarget  = refusal{"INVALID_ID", ""}
	badSince   = refusal{"INVALID_FORMAT", ""}
	badLimit   = refusal{"INVALID_FORMAT", ""}
)

var badFrames = []badFrame{
	// What is no JSON object.
	{"nothing", "", notJSON},
	{"white space", " \t\n ", notJSON},
	{"a word", "hello", notJSON},
	{"half an object", `{"id":"bad","type":"message"`, notJSON},
	{"half a string", `{"id":"bad","type":"mess`, notJSON},
	{"an array", `[{"type":"message"}]`, notJSON},
	{"a string", `"message"`, notJSON},
	{"a number", "42", notJSON},
	{"true", "true", notJSON},
	{"null", "null", notJSON},
	{"two objects", `{"id":"bad","type":"message","content":1}{"type":"message"}`, notJSON},
	{"text behind the object", `{"id":"bad","type":"message","content":1} x`, notJSON},
	{"NUL behind the object", "{\"id\":\"bad\",\"type\":\"message\",\"content\":1}\x00", notJSON},
	{"a byte order mark", "\ufeff{\"id\":\"bad\",\"type\":\"message\",\"content\":1}", notJSON},
	{"a comma too many", `{"id":"bad","type":"message","content":1,}`, notJSON},
	{"a comma too few", `{"id":"bad" "type":"message"}`, notJSON},
	{"single quotes", `{'id':'bad','type':'message'}`, notJSON},
	{"names without quotes", `{id:"bad",type:"message"}`, notJSON},
	{"a comment", `{"id":"bad","type":"message"/* hi */}`, notJSON},
	{"NaN", `{"id":"bad","type":"message","content":NaN}`, notJSON},
	{"Infinity", `{"id":"bad","type":"message","content":Infinity}`, notJSON},
	{"a leading zero", `{"id":"bad","type":"message","content":01}`, notJSON},
	{"a hexadecimal number", `{"id":"bad","type":"message","content":0x10}`, notJSON},
	{"a raw line break in a string", "{\"id\":\"bad\",\"type\":\"message\",\"content\":\"a\nb\"}", notJSON},
	{"a raw NUL in a string", "{\"id\":\"bad\",\"type\":\"message\",\"content\":\"a\x00b\"}", notJSON},
	{"an unknown escape", `{"id":"bad","type":"message","content":"\x41"}`, notJSON},
	{"half a surrogate pair", `{"id":"bad","type":"message","content":"\ud800"}`, notJSON},
	{"a name twice", `{"id":"bad","type":"message","content":1,"content":2}`, notJSON},
	{"type twice", `{"id":"bad","type":"message","type":"ACK","content":1}`, notJSON},
	{"a name twice, once escaped", `{"id":"bad","type":"message","content":1,"\u0063ontent":2}`, notJSON},
	{"a name twice, deep down", `{"id":"bad","type":"message","content":{"a":{"b":1,"b":2}}}`, notJSON},
	{"20,000 open brackets", `{"id":"bad","type":"message","content":` + strings.Repeat("[", 20_000), notJSON},
	{"20,000 brackets in order", `{"id":"bad","type":"message","content":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + "}", notJSON},
	{"HTTP", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", notJSON},
	{"NATS", "PUB channel.general 2\r\nhi\r\n", notJSON},

	// type
	{"no type", `{"id":"bad","content":"x"}`, noType},
	{"an empty object", `{}`, noType},
	{"Type is not type", `{"id":"bad","Type":"message","content":"x"}`, noType},
	{"type null", `{"id":"bad","type":null,"content":"x"}`, badType},
	{"type a number", `{"id":"bad","type":1,"content":"x"}`, badType},
	{"type a list", `{"id":"bad","type":["message"],"content":"x"}`, badType},
	{"type empty", `{"id":"bad","type":"","content":"x"}`, badType},
	{"type with a space", `{"id":"bad","type":"my type","content":"x"}`, badType},
	{"type with a leading digit", `{"id":"bad","type":"1st","content":"x"}`, badType},
	{"type with a leading dot", `{"id":"bad","type":".x","content":"x"}`, badType},
	{"type of look-alikes", `{"id":"bad","type":"mеssage","content":"x"}`, badType},
	{"type of 65 bytes", `{"id":"bad","type":"` + long(65) + `","content":"x"}`, badType},
	{"type with NUL", `{"id":"bad","type":"mess\u0000age","content":"x"}`, badType},
	{"type ERROR", `{"id":"bad","type":"ERROR","content":"x"}`, reserved},
	{"type error", `{"id":"bad","type":"error","content":"x"}`, reserved},
	{"type GAP", `{"id":"bad","type":"GAP","channel_id":"general"}`, reserved},
	{"type Gap", `{"id":"bad","type":"Gap","channel_id":"general"}`, reserved},
	{"type pong", `{"id":"bad","type":"pong"}`, reserved},
	{"ACK without having asked for it", `{"id":"bad","type":"ACK","message_id":"m-1"}`, reserved},
	{"NACK without having asked for it", `{"id":"bad","type":"NACK","message_id":"m-1"}`, reserved},

	// id
	{"id a number", `{"id":7,"type":"message","content":"x"}`, badID},
	{"id null", `{"id":null,"type":"message","content":"x"}`, badID},
	{"id true", `{"id":true,"type":"message","content":"x"}`, badID},
	{"id an object", `{"id":{},"type":"message","content":"x"}`, badID},
	{"id a list", `{"id":["bad"],"type":"message","content":"x"}`, badID},
	{"id empty", `{"id":"","type":"message","content":"x"}`, badID},
	{"id of 129 bytes", `{"id":"` + long(129) + `","type":"message","content":"x"}`, badID},
	{"id of 10 KB", `{"id":"` + long(10_000) + `","type":"message","content":"x"}`, badID},

	// where to
	{"channel_id a number", message("channel_id", "7"), refusal{"INVALID_FORMAT", ""}},
	{"channel_id null", message("channel_id", "null"), refusal{"INVALID_FORMAT", ""}},
	{"channel_id a list", message("channel_id", `["general"]`), refusal{"INVALID_FORMAT", ""}},
	{"channel_id an object", message("channel_id", `{"$ne":""}`), refusal{"INVALID_FORMAT", ""}},
	{"target a number", message("target", "7"), refusal{"INVALID_FORMAT", ""}},
	{"target null", message("target", "null"), refusal{"INVALID_FORMAT", ""}},
	{"target a list", message("target", `["bob"]`), refusal{"INVALID_FORMAT", ""}},
	{"channel_id and target", `{"id":"bad","type":"message","content":"x","channel_id":"general","target":"bob"}`, refusal{"INVALID_FORMAT", ""}},
	{"target with a dot", message("target", `"a.b"`), badTarget},

	// extensions
	{"subscribe without channel_id", `{"id":"bad","type":"subscribe"}`, refusal{"INVALID_FORMAT", ""}},
	{"unsubscribe without channel_id", `{"id":"bad","type":"unsubscribe"}`, refusal{"INVALID_FORMAT", ""}},
	{"history without channel_id, on a connection with one", `{"id":"bad","type":"history","limit":0}`, badLimit},
	{"presence of a bad channel", `{"id":"bad","type":"presence","channel_id":"a b"}`, badChannel},
	{"subscribe to everything", `{"id":"bad","type":"subscribe","channel_id":">"}`, badChannel},
	{"subscribe to a pattern", `{"id":"bad","type":"subscribe","channel_id":"general.*"}`, badChannel},
	{"unsubscribe from what it has not", `{"id":"bad","type":"unsubscribe","channel_id":"other"}`, refusal{"NOT_SUBSCRIBED", ""}},
	{"since a word", `{"id":"bad","type":"subscribe","channel_id":"other","since":"yesterday"}`, badSince},
	{"since negative", `{"id":"bad","type":"subscribe","channel_id":"other","since":-1}`, badSince},
	{"since a fraction", `{"id":"bad","type":"subscribe","channel_id":"other","since":1.5}`, badSince},
	{"since too large a number", `{"id":"bad","type":"subscribe","channel_id":"other","since":18446744073709551616}`, badSince},
	{"since true", `{"id":"bad","type":"subscribe","channel_id":"other","since":true}`, badSince},
	{"since null", `{"id":"bad","type":"subscribe","channel_id":"other","since":null}`, badSince},
	{"since the 30th of February", `{"id":"bad","type":"subscribe","channel_id":"other","since":"2026-02-30T00:00:00Z"}`, badSince},
	{"since a day", `{"id":"bad","type":"subscribe","channel_id":"other","since":"2026-02-03"}`, badSince},
	{"limit negative", `{"id":"bad","type":"history","channel_id":"general","limit":-5}`, badLimit},
	{"limit a word", `{"id":"bad","type":"history","channel_id":"general","limit":"all"}`, badLimit},
	{"limit a fraction", `{"id":"bad","type":"history","channel_id":"general","limit":2.5}`, badLimit},
	{"limit beyond all bounds", `{"id":"bad","type":"history","channel_id":"general","limit":1000000000}`, badLimit},
	{"status without status", `{"id":"bad","type":"status"}`, refusal{"INVALID_FORMAT", ""}},
	{"status that is none", `{"id":"bad","type":"status","status":"sleeping"}`, refusal{"INVALID_FORMAT", ""}},
	{"status that is not one's own to say", `{"id":"bad","type":"status","status":"offline"}`, refusal{"INVALID_FORMAT", ""}},
	{"status a number", `{"id":"bad","type":"status","status":5}`, refusal{"INVALID_FORMAT", ""}},
	{"auth without a token", `{"id":"bad","type":"auth"}`, refusal{"", ""}},
	{"auth with a bad token", `{"id":"bad","type":"auth","token":"x.y.z"}`, refusal{"", ""}},

	// size: a message may have 65,536 bytes
	{"one byte too many", sized(65_537), refusal{"MESSAGE_TOO_LARGE", ""}},
	{"a megabyte", sized(1 << 20), refusal{"MESSAGE_TOO_LARGE", ""}},
}

// sized returns a message frame of n bytes.
func sized(n int) string {
	frame := `{"id":"bad","type":"message","content":""}`
	return strings.Replace(frame, `""`, `"`+long(n-len(frame))+`"`, 1)
}

func TestBadFrames(t *testing.T) {
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	alice, witness := acme.agent("alice", "general"), acme.agent("witness", "general")
	for _, c := range badFrames {
		t.Run(c.name, func(t *testing.T) {
			alice.Send(c.frame)
			checkError(t, alice.Next(), c.want, strings.Contains(c.frame, `"id":"bad"`))
			alice.Settle()
			if got := alice.Pending(); len(got) > 0 {
				t.Errorf("more than one answer: %s", got)
			}
		})
	}
	for i, id := range badChannelIDs {
		t.Run(fmt.Sprintf("channel_id %q", short(id)), func(t *testing.T) {
			alice.Send(rig.Frame{"id": fmt.Sprint("channel-", i), "type": "message", "content": "x", "channel_id": id})
			checkError(t, alice.Answer(fmt.Sprint("channel-", i)), badChannel, false)
		})
		t.Run(fmt.Sprintf("target %q", short(id)), func(t *testing.T) {
			alice.Send(rig.Frame{"id": fmt.Sprint("target-", i), "type": "message", "content": "x", "target": id})
			checkError(t, alice.Answer(fmt.Sprint("target-", i)), badTarget, false)
		})
	}
	// Whatever was refused went nowhere.
	alice.Publish("end")
	if got := witness.Message(); got["content"] != "end" {
		t.Errorf("a refused frame was delivered: %s", got)
	}
}

// checkError expects an ERROR frame that says exactly want.
func checkError(t *testing.T, got rig.Frame, want refusal, named bool) {
	t.Helper()
	if got.Type() != "ERROR" || got.Text("code") != want.code || got.Text("error") != want.message {
		t.Errorf("answered by %s\n want code %s, error %q", got, want.code, want.message)
	}
	if named && got.Text("message_id") != "bad" {
		t.Errorf("the answer does not name the message: %s", got)
	}
	got.Time(t)
}

func short(s string) string {
	if len(s) > 40 {
		return fmt.Sprintf("%.40s… (%d bytes)", s, len(s))
	}
	return s
}

// badChannelIDs are no channel's names, and no agent's.
var badChannelIDs = []string{
	"", " ", "a b", "a ", " a", "a\tb", "a\nb", "a\r\nPUB x 1\r\n", "a\x00b", "\x7f", "*", ">", "a.*", "a.>", "*.a", "general.>",
	".", ".a", "a.", "a..b", "$JS", "$JS.API.STREAM.NAMES", "$SYS.REQ.SERVER.PING", "$KV.state.x", "a/b", "../../etc/passwd", `a\b`,
	"a:b", "a%2Eb", "a#b", "a?b", "a&b", "a=b", "a+b", "a,b", "a;b", `a"b`, "a'b", "<script>", "{}", "gеneral", "ｇeneral", "general\u200b",
	"\u202egeneral", "ünïcödé", "🎉", "général", "a\u00a0b", long(65), "a." + long(65), long(129), long(10_000), strings.Repeat("a.", 16) + "a",
}

// TestFramesThatEndAConnection sends what no connection survives.
func TestFramesThatEndAConnection(t *testing.T) {
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	for _, c := range []struct {
		name string
		send func(*rig.Socket)
		code int
	}{
		{"over a megabyte", func(s *rig.Socket) { _ = s.TrySend(sized(1<<20 + 1)) }, 1009},
		{"not UTF-8", func(s *rig.Socket) { _ = s.TrySend("{\"type\":\"message\",\"content\":\"\xff\xfe\"}") }, 1007},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := acme.agent("alice", "general")
			c.send(s)
			if code, reason := s.Ended(); code != c.code || reason == "" {
				t.Errorf("closed with %d %q, want %d and a reason", code, reason, c.code)
			}
		})
	}
}

// TestBinaryMessage: the dialect has none, and they do no harm.
func TestBinaryMessage(t *testing.T) {
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	s := acme.agent("alice", "general")
	s.SendBinary([]byte{0xff, 0x00})
	checkError(t, s.Next(), refusal{"INVALID_FORMAT", ""}, false)
	s.Settle()
}

// TestSizesThatPass are just below the limit.
func TestSizesThatPass(t *testing.T) {
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	s := acme.agent("alice", "general")
	s.Send(sized(65_536))
	s.Ack("bad")
	if got := s.Message(); got.ID() != "bad" {
		t.Errorf("received %s", got)
	}
	for _, id := range []string{"a", strings.Repeat("a.", 15) + "a", long(64), long(64) + "." + long(63), "A-_z.0", "_", "-"} {
		if _, ack := s.PublishFrame(rig.Frame{"type": "message", "content": "x", "channel_id": id}); ack.Text("message_id") == "" {
			t.Errorf("channel %q: %s", id, ack)
		}
	}
}

// TestNowhereToGo publishes on a connection without a channel.
func TestNowhereToGo(t *testing.T) {
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	s := acme.agent("alice", "")
	s.Send(`{"id":"bad","type":"message","content":"x"}`)
	checkError(t, s.Next(), refusal{"NO_DESTINATION", ""}, true)
	s.Settle()
}

// TestOutsideTheGrant asks for what the token does not allow.
func TestOutsideTheGrant(t *testing.T) {
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	s := acme.dial(acme.token("alice", "--channels", "general,team.*"), "general")
	for _, frame := range []string{
		`{"id":"bad","type":"message","content":"x","channel_id":"secret"}`,
		`{"id":"bad","type":"message","content":"x","channel_id":"team"}`,
		`{"id":"bad","type":"message","content":"x","channel_id":"team.a.b"}`,
		`{"id":"bad","type":"subscribe","channel_id":"secret"}`,
		`{"id":"bad","type":"history","channel_id":"secret"}`,
		`{"id":"bad","type":"presence","channel_id":"secret"}`,
	} {
		s.Send(frame)
		checkError(t, s.Next(), refusal{"PERMISSION_DENIED", ""}, true)
	}
	s.PublishFrame(rig.Frame{"type": "message", "content": "x", "channel_id": "team.a"})
}
