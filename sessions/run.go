package sessions

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"parley/acks"
	"parley/broker"
	"parley/internal/fault"
)

// maxAttempts is how many workers may die over one message.
const maxAttempts = 3

// attempt is one worker's go at the message whose turn it is. It lives in the writer's memory: a writer that comes after
// takes up what the log says.
type attempt struct {
	run      string
	number   int
	worker   string    // who has accepted it, "" for nobody yet
	n        uint64    // of its newest message that was taken, whether it is in the log yet or not
	since    time.Time // of being asked for, or accepted
	heard    time.Time // when the worker last gave a sign of life
	followUp []string  // what the user may ask next, until the end says it
}

// Request is what a worker pulls from its queue. docs/workers.md describes it.
type Request struct {
	Session  string          `json:"session"`
	Run      string          `json:"run"`
	Attempt  int             `json:"attempt"`
	Epoch    uint64          `json:"epoch"`
	Queue    string          `json:"queue"`
	ReplyTo  string          `json:"reply_to"`
	Control  string          `json:"control"`
	User     string          `json:"user"`
	Claims   json.RawMessage `json:"claims,omitzero"`
	Text     string          `json:"text"`
	Metadata json.RawMessage `json:"metadata,omitzero"` // of the message
	About    json.RawMessage `json:"about,omitzero"`    // of the session
	History  []Line          `json:"history"`           // oldest first; the last one is the message to answer
	Partial  string          `json:"partial,omitzero"`  // what an attempt before has said already
	Deadline time.Time       `json:"deadline"`          // by when the answer must have ended
}

// Line is one message of the conversation, as workers are told it.
type Line struct {
	ID       string          `json:"id"`
	Role     Role            `json:"role"`
	Text     string          `json:"text"`
	Time     time.Time       `json:"time"`
	Metadata json.RawMessage `json:"metadata,omitzero"`

	claims json.RawMessage
}

// resume takes up what the log says of an answer that another writer has begun.
func (w *writer) resume() {
	state := w.fold.state
	if state.Answer == nil || len(state.Pending) == 0 {
		return
	}
	at := time.Now()
	w.attempt = &attempt{
		run: state.Answer.Run, number: state.Pending[0].Attempt, worker: state.Answer.Worker, n: w.fold.n, since: w.fold.answer.Started, heard: at,
	}
}

// advance sees to it that the message whose turn it is gets a worker, and notes when to look again.
func (w *writer) advance() {
	if !w.fold.unfinished() {
		w.attempt = nil
		w.due = time.Now().Add(w.space.hub.cfg.Linger)
		return
	}
	if run := w.fold.state.Pending[0].Run; w.attempt == nil || w.attempt.run != run {
		w.dispatch(w.fold.state.Pending[0].Attempt + 1)
	}
	w.due = w.patience()
}

// patience is until when a worker is waited for, to come or to go on.
func (w *writer) patience() time.Time {
	cfg, a := w.space.hub.cfg, w.attempt
	if a.worker == "" {
		return a.since.Add(cfg.WorkerWait)
	}
	silent, late := a.heard.Add(cfg.WorkerSilence), a.since.Add(cfg.AnswerLimit)
	if late.Before(silent) {
		return late
	}
	return silent
}

// supervise acts on a worker that did not come, or was not heard of for too long.
func (w *writer) supervise() {
	cfg, a, at := w.space.hub.cfg, w.attempt, time.Now()
	switch {
	case a.worker == "" && at.Sub(a.since) >= cfg.WorkerWait:
		w.fail(fault.NoWorker, "Nobody is there to answer now. Please try again later.")
	case a.worker != "" && at.Sub(a.since) >= cfg.AnswerLimit:
		w.tellWorker()
		w.fail(fault.WorkerFailed, "The answer took too long.")
	case a.worker != "" && at.Sub(a.heard) >= cfg.WorkerSilence:
		w.space.hub.log.Warn("a worker is silent, another one is asked", "session", w.id, "run", a.run, "worker", a.worker, "attempt", a.number)
		w.space.hub.counts.lost.Inc()
		w.again()
	}
}

// again gives the message to another worker.
func (w *writer) again() {
	if w.attempt.number >= maxAttempts {
		w.fail(fault.WorkerLost, "The answer was lost. Please try again.")
		return
	}
	w.tellWorker() // should it still live
	w.dispatch(w.attempt.number + 1)
}

// fail ends the answer with words for the user. What the log does not take breaks the writer.
func (w *writer) fail(code fault.Code, text string) {
	_ = w.end(Failed, &Event{Error: &Problem{code, text}}, 0)
}

// dispatch asks the workers for an attempt at the message whose turn it is. A request that is already there is not made
// twice. One that can't be stored breaks the writer: who needs it finds another.
func (w *writer) dispatch(number int) {
	s, run := w.space, w.fold.state.Pending[0].Run
	w.attempt = &attempt{run: run, number: number, since: time.Now()}
	if number == 1 {
		w.asked = w.attempt.since
	}
	w.traceRun()
	ctx, cancel := context.WithTimeout(s.life, openWithin)
	defer cancel()
	queue := w.info.queue()
	if w.broken = s.conn.EnsureQueue(ctx, queue); w.broken != nil {
		return
	}
	data, err := w.request(ctx, queue)
	if err != nil {
		w.broken = err
		return
	}
	w.broken = s.publish.Store(ctx, acks.Message{
		Subject: broker.WorkSubject(queue), Sender: w.id, ID: w.nonce + run + strconv.Itoa(number), Data: data, TTL: max(s.hub.cfg.WorkerWait.Round(time.Second), time.Second),
		Trace: w.span.Traceparent(),
	}).Err
}

// request lays out what a worker needs to know.
func (w *writer) request(ctx context.Context, queue broker.Token) ([]byte, error) {
	if err := w.recall(ctx); err != nil {
		return nil, err
	}
	state, a := w.fold.state, w.attempt
	r := Request{
		Session: string(w.id), Run: a.run, Attempt: a.number, Epoch: state.Epoch, Queue: string(queue),
		ReplyTo: string(broker.SessionRun(w.id)), Control: string(broker.SessionControl(w.id)),
		User: w.info.User, About: w.info.Metadata, Partial: string(w.fold.text),
		Deadline: time.Now().Add(w.space.hub.cfg.AnswerLimit).UTC(),
	}
	for _, l := range w.recent {
		r.History = append(r.History, l)
		if l.ID == a.run {
			r.Text, r.Metadata, r.Claims = l.Text, l.Metadata, l.claims
			break
		}
	}
	for len(r.History) > 1 && sizeOf(r.History) > maxHistory {
		r.History = r.History[1:]
	}
	return json.Marshal(r)
}

// maxHistory bounds what a worker is told of the conversation, in bytes: a request has to fit into one message.
const maxHistory = 64 << 10

func sizeOf(lines []Line) (n int) {
	for _, l := range lines {
		n += len(l.Text) + len(l.Metadata)
	}
	return n
}

// recall reads what was said lately, once.
func (w *writer) recall(ctx context.Context) error {
	if w.recent != nil {
		return nil
	}
	lines := []Line{}
	for _, seq := range w.fold.state.Recent {
		e, err := w.space.get(ctx, seq)
		if fault.CodeOf(err) == fault.NotFound {
			continue // older than what is kept
		}
		if err != nil {
			return err
		}
		lines = appendLine(lines, e)
	}
	w.recent = lines
	return nil
}

func appendLine(lines []Line, e *Event) []Line {
	if e.Text == "" {
		return lines
	}
	lines = append(lines, Line{e.ID, e.Role, e.Text, e.Time, e.Metadata, e.Claims})
	return lines[max(0, len(lines)-recentMessages):]
}

// tellWorker has whoever works on the message stop.
func (w *writer) tellWorker() {
	if w.attempt == nil {
		return
	}
	data, err := json.Marshal(struct {
		Type    string `json:"type"`
		Run     string `json:"run"`
		Attempt int    `json:"attempt"`
	}{"stop", w.attempt.run, w.attempt.number})
	if err == nil {
		err = w.space.conn.NATS().Publish(string(broker.SessionControl(w.id)), data)
	}
	if err != nil {
		w.space.hub.log.Warn("a worker could not be told to stop", "session", w.id, "err", err)
	}
}
