package meet

import (
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"parley/channels"
	"parley/frontends/ws"
	"parley/internal/fault"
	"parley/internal/rawjson"
	"parley/rooms"
)

// person is a participant as clients see it.
type person struct {
	ID     string `json:"participant_id"`   // id of the participant
	Name   string `json:"participant_name"` // for people, as it called itself
	Joined string `json:"joined_at"`        // when it came in, RFC 3339
	Polite *bool  `json:"polite,omitzero"`  // the role of who is told, towards the participant; not in the document
}

func personOf(p rooms.Participant) person {
	return person{ID: p.ID, Name: p.Name, Joined: channels.FormatTime(p.Joined)}
}

func politePerson(p rooms.Participant, polite bool) person {
	v := personOf(p)
	v.Polite = &polite
	return v
}

// appendNotice appends what a connection is told as a whole text frame, or nothing for what is no frame.
func appendNotice(dst []byte, n *rooms.Notice) []byte {
	switch n.Kind {
	case rooms.Welcomed:
		return appendJoined(dst, n)
	case rooms.Entered:
		return appendFrame(dst, presence{"participant_joined", string(n.Room), politePerson(n.Participant, n.Polite), "", ""})
	case rooms.Departed:
		return appendFrame(dst, presence{"participant_left", string(n.Room), personOf(n.Participant), n.Reason, n.To})
	case rooms.Superseded:
		f := errorFrame(time.Now(), fault.New(fault.NotSubscribed, "Another connection has resumed this participant."))
		f.Room = string(n.Room)
		return appendFrame(dst, f)
	case rooms.Signaled:
		return appendSignal(dst, n)
	}
	return dst
}

// presence is that somebody came or went.
type presence struct {
	Type   string       `json:"type"`
	Room   string       `json:"room_id"`
	Person person       `json:"participant"`
	Reason rooms.Reason `json:"reason,omitzero"`      // not in the document, nor what follows
	To     string       `json:"new_room_id,omitzero"` // where somebody was moved
}

func appendJoined(dst []byte, n *rooms.Notice) []byte {
	w := n.Welcome
	people := make([]person, len(w.Others))
	for i, o := range w.Others {
		people[i] = politePerson(o.Participant, o.Polite)
	}
	ice := w.ICE
	if ice == nil {
		ice = []rooms.ICEServer{}
	}
	return appendFrame(dst, struct {
		Type    string            `json:"type"`
		Room    string            `json:"room_id"`
		ID      string            `json:"participant_id"`
		Name    string            `json:"participant_name"`
		Joined  string            `json:"joined_at"`
		Resume  string            `json:"resume_token"`     // not in the document
		Resumed bool              `json:"resumed,omitzero"` // not in the document
		People  []person          `json:"participants"`
		ICE     []rooms.ICEServer `json:"ice_servers"`
	}{"joined", string(n.Room), w.Self.ID, w.Self.Name, channels.FormatTime(w.Self.Joined), w.Resume, w.Resumed, people, ice})
}

// appendSignal writes the frame that there is most of. The signal itself is as its sender wrote it.
func appendSignal(dst []byte, n *rooms.Notice) []byte {
	return ws.AppendTextFunc(dst, func(b []byte) []byte {
		b = rawjson.AppendString(append(b, `{"type":"signal","room_id":`...), string(n.Room))
		b = rawjson.AppendString(append(b, `,"sender_id":`...), n.Participant.ID)
		b = strconv.AppendBool(append(b, `,"polite":`...), n.Polite)
		b = strconv.AppendUint(append(b, `,"seq":`...), n.Seq, 10) // not in the document
		b = append(append(b, `,"signal":`...), n.Signal...)
		return append(b, '}')
	})
}

// failure is the document's error frame.
type failure struct {
	Type    string     `json:"type"`
	Code    fault.Code `json:"code"`
	Message string     `json:"message"`
	Fix     string     `json:"fix,omitzero"`       // not in the document, nor what follows
	Room    string     `json:"room_id,omitzero"`   // that the frame was about
	Target  string     `json:"target_id,omitzero"` // of the signal that was refused
	Time    string     `json:"timestamp"`
}

func errorFrame(at time.Time, err error) failure {
	return failure{Type: "error", Code: codeOf(err), Message: fault.Message(err), Fix: fault.Fix(err), Time: channels.FormatTime(at)}
}

// pong answers a ping.
type pong struct {
	Type string `json:"type"`
	Time string `json:"timestamp"`
}

func appendFrame(dst []byte, v any) []byte { return ws.AppendText(dst, encode(v)) }

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // unreachable: what is encoded here always marshals
	}
	return b
}
