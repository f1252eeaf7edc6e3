package sessions

import (
	"time"
)

// recentMessages is how many of the newest messages a State points to: what a worker is told of the conversation.
const recentMessages = 20

// fold is what a log says, read up to one of its events.
type fold struct {
	index  uint64 // of that event
	seq    uint64 // where it is in the stream, 0 for a log without any
	time   time.Time
	state  State
	answer *Answer // the running one without its Text, which is kept in text
	text   []byte
	n      uint64 // the number of the newest message of the running attempt's worker
}

// apply takes the next event. Chunks that are no longer stored are left out, and so are their indexes.
func (f *fold) apply(e *Event, seq uint64) {
	f.index, f.seq, f.time = e.Index, seq, e.Time
	if e.State != nil {
		f.state = *e.State.clone()
	}
	if e.isMessage() {
		f.remember(seq)
	}
	switch e.Kind {
	case Started:
		f.state.Answer.Seq = seq
		f.answer = &Answer{ID: e.ID, Run: e.Run, Reply: e.Reply, Started: e.Time}
		f.text, f.n = f.text[:0:0], e.N
	case Resumed:
		f.n = e.N
	case Chunk:
		if f.answer != nil && f.answer.ID == e.ID {
			f.text, f.n = append(f.text, e.Text...), e.N
		}
	case ToolCall, ToolResult:
		f.n = e.N
	case Ended:
		f.answer, f.text = nil, nil
	case Said, Created, Escalated, Claimed, Released, Closed, Typing:
	}
}

// remember notes where a message is.
func (f *fold) remember(seq uint64) {
	f.state.Recent = append(f.state.Recent, seq)
	if n := len(f.state.Recent); n > recentMessages {
		f.state.Recent = f.state.Recent[n-recentMessages:]
	}
}

// snapshot returns what a Follower begins with.
func (f *fold) snapshot(info Info) Snapshot {
	s := Snapshot{Info: info, Index: f.index, State: *f.state.clone()}
	if f.answer != nil {
		answer := *f.answer
		answer.Text = string(f.text)
		s.Answer = &answer
	}
	return s
}
