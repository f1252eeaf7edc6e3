package conversationtest

import (
	"fmt"
	"time"

	"parley/internal/fault"
	"parley/sessions"
)

// Here is the Origin of the connection under test; what comes from Elsewhere was typed on another one of the same user.
const (
	Here      = "here"
	Elsewhere = "elsewhere"
)

// Session is the id of the session that the scenes are played in.
const Session = "0192f000-0000-7000-8000-000000000001"

// Scene is a piece of a conversation as an Encoder is told of it.
type Scene struct {
	Name  string
	Begin sessions.Snapshot
	Event []*sessions.Event
}

// Scenes returns the script that every dialect plays: one whole conversation, and the ways in which a client may come
// into one.
func Scenes() []Scene {
	return []Scene{whole(), resumed(), resumedWaiting(), withOperator(), gaps()}
}

// writer makes events as a session's log would have them.
type writer struct {
	index  uint64
	state  sessions.State
	events []*sessions.Event
	answer sessions.Event // the Started of the one that is being given
	text   string         // of it so far
}

func newWriter(index uint64, mode sessions.Mode) *writer {
	return &writer{index: index, state: sessions.State{Mode: mode, Epoch: 1}}
}

func (w *writer) snapshot() sessions.Snapshot {
	return sessions.Snapshot{
		Info:  sessions.Info{ID: Session, User: "ann", Bot: "ai", Created: at(0)},
		Index: w.index, State: w.state,
	}
}

func (w *writer) scene(name string, begin sessions.Snapshot) Scene {
	return Scene{name, begin, w.events}
}

// at is the time of the event with an index.
func at(index uint64) time.Time {
	return time.Date(2026, 3, 4, 5, 6, 7, 8_000_000, time.UTC).Add(time.Duration(index) * time.Second)
}

func id(kind byte, n int) string { return fmt.Sprintf("0192f000-0000-7000-8000-%c%011d", kind, n) }

func (w *writer) add(e sessions.Event) {
	if e.Kind == sessions.Typing {
		e.Time = at(w.index)
	} else {
		w.index++
		e.Index, e.Time = w.index, at(w.index)
		if e.Kind != sessions.Chunk {
			state := w.state
			e.State = &state
		}
	}
	w.events = append(w.events, &e)
}

// say has the user say message n.
func (w *writer) say(n int, text, origin string) {
	w.state.Messages++
	w.add(sessions.Event{
		Kind: sessions.Said, ID: id('a', n), Reply: fmt.Sprintf("req-%d", n), Role: sessions.User, From: "ann", Text: text, Origin: origin,
	})
}

// reply has the operator say message n.
func (w *writer) reply(n int, text string) {
	w.state.Messages++
	w.add(sessions.Event{Kind: sessions.Said, ID: id('a', n), Role: sessions.Operator, From: "olga", Text: text})
}

// start begins answer n to a message.
func (w *writer) start(n, message int) {
	w.answer = sessions.Event{
		Kind: sessions.Started, ID: id('b', n), Run: id('a', message), Reply: fmt.Sprintf("req-%d", message),
		Role: sessions.Assistant, From: "echo-1",
	}
	w.text = ""
	w.state.Answer = &sessions.Running{ID: w.answer.ID, Run: w.answer.Run, Worker: "echo-1"}
	w.add(w.answer)
}

func (w *writer) pieces(all ...string) {
	for _, text := range all {
		w.add(sessions.Event{Kind: sessions.Chunk, ID: w.answer.ID, Run: w.answer.Run, Text: text, Offset: len(w.text)})
		w.text += text
	}
}

func (w *writer) tool(kind sessions.Kind, t sessions.Tool) {
	w.add(sessions.Event{Kind: kind, ID: w.answer.ID, Run: w.answer.Run, Tool: &t})
}

// end ends the answer with its text so far and what e adds to that.
func (w *writer) end(status sessions.Status, e sessions.Event) {
	e.Kind, e.ID, e.Run, e.Reply, e.Role, e.From = sessions.Ended, w.answer.ID, w.answer.Run, w.answer.Reply, sessions.Assistant, w.answer.From
	e.Text, e.Status = w.text, status
	w.state.Answer = nil
	w.state.Messages++
	w.add(e)
}

func whole() Scene {
	w := newWriter(0, sessions.ByAI)
	begin := w.snapshot()
	w.add(sessions.Event{Kind: sessions.Created, From: "ann"})

	w.say(1, "Hello?", Here)
	w.start(1, 1)
	w.pieces("Hello", ", \"wörld\" ", "✓\n")
	w.tool(sessions.ToolCall, sessions.Tool{CallID: "call-1", Name: "weather", Arguments: []byte(`{"city":"Graz"}`)})
	w.tool(sessions.ToolResult, sessions.Tool{CallID: "call-1", Name: "weather", Result: []byte(`{"celsius":21}`)})
	w.pieces("It is warm.")
	w.end(sessions.Complete, sessions.Event{FollowUps: []string{"Why?", "How \"warm\"?"}, Usage: &sessions.Usage{Input: 7, Output: 9}})

	w.say(2, "From my phone", Elsewhere)
	w.start(2, 2)
	w.pieces("This will be long")
	w.end(sessions.Stopped, sessions.Event{})

	w.say(3, "Is anybody there?", Here)
	w.answer, w.text = sessions.Event{Run: id('a', 3), Reply: "req-3"}, ""
	w.end(sessions.Failed, sessions.Event{Error: &sessions.Problem{Code: fault.Unavailable, Message: "Nobody could answer in time."}})

	w.say(4, "And now?", Here)
	w.start(3, 4)
	w.pieces("I think")
	w.end(sessions.Failed, sessions.Event{Error: &sessions.Problem{Code: fault.Unavailable, Message: "The model gave up."}})

	w.say(5, "Go on", Here)
	w.start(4, 5)
	w.pieces("Once upon")
	w.end(sessions.Interrupted, sessions.Event{})
	w.start(5, 5)
	w.pieces("Once upon", " a time.")
	w.end(sessions.Complete, sessions.Event{})

	handOff(w)

	w.state.Closed = true
	w.add(sessions.Event{Kind: sessions.Closed, Text: "The case is solved."})
	return w.scene("conversation", begin)
}

// handOff is the stretch in which a human takes over.
func handOff(w *writer) {
	w.state.Mode = sessions.Waiting
	w.add(sessions.Event{Kind: sessions.Escalated, From: "ann", Text: "I want a human."})
	w.state.Mode, w.state.Epoch, w.state.Operator = sessions.ByHuman, 2, "olga"
	w.add(sessions.Event{Kind: sessions.Claimed, From: "olga"})
	w.add(sessions.Event{Kind: sessions.Typing, Role: sessions.Operator, From: "olga", Active: true})
	w.reply(6, "Hi, this is Olga.")
	w.add(sessions.Event{Kind: sessions.Typing, Role: sessions.Operator, From: "olga"})
	w.say(7, "Thank you!", Here)
	w.reply(8, "You are\nwelcome.")
	w.state.Mode, w.state.Epoch, w.state.Operator = sessions.ByAI, 3, ""
	w.add(sessions.Event{Kind: sessions.Released, From: "olga"})
	w.say(9, "Hello again", Here)
	w.start(6, 9)
	w.pieces("Hello", " again.")
	w.end(sessions.Complete, sessions.Event{})
}

// resumed comes in while an answer is being given, of which some pieces come twice or joined with older ones.
func resumed() Scene {
	w := newWriter(10, sessions.ByAI)
	w.start(1, 1)
	w.pieces("Hello", ", wörld")
	begin := w.snapshot()
	begin.Answer = &sessions.Answer{ID: w.answer.ID, Run: w.answer.Run, Reply: w.answer.Reply, Text: w.text, Started: at(11)}
	twice := w.events[2]
	w.events = []*sessions.Event{twice}
	w.add(sessions.Event{Kind: sessions.Chunk, ID: w.answer.ID, Run: w.answer.Run, Text: "wörld and", Offset: len("Hello, ")})
	w.text = "Hello, wörld and"
	w.pieces(" everybody.")
	w.end(sessions.Complete, sessions.Event{})
	return w.scene("resumed", begin)
}

// resumedWaiting comes in before the first piece of an answer.
func resumedWaiting() Scene {
	w := newWriter(10, sessions.ByAI)
	w.start(1, 1)
	begin := w.snapshot()
	begin.Answer = &sessions.Answer{ID: w.answer.ID, Run: w.answer.Run, Reply: w.answer.Reply, Started: at(11)}
	w.events = nil
	w.pieces("Hello.")
	w.end(sessions.Complete, sessions.Event{})
	return w.scene("resumed-before-text", begin)
}

// withOperator comes in while a human is in charge.
func withOperator() Scene {
	w := newWriter(10, sessions.ByHuman)
	w.state.Operator = "olga"
	begin := w.snapshot()
	w.reply(1, "Are you still there?")
	w.say(2, "Yes.", Elsewhere)
	return w.scene("with-operator", begin)
}

// gaps has answers whose pieces are kept no more.
func gaps() Scene {
	w := newWriter(10, sessions.ByAI)
	begin := w.snapshot()
	w.start(1, 1)
	w.text = "One, two"
	w.pieces(", three")
	w.end(sessions.Complete, sessions.Event{})
	w.start(2, 2)
	w.text = "All at once."
	w.end(sessions.Complete, sessions.Event{})
	w.start(3, 3)
	w.end(sessions.Complete, sessions.Event{})
	return w.scene("gaps", begin)
}
