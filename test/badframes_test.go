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
	notObject  = refusal{"INVALID_FORMAT", "A frame is a JSON object."}
	cutOff     = refusal{"INVALID_FORMAT", "The frame ends in the middle of its JSON."}
	notJSON    = refusal{"INVALID_FORMAT", "The frame is not valid JSON."}
	noType     = refusal{"INVALID_FORMAT", "The frame has no type."}
	badType    = refusal{"INVALID_FORMAT", "A type is a letter followed by at most 63 letters, digits, '_', '.' or '-'."}
	badID      = refusal{"INVALID_ID", "A message id is 1 to 128 bytes of printable text."}
	badChannel = refusal{"INVALID_ID", "A channel is ids of A-Z a-z 0-9 _ and - joined by dots, at most 128 bytes."}
	badTarget  = refusal{"INVALID_ID", "An id is 1 to 64 characters of A-Z a-z 0-9 _ and -."}
	badSince   = refusal{"INVALID_FORMAT", "since is a sequence number or an RFC 3339 time."}
	badLimit   = refusal{"INVALID_FORMAT", "limit is a number from 1 to 100."}
	badStatus  = refusal{"INVALID_FORMAT", "A status is online, idle or busy."}
)

func reserved(kind string) refusal {
	return refusal{"RESERVED_TYPE", fmt.Sprintf("The type %q belongs to the protocol.", kind)}
}

func noString(field string) refusal {
	return refusal{"INVALID_FORMAT", fmt.Sprintf("%q is not a string.", field)}
}

func tooLarge(size int) refusal {
	return refusal{"MESSAGE_TOO_LARGE", fmt.Sprintf("The message has %d bytes; 65536 are allowed.", size)}
}

var badFrames = []badFrame{
	// What is no JSON object.
	{"nothing", "", cutOff},
	{"white space", " \t\n ", cutOff},
	{"a word", "hello", notJSON},
	{"half an object", `{"id":"bad","type":"message"`, cutOff},
	{"half a string", `{"id":"bad","type":"mess`, cutOff},
	{"an array", `[{"type":"message"}]`, notObject},
	{"a string", `"message"`, notObject},
	{"a number", "42", notObject},
	{"true", "true", notObject},
	{"null", "null", notObject},
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
	{"type null", `{"id":"bad","type":null,"content":"x"}`, noString("type")},
	{"type a number", `{"id":"bad","type":1,"content":"x"}`, noString("type")},
	{"type a list", `{"id":"bad","type":["message"],"content":"x"}`, noString("type")},
	{"type empty", `{"id":"bad","type":"","content":"x"}`, noType},
	{"type with a space", `{"id":"bad","type":"my type","content":"x"}`, badType},
	{"type with a leading digit", `{"id":"bad","type":"1st","content":"x"}`, badType},
	{"type with a leading dot", `{"id":"bad","type":".x","content":"x"}`, badType},
	{"type of look-alikes", `{"id":"bad","type":"mеssage","content":"x"}`, badType},
	{"type of 65 bytes", `{"id":"bad","type":"` + long(65) + `","content":"x"}`, badType},
	{"type with NUL", `{"id":"bad","type":"mess\u0000age","content":"x"}`, badType},
	{"type ERROR", `{"id":"bad","type":"ERROR","content":"x"}`, reserved("ERROR")},
	{"type error", `{"id":"bad","type":"error","content":"x"}`, reserved("error")},
	{"type GAP", `{"id":"bad","type":"GAP","channel_id":"general"}`, reserved("GAP")},
	{"type Gap", `{"id":"bad","type":"Gap","channel_id":"general"}`, reserved("Gap")},
	{"type pong", `{"id":"bad","type":"pong"}`, reserved("pong")},
	{"ACK without having asked for it", `{"id":"bad","type":"ACK","message_id":"m-1"}`, reserved("ACK")},
	{"NACK without having asked for it", `{"id":"bad","type":"NACK","message_id":"m-1"}`, reserved("NACK")},

	// id
	{"id a number", `{"id":7,"type":"message","content":"x"}`, noString("id")},
	{"id true", `{"id":true,"type":"message","content":"x"}`, noString("id")},
	{"id an object", `{"id":{},"type":"message","content":"x"}`, noString("id")},
	{"id a list", `{"id":["bad"],"type":"message","content":"x"}`, noString("id")},
	{"id empty", `{"id":"","type":"message","content":"x"}`, badID},
	{"id with a line break", `{"id":"a\nb","type":"message","content":"x"}`, badID},
	{"id with NUL", `{"id":"a\u0000b","type":"message","content":"x"}`, badID},
	{"id with a change of direction", `{"id":"a\u202eb","type":"message","content":"x"}`, badID},
	{"id of 129 bytes", `{"id":"` + long(129) + `","type":"message","content":"x"}`, badID},
	{"id of 10 KB", `{"id":"` + long(10_000) + `","type":"message","content":"x"}`, badID},

	// where to
	{"channel_id a number", message("channel_id", "7"), noString("channel_id")},
	{"channel_id a list", message("channel_id", `["general"]`), noString("channel_id")},
	{"channel_id an object", message("channel_id", `{"$ne":""}`), noString("channel_id")},
	{"target a number", message("target", "7"), noString("target")},
	{"target null", message("target", "null"), noString("target")},
	{"target a list", message("target", `["bob"]`), noString("target")},
	{"channel_id and target", `{"id":"bad","type":"message","content":"x","channel_id":"general","target":"bob"}`, refusal{"INVALID_FORMAT", "A message has a channel_id or a target, not both."}},
	{"target with a dot", message("target", `"a.b"`), badTarget},

	{"no content", `{"id":"bad","type":"message"}`, refusal{"INVALID_FORMAT", "The message has no content."}},

	// extensions
	{"PING is not ping", `{"id":"bad","type":"PING"}`, reserved("PING")},
	{"history without channel_id, on a connection with one", `{"id":"bad","type":"history","limit":0}`, badLimit},
	{"presence of a bad channel", `{"id":"bad","type":"presence","channel_id":"a b"}`, badChannel},
	{"subscribe to everything", `{"id":"bad","type":"subscribe","channel_id":">"}`, badChannel},
	{"subscribe to a pattern", `{"id":"bad","type":"subscribe","channel_id":"general.*"}`, badChannel},
	{"unsubscribe from what it has not", `{"id":"bad","type":"unsubscribe","channel_id":"other"}`, refusal{"NOT_SUBSCRIBED", `The connection is not subscribed to "other".`}},
	{"since a word", `{"id":"bad","type":"subscribe","channel_id":"other","since":"yesterday"}`, badSince},
	{"since negative", `{"id":"bad","type":"subscribe","channel_id":"other","since":-1}`, badSince},
	{"since a fraction", `{"id":"bad","type":"subscribe","channel_id":"other","since":1.5}`, badSince},
	{"since too large a number", `{"id":"bad","type":"subscribe","channel_id":"other","since":18446744073709551616}`, badSince},
	{"since true", `{"id":"bad","type":"subscribe","channel_id":"other","since":true}`, badSince},
	{"since the 30th of February", `{"id":"bad","type":"subscribe","channel_id":"other","since":"2026-02-30T00:00:00Z"}`, badSince},
	{"since a day", `{"id":"bad","type":"subscribe","channel_id":"other","since":"2026-02-03"}`, badSince},
	{"limit negative", `{"id":"bad","type":"history","channel_id":"general","limit":-5}`, badLimit},
	{"limit a word", `{"id":"bad","type":"history","channel_id":"general","limit":"all"}`, badLimit},
	{"limit a fraction", `{"id":"bad","type":"history","channel_id":"general","limit":2.5}`, badLimit},
	{"limit beyond all bounds", `{"id":"bad","type":"history","channel_id":"general","limit":1000000000}`, badLimit},
	{"status without status", `{"id":"bad","type":"status"}`, badStatus},
	{"status that is none", `{"id":"bad","type":"status","status":"sleeping"}`, badStatus},
	{"status that is not one's own to say", `{"id":"bad","type":"status","status":"offline"}`, badStatus},
	{"status a number", `{"id":"bad","type":"status","status":5}`, noString("status")},
	{"auth without a token", `{"id":"bad","type":"auth"}`, refusal{"AUTH_REQUIRED", "There is no token."}},
	{"auth with a bad token", `{"id":"bad","type":"auth","token":"x.y.z"}`, refusal{"AUTH_FAILED", "The token is not a JWT: three parts of base64url, joined by dots."}},

	// size: a message may have 65,536 bytes
	{"one byte too many", sized(65_537), tooLarge(65_537)},
	{"a megabyte", sized(1 << 20), tooLarge(1 << 20)},
}

// sized returns a message frame of n bytes.
func sized(n int) string {
	frame := `{"id":"bad","type":"message","content":""}`
	return strings.Replace(frame, `""`, `"`+long(n-len(frame))+`"`, 1)
}

func TestBadFrames(t *testing.T) {
	t.Parallel()
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	alice, witness := acme.agent("alice", "general"), acme.agent("witness", "general")
	for _, c := range badFrames {
		t.Run(c.name, func(t *testing.T) {
			alice.Send(c.frame)
			checkError(t, alice.Next(), c.want, strings.HasPrefix(c.frame, `{"id":"bad"`))
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
	t.Parallel()
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
	t.Parallel()
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	s := acme.agent("alice", "general")
	s.SendBinary([]byte{0xff, 0x00})
	checkError(t, s.Next(), refusal{"INVALID_FORMAT", "Frames are text."}, false)
	s.Settle()
}

// TestSizesThatPass are just below the limit.
func TestSizesThatPass(t *testing.T) {
	t.Parallel()
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

// TestNowhereToGo names no channel on a connection that has none.
func TestNowhereToGo(t *testing.T) {
	t.Parallel()
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	s := acme.agent("alice", "")
	nowhere := refusal{"NO_DESTINATION", "The frame names no channel_id."}
	for frame, want := range map[string]refusal{
		`{"id":"bad","type":"message","content":"x"}`: {"NO_DESTINATION", "The message names neither a channel_id nor a target."},
		`{"id":"bad","type":"subscribe"}`:             nowhere,
		`{"id":"bad","type":"unsubscribe"}`:           nowhere,
		`{"id":"bad","type":"history"}`:               nowhere,
		`{"id":"bad","type":"presence"}`:              nowhere,
	} {
		s.Send(frame)
		checkError(t, s.Next(), want, true)
	}
	s.Settle()
}

// TestOutsideTheGrant asks for what the token does not allow.
func TestOutsideTheGrant(t *testing.T) {
	t.Parallel()
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	s := acme.dial(acme.token("alice", "--channels", "general,team.*"), "general")
	for _, c := range [][2]string{
		{`{"id":"bad","type":"message","content":"x","channel_id":"secret"}`, "publish on channel.secret"},
		{`{"id":"bad","type":"message","content":"x","channel_id":"team"}`, "publish on channel.team"},
		{`{"id":"bad","type":"message","content":"x","channel_id":"team.a.b"}`, "publish on channel.team.a.b"},
		{`{"id":"bad","type":"subscribe","channel_id":"secret"}`, `subscribe to the channel "secret"`},
		{`{"id":"bad","type":"history","channel_id":"secret"}`, `subscribe to the channel "secret"`},
		{`{"id":"bad","type":"presence","channel_id":"secret"}`, `subscribe to the channel "secret"`},
	} {
		s.Send(c[0])
		checkError(t, s.Next(), refusal{"PERMISSION_DENIED", "The token does not allow to " + c[1] + "."}, true)
	}
	s.PublishFrame(rig.Frame{"type": "message", "content": "x", "channel_id": "team.a"})
}
