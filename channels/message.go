package channels

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"parley/broker"
	"parley/internal/fault"
	"parley/internal/rawjson"
)

// Message is what an agent wants to be stored. The broker vouches for everything but Members.
type Message struct {
	To      Address
	Sender  broker.Token
	ID      string // the sender's id, by which a repetition is recognised, or one that was made for it
	Time    time.Time
	Trace   string           // the traceparent that is stored with it. Zero means none.
	Members []rawjson.Member // what else the sender said; names that the broker owns are left out when it is stored
}

// MaxIDBytes bounds a message id.
const MaxIDBytes = 128

// FormatTime returns t as it is written everywhere on the wire: see AppendTime.
func FormatTime(t time.Time) string { return string(AppendTime(make([]byte, 0, 24), t)) }

// AppendTime appends t in RFC 3339, in UTC with milliseconds. It does what time.Time.AppendFormat can do, at a fifth of the
// price, because every message has a time.
func AppendTime(b []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	b = appendDigits(b, year, 4)
	b = appendDigits(append(b, '-'), int(month), 2)
	b = appendDigits(append(b, '-'), day, 2)
	b = appendDigits(append(b, 'T'), hour, 2)
	b = appendDigits(append(b, ':'), minute, 2)
	b = appendDigits(append(b, ':'), second, 2)
	b = appendDigits(append(b, '.'), t.Nanosecond()/1e6, 3)
	return append(b, 'Z')
}

// appendDigits appends the last digits of n.
func appendDigits(b []byte, n, digits int) []byte {
	for range digits {
		b = append(b, 0)
	}
	for i := len(b) - 1; digits > 0; digits-- {
		b[i] = byte('0' + n%10)
		n /= 10
		i--
	}
	return b
}

// reservedTypes belong to the protocol, in any spelling of case: a client that mixes them up should hear of it.
var reservedTypes = [...]string{
	"ack", "error", "nack", "gap", "expiring", "subscribe", "unsubscribe", "history", "presence", "ping", "pong", "status", "auth",
}

// maxTypeBytes bounds what a message may call itself.
const maxTypeBytes = 64

func wellFormedType(t string) bool {
	for i := range len(t) {
		switch c := t[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
		case i > 0 && ('0' <= c && c <= '9' || c == '_' || c == '.' || c == '-'):
		default:
			return false
		}
	}
	return t != "" && len(t) <= maxTypeBytes
}

// CheckType refuses what a message can't be called.
func CheckType(t string) error {
	if !wellFormedType(t) {
		return fault.New(fault.InvalidFormat, "A type is a letter followed by at most 63 letters, digits, '_', '.' or '-'.")
	}
	for _, r := range reservedTypes {
		if len(t) == len(r) && strings.EqualFold(t, r) {
			return fault.New(fault.ReservedType, "The type %q belongs to the protocol.", t)
		}
	}
	return nil
}

// owned reports whether a name of the outermost object is the broker's to say.
func owned(name string) bool {
	switch name {
	case "id", "tenant_id", "agent_id", "channel_id", "target", "timestamp", "seq", "redelivered":
		return true
	}
	return false
}

// encode lays the message out as it is stored and as services read it.
func (m Message) encode() []byte {
	size := 192 + len(m.ID)
	for _, f := range m.Members {
		size += len(f.Name) + len(f.Value) + 4
	}
	b := make([]byte, 0, size)
	b = append(b, `{"id":`...)
	b = rawjson.AppendString(b, m.ID)
	b = appendOthers(b, m.Members)
	b = appendStamps(b, m.To, m.Sender)
	return append(AppendTime(b, m.Time), `"}`...)
}

func appendOthers(b []byte, members []rawjson.Member) []byte {
	for _, f := range members {
		if !owned(f.Name) {
			b = rawjson.AppendString(append(b, ','), f.Name)
			b = append(append(b, ':'), f.Value...)
		}
	}
	return b
}

// appendStamps appends what the broker vouches for, up to the timestamp, which is to follow with its closing quote. None of
// these needs escapes: tenants, agents and channels are made of letters, digits, '_', '-' and '.'.
func appendStamps(b []byte, to Address, sender broker.Token) []byte {
	b = append(append(b, `,"tenant_id":"`...), to.Tenant...)
	if sender != "" {
		b = append(append(b, `","agent_id":"`...), sender...)
	}
	if to.Channel != "" {
		b = append(append(b, `","channel_id":"`...), to.Channel...)
	} else {
		b = append(append(b, `","target":"`...), to.Agent...)
	}
	return append(b, `","timestamp":"`...)
}

// appendDelivery lays out a stored message as clients receive it: the documented message with its sequence. What a
// service has published is brought into that form: an object that is a message by its members keeps them, everything
// else becomes the content. It also returns who sent it, "" for a service that does not say.
func appendDelivery(b []byte, to Address, s broker.Stored) ([]byte, broker.Token) {
	b = append(b, `{"seq":`...)
	b = strconv.AppendUint(b, s.Seq, 10)
	var room [16]rawjson.Member // enough for nearly all, and on the stack
	members, err := rawjson.Object(room[:0], s.Data)
	if err != nil || !isEnvelope(members) {
		return appendForeign(b, to, s, err == nil || errors.Is(err, rawjson.ErrNotObject)), ""
	}
	e := readEnvelope(members)
	sender := e.agent()
	if e.stamped(to) {
		b = append(b, ',')
		return append(b, s.Data[bytes.IndexByte(s.Data, '{')+1:]...), sender
	}
	b = append(b, `,"id":`...)
	if e.validID() {
		b = append(b, e.id.Value...)
	} else {
		b = rawjson.AppendString(b, storedID(s))
	}
	if e.typ.Name == "" {
		b = append(b, `,"type":"message"`...)
	}
	b = appendOthers(b, members)
	b = appendStamps(b, to, sender)
	if e.validTime() {
		t, _ := e.timestamp.Plain()
		b = append(b, t...)
	} else {
		b = AppendTime(b, s.Time)
	}
	return append(b, `"}`...), sender
}

// appendForeign lays out a payload that is no message: JSON as it is, text as a string, anything else as base64.
func appendForeign(b []byte, to Address, s broker.Stored, isJSON bool) []byte {
	b = append(b, `,"id":`...)
	b = rawjson.AppendString(b, storedID(s))
	b = append(b, `,"type":"message","content":`...)
	switch {
	case isJSON:
		b = append(b, s.Data...)
	case utf8.Valid(s.Data):
		b = rawjson.AppendString(b, string(s.Data))
	default:
		b = append(b, '"')
		b = base64.StdEncoding.AppendEncode(b, s.Data)
		b = append(b, `","encoding":"base64"`...)
	}
	b = AppendTime(appendStamps(b, to, ""), s.Time)
	return append(b, `"}`...)
}

// isEnvelope reports whether an object is meant as a message: it has a type that a message may have, or a content.
func isEnvelope(members []rawjson.Member) bool {
	content := false
	for _, m := range members {
		if m.Name == "type" {
			if m.Is("message") {
				return true
			}
			t, ok := m.String()
			return ok && CheckType(t) == nil
		}
		content = content || m.Name == "content"
	}
	return content
}

// envelope is what a stored object says of itself. Members that it does not have are zero.
type envelope struct {
	id, typ, timestamp, tenant, channel, target, sender rawjson.Member

	foreign bool // it has a member that only deliveries have
}

func readEnvelope(members []rawjson.Member) (e envelope) {
	for _, m := range members {
		switch m.Name {
		case "id":
			e.id = m
		case "type":
			e.typ = m
		case "timestamp":
			e.timestamp = m
		case "tenant_id":
			e.tenant = m
		case "channel_id":
			e.channel = m
		case "target":
			e.target = m
		case "agent_id":
			e.sender = m
		case "seq", "redelivered":
			e.foreign = true
		}
	}
	return e
}

// stamped reports whether the object already is the documented message for this address.
func (e envelope) stamped(to Address) bool {
	if e.typ.Name == "" || e.foreign || !e.tenant.Is(string(to.Tenant)) || !names(e.channel, string(to.Channel)) || !names(e.target, string(to.Agent)) {
		return false
	}
	return e.validID() && e.validTime() && (e.sender.Name == "" || e.agent() != "")
}

// names reports whether a member says what it should, which is nothing for "".
func names(m rawjson.Member, want string) bool {
	if want == "" {
		return m.Name == ""
	}
	return m.Is(want)
}

// agent returns who sent the message, "" when it does not say so properly.
func (e envelope) agent() broker.Token {
	s, ok := e.sender.String()
	if !ok {
		return ""
	}
	t, err := broker.ParseToken(s)
	if err != nil {
		return ""
	}
	return t
}

// validID reports whether the message has an id of its own.
func (e envelope) validID() bool {
	id, ok := e.id.Plain()
	if !ok {
		s, isString := e.id.String()
		id, ok = []byte(s), isString
	}
	return ok && len(id) > 0 && len(id) <= MaxIDBytes
}

func (e envelope) validTime() bool {
	t, ok := e.timestamp.Plain()
	if !ok {
		return false // no time has an escape
	}
	_, err := time.Parse(time.RFC3339, string(t))
	return err == nil
}

// storedID is the id of a message whose sender gave none: a UUIDv7 made of the time and the sequence under which it is
// stored, so that every node and every replay names it alike.
func storedID(s broker.Stored) string {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:8], uint64(s.Time.UnixMilli())<<16)
	binary.BigEndian.PutUint64(id[8:], s.Seq)
	id[6] = 0x70 | id[6]&0x0f // version 7
	id[8] = 0x80 | id[8]&0x3f // variant of RFC 9562
	return id.String()
}
