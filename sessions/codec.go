package sessions

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"parley/internal/rawjson"
)

// encode lays an event out as it is stored. Chunks, of which there are most, are written by hand.
func encode(e *Event) ([]byte, error) {
	if e.Kind == Chunk {
		data, _ := appendChunk(make([]byte, 0, 192+len(e.Text)), e)
		return data, nil
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // an answer may be full of it, and nobody reads it as HTML
	if err := enc.Encode(e); err != nil {
		return nil, fmt.Errorf("lay out an event: %w", err)
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// appendChunk appends a chunk and returns how much of it its text is.
func appendChunk(dst []byte, e *Event) (_ []byte, text int) {
	dst = append(dst, `{"index":`...)
	dst = strconv.AppendUint(dst, e.Index, 10)
	dst = append(dst, `,"time":"`...)
	dst = e.Time.AppendFormat(dst, time.RFC3339Nano)
	dst = append(dst, `","kind":"chunk","id":`...)
	dst = rawjson.AppendString(dst, e.ID)
	dst = append(dst, `,"text":`...)
	text = -len(dst)
	dst = rawjson.AppendString(dst, e.Text)
	text += len(dst)
	for _, number := range [...]struct {
		name  string
		value uint64
	}{{`,"offset":`, uint64(e.Offset)}, {`,"start":`, e.Start}, {`,"n":`, e.N}} {
		if number.value != 0 {
			dst = strconv.AppendUint(append(dst, number.name...), number.value, 10)
		}
	}
	return append(dst, '}'), text
}

// decode reads an event, or something that is foreign to the log. Only the broker writes events, so that one that can't be
// read is a defect.
func decode(data []byte) (*Event, error) {
	e := new(Event)
	if err := json.Unmarshal(data, e); err != nil {
		if !hasKind(data) {
			return new(Event), nil
		}
		return nil, fmt.Errorf("read an event: %w", err)
	}
	return e, nil
}

func hasKind(data []byte) bool {
	var some struct {
		Kind json.RawMessage `json:"kind"`
	}
	return json.Unmarshal(data, &some) != nil || some.Kind != nil
}

// foreign reports whether it is no event at all. The streams answer whoever publishes to them on the subject that he names,
// a session's log for example.
func (e *Event) foreign() bool { return e.Kind == "" }

// decode reads what a worker has sent. Names that are not known are left out. Strings that are in like, which may be nil,
// are shared with it.
func (o *output) decode(data []byte, like *manner) error {
	var room [12]rawjson.Member
	members, err := rawjson.Object(room[:0], data)
	if err != nil {
		return err
	}
	for _, m := range members {
		switch {
		case m.Name == "type" && m.Is("chunk"):
			o.Type = "chunk"
			continue
		case like != nil && m.Name == "run" && m.Is(like.run):
			o.Run = like.run
			continue
		}
		if err := o.read(m); err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
	}
	return nil
}

// read takes one member of a worker's message.
func (o *output) read(m rawjson.Member) (err error) {
	if into := o.text(m.Name); into != nil {
		var ok bool
		if *into, ok = m.String(); !ok {
			err = errors.New("it is no string")
		}
		return err
	}
	switch m.Name {
	case "n":
		o.N, err = strconv.ParseUint(string(m.Value), 10, 64)
	case "attempt":
		o.Attempt, err = strconv.Atoi(string(m.Value))
	case "epoch":
		o.Epoch, err = strconv.ParseUint(string(m.Value), 10, 64)
	case "arguments":
		o.Arguments = bytes.Clone(m.Value)
	case "result":
		o.Result = bytes.Clone(m.Value)
	case "continue":
		err = json.Unmarshal(m.Value, &o.Continue)
	case "retry":
		err = json.Unmarshal(m.Value, &o.Retry)
	case "questions":
		err = json.Unmarshal(m.Value, &o.Questions)
	case "usage":
		err = json.Unmarshal(m.Value, &o.Usage)
	}
	return err
}

// text returns where a member goes that is a string, nil for others.
func (o *output) text(name string) *string {
	switch name {
	case "type":
		return &o.Type
	case "run":
		return &o.Run
	case "text":
		return &o.Text
	case "worker":
		return &o.Worker
	case "tool":
		return &o.Tool
	case "call_id":
		return &o.CallID
	case "code":
		return (*string)(&o.Code)
	case "message":
		return &o.Message
	}
	return nil
}
