package channels

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"regexp"
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
	ID      string // the sender's id, by which a repetition is recognised
	Time    time.Time
	Members []rawjson.Member // what else the sender said; names that the broker owns are left out when it is stored
}

// MaxIDBytes bounds a message id.
const MaxIDBytes = 128

// timeLayout is RFC 3339 in UTC with milliseconds, as all dialects write it.
const timeLayout = "2006-01-02T15:04:05.000Z"

// FormatTime returns t as it is written everywhere on the wire.
func FormatTime(t time.Time) string { return t.UTC().Format(timeLayout) }

// typePattern is what a message may call itself.
var typePattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,63}$`)

// reservedTypes belong to the protocol, in any spelling of case: a client that mixes them up should hear of it.
var reservedTypes = [...]string{
	"ack", "error", "nack", "gap", "subscribe", "unsubscribe", "history", "presence", "ping", "pong", "status", "auth",
}

// CheckType refuses what a message can't be called.
func CheckType(t string) error {
	if !typePattern.MatchString(t) {
		return fault.New(fault.InvalidFormat, "A type is a letter followed by at most 63 letters, digits, '_', '.' or '-'.")
	}
	for _, r := range reservedTypes {
		if strings.EqualFold(t, r) {
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
	b := make([]byte, 0, 256)
	b = append(b, `{"id":`...)
	b = rawjson.AppendString(b, m.ID)
	b = appendOthers(b, m.Members)
	return append(appendStamps(b, m.To, m.Sender, FormatTime(m.Time)), '}')
}

func appendOthers(b []byte, members []rawjson.Member) []byte {
	for _, f := range members {
		if !owned(f.Name) {
			b = appendName(b, f.Name)
			b = append(b, f.Value...)
		}
	}
	return b
}

func appendStamps(b []byte, to Address, sender broker.Token, timestamp string) []byte {
	b = appendName(b, "tenant_id")
	b = rawjson.AppendString(b, string(to.Tenant))
	if sender != "" {
		b = appendName(b, "agent_id")
		b = rawjson.AppendString(b, string(sender))
	}
	if to.Channel != "" {
		b = appendName(b, "channel_id")
		b = rawjson.AppendString(b, string(to.Channel))
	} else {
		b = appendName(b, "target")
		b = rawjson.AppendString(b, string(to.Agent))
	}
	b = appendName(b, "timestamp")
	return rawjson.AppendString(b, timestamp)
}

func appendName(b []byte, name string) []byte {
	return append(rawjson.AppendString(append(b, ','), name), ':')
}

// appendDelivery lays out a stored message as clients receive it: the documented message with its sequence. What a
// service has published is brought into that form: an object that is a message by its members keeps them, everything
// else becomes the content. It also returns who sent it, "" for a service that does not say.
func appendDelivery(b []byte, to Address, s broker.Stored) ([]byte, broker.Token) {
	b = append(b, `{"seq":`...)
	b = strconv.AppendUint(b, s.Seq, 10)
	members, err := rawjson.Object(nil, s.Data)
	if err != nil || !isEnvelope(members) {
		return appendForeign(b, to, s, err == nil || errors.Is(err, rawjson.ErrNotObject)), ""
	}
	e := readEnvelope(members)
	if e.stamped(to) {
		b = append(b, ',')
		return append(b, s.Data[bytes.IndexByte(s.Data, '{')+1:]...), e.sender
	}
	if e.id == "" {
		e.id = storedID(s)
	}
	if e.timestamp == "" {
		e.timestamp = FormatTime(s.Time)
	}
	b = appendName(b, "id")
	b = rawjson.AppendString(b, e.id)
	if !e.typed {
		b = append(b, `,"type":"message"`...)
	}
	b = appendOthers(b, members)
	return append(appendStamps(b, to, e.sender, e.timestamp), '}'), e.sender
}

// appendForeign lays out a payload that is no message: JSON as it is, text as a string, anything else as base64.
func appendForeign(b []byte, to Address, s broker.Stored, isJSON bool) []byte {
	b = appendName(b, "id")
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
	return append(appendStamps(b, to, "", FormatTime(s.Time)), '}')
}

// isEnvelope reports whether an object is meant as a message: it has a type that a message may have, or a content.
func isEnvelope(members []rawjson.Member) bool {
	content := false
	for _, m := range members {
		if m.Name == "type" {
			t, ok := m.String()
			return ok && CheckType(t) == nil
		}
		content = content || m.Name == "content"
	}
	return content
}

// envelope is what a stored object says of itself, as far as it is well-formed.
type envelope struct {
	id, timestamp, tenant string
	channel, target       string
	sender                broker.Token
	typed, foreign        bool // foreign: it has a member that only the broker may add
}

func readEnvelope(members []rawjson.Member) (e envelope) {
	for _, m := range members {
		switch m.Name {
		case "id":
			if id, ok := m.String(); ok && len(id) <= MaxIDBytes {
				e.id = id
			}
		case "type":
			e.typed = true
		case "timestamp":
			if t, ok := m.String(); ok && validTime(t) {
				e.timestamp = t
			}
		case "tenant_id":
			e.tenant, _ = m.String()
		case "channel_id":
			e.channel, _ = m.String()
		case "target":
			e.target, _ = m.String()
		case "agent_id":
			s, _ := m.String()
			if t, err := broker.ParseToken(s); err == nil {
				e.sender = t
			} else {
				e.foreign = true
			}
		case "seq", "redelivered":
			e.foreign = true
		}
	}
	return e
}

// stamped reports whether the object already is the documented message for this address.
func (e envelope) stamped(to Address) bool {
	return e.typed && !e.foreign && e.id != "" && e.timestamp != "" && e.tenant == string(to.Tenant) &&
		e.channel == string(to.Channel) && e.target == string(to.Agent)
}

func validTime(s string) bool {
	_, err := time.Parse(time.RFC3339, s)
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
