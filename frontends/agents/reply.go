package agents

import (
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"parley/channels"
	"parley/frontends/ws"
	"parley/internal/fault"
	"parley/internal/rawjson"
)

// ack is the answer to a frame that was carried out. Which of the optional members it has depends on the frame.
type ack struct {
	Type      string           `json:"type"`
	MessageID string           `json:"message_id,omitzero"`
	Timestamp string           `json:"timestamp"`
	Channel   string           `json:"channel_id,omitzero"`
	Seq       *uint64          `json:"seq,omitzero"`
	Agents    []agentView      `json:"agents,omitzero"`
	Messages  []jsontext.Value `json:"messages,omitzero"`
	More      *bool            `json:"more,omitzero"`
	Next      *uint64          `json:"next,omitzero"`
	Gap       *gapView         `json:"gap,omitzero"`
	Status    channels.Status  `json:"status,omitzero"`
	Duplicate bool             `json:"duplicate,omitzero"`
	Stored    *bool            `json:"stored,omitzero"` // false in ephemeral channels
	Expires   string           `json:"expires,omitzero"`
}

// agentView is an agent as clients see it.
type agentView struct {
	Agent    string          `json:"agent_id"`  // id of the agent
	Status   channels.Status `json:"status"`    // as its clients have set it; offline when it has no connection
	Sockets  int             `json:"sockets"`   // connections that it has open, on all nodes
	Channels []string        `json:"channels"`  // that it is subscribed to, as far as the asker may read them
	LastSeen string          `json:"last_seen"` // when its last connection ended, RFC 3339; now for those that have one
}

// gapView is what is missing of a history, because it is no longer kept.
type gapView struct {
	From uint64 `json:"from"` // first sequence that is missing
	To   uint64 `json:"to"`   // last sequence that is missing
}

func newAck(id string) ack {
	return ack{Type: "ACK", MessageID: id, Timestamp: channels.FormatTime(time.Now())}
}

// encode returns v as one WebSocket frame.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // unreachable: what is encoded here always marshals
	}
	return ws.AppendText(nil, b)
}

// appendStored acknowledges a message. It is the frame that the broker sends most often after messages themselves.
func appendStored(dst []byte, id string, at time.Time, seq uint64, duplicate bool) []byte {
	return ws.AppendTextFunc(dst, func(b []byte) []byte {
		b = rawjson.AppendString(append(b, `{"type":"ACK","message_id":`...), id)
		b = channels.AppendTime(append(b, `,"timestamp":"`...), at)
		b = strconv.AppendUint(append(b, `","seq":`...), seq, 10)
		if duplicate {
			b = append(b, `,"duplicate":true`...)
		}
		return append(b, '}')
	})
}

// unstoredFrame acknowledges a message of an ephemeral channel.
func unstoredFrame(id string, at time.Time) []byte {
	return encode(ack{Type: "ACK", MessageID: id, Timestamp: channels.FormatTime(at), Stored: new(bool)})
}

// errorFrame answers a frame that was not carried out. id is "" when it could not be read.
func errorFrame(id string, err error) []byte {
	return encode(struct {
		Type      string     `json:"type"`
		Error     string     `json:"error"`
		Code      fault.Code `json:"code"`
		Fix       string     `json:"fix,omitzero"`
		MessageID string     `json:"message_id,omitzero"`
		Timestamp string     `json:"timestamp"`
	}{"ERROR", fault.Message(err), fault.CodeOf(err), fault.Fix(err), id, channels.FormatTime(time.Now())})
}

// expiringFrame tells a client that asked for it when its token ends.
func expiringFrame(at time.Time) []byte {
	return encode(struct {
		Type      string `json:"type"`
		Expires   string `json:"expires"`
		Timestamp string `json:"timestamp"`
	}{"EXPIRING", channels.FormatTime(at), channels.FormatTime(time.Now())})
}

// gapFrame tells a client that asked for the past what of it is gone.
func gapFrame(to channels.Address, g channels.Gap) []byte {
	return encode(struct {
		Type    string `json:"type"`
		Channel string `json:"channel_id"`
		gapView `json:",inline"`
	}{"GAP", string(to.Channel), gapView{g.From, g.To}})
}
