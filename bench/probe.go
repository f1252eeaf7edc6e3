package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"parley/internal/fault"
)

// probe is a connection that asks one thing at a time, and checks the answers.
type probe struct {
	flow   *flow
	link   *link
	checks Counts // of all messages that answers should have had

	mu    sync.Mutex
	asked *question // that is not answered yet, or nil; guarded by mu
}

// question is a frame that was sent, and what has come for it.
type question struct {
	want     int    // messages that follow its ACK
	payload  []byte // of the ACK
	numbers  []uint32
	answered chan struct{} // closed when all is there
	at       time.Time     // when that was
}

// openProbe connects one more agent, which the caller closes.
func (f *flow) openProbe(ctx context.Context) (*probe, error) {
	token, err := f.session.tenants[0].token("probe")
	if err != nil {
		return nil, err
	}
	p := &probe{flow: f}
	if p.link, err = f.session.open(ctx, p, token, ""); err != nil {
		return nil, err
	}
	if err := p.link.greet(ctx); err != nil {
		p.link.close()
		return nil, err
	}
	return p, nil
}

// ask sends a frame whose id is "ask", waits for its ACK and for the messages behind it, and says how long that took.
func (p *probe) ask(ctx context.Context, frame string, messages int) (*question, time.Duration, error) {
	q := &question{want: messages, answered: make(chan struct{})}
	p.mu.Lock()
	p.asked = q
	p.mu.Unlock()
	began := time.Now()
	if _, err := p.link.conn.Write(appendFrame(nil, textFrame, frame)); err != nil {
		return nil, 0, fault.Wrap(fault.Unavailable, err, "The broker closed a connection.")
	}
	timeout := time.NewTimer(stallAfter)
	defer timeout.Stop()
	select {
	case <-q.answered:
		if !bytes.HasPrefix(q.payload, ackStart) {
			return nil, 0, fault.New(fault.Internal, "The broker refused %s with %.300s.", frame, q.payload)
		}
		return q, q.at.Sub(began), nil
	case <-timeout.C:
		p.mu.Lock()
		defer p.mu.Unlock()
		return nil, 0, fault.New(fault.Internal, "To %s came %d of %d messages.", frame, len(q.numbers), messages)
	case <-p.link.done:
		return nil, 0, fault.Wrap(fault.Unavailable, p.link.err, "The broker closed a connection: %v.", p.link.err)
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
}

// message implements receiver.
func (p *probe) message(m marker, _ []byte) {
	p.take(func(q *question) { q.numbers = append(q.numbers, m.number) })
}

// other implements receiver.
func (p *probe) other(payload []byte) {
	p.take(func(q *question) { q.payload = bytes.Clone(payload) })
}

// take notes something that came, and whether that was all.
func (p *probe) take(note func(*question)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := p.asked
	if q == nil {
		p.flow.foreign.Add(1)
		return
	}
	note(q)
	if refused := q.payload != nil && !bytes.HasPrefix(q.payload, ackStart); refused || q.payload != nil && len(q.numbers) >= q.want {
		q.at = time.Now()
		p.asked = nil
		close(q.answered)
	}
}

// acknowledged implements receiver: the frames of a probe have other ids.
func (p *probe) acknowledged(uint32, uint32) { p.flow.foreign.Add(1) }

// settle implements receiver.
func (p *probe) settle() {}

var _ receiver = (*probe)(nil)

// page is a piece of a channel's history.
type page struct {
	numbers []uint32
	first   uint64 // the sequence of its first message
	last    uint64
}

// history asks for messages of a stream: the newest, or those behind a sequence that is above 0.
func (p *probe) history(ctx context.Context, st *stream, since uint64, limit int) (page, time.Duration, error) {
	from := ""
	if since > 0 {
		from = fmt.Sprintf(`,"since":%d`, since)
	}
	q, took, err := p.ask(ctx, fmt.Sprintf(`{"id":"ask","type":"history","channel_id":"%s","limit":%d%s}`, st.channel, limit, from), 0)
	if err != nil {
		return page{}, 0, err
	}
	pg, err := readPage(q.payload)
	return pg, took, err
}

func readPage(payload []byte) (p page, err error) {
	var answer struct {
		Messages []struct {
			Seq     uint64 `json:"seq"`
			Content string `json:"content"`
		} `json:"messages"`
	}
	if err := json.Unmarshal(payload, &answer); err != nil {
		return p, fmt.Errorf("read a history: %w", err)
	}
	for i, m := range answer.Messages {
		if i == 0 {
			p.first = m.Seq
		}
		p.last = m.Seq
		if len(m.Content) < markerLen {
			return p, fault.New(fault.Internal, "A history has a message that nobody sent: %.100s.", m.Content)
		}
		_, number, ok := readName([]byte(m.Content)[1:])
		if !ok {
			return p, fault.New(fault.Internal, "A history has a message that nobody sent: %.100s.", m.Content)
		}
		p.numbers = append(p.numbers, number)
	}
	return p, nil
}

// resume subscribes to a stream behind a sequence, behind which there are a number of messages, and unsubscribes again. It
// takes until they all are there.
func (p *probe) resume(ctx context.Context, st *stream, since uint64, messages int) (took time.Duration, err error) {
	q, took, err := p.ask(ctx, fmt.Sprintf(`{"id":"ask","type":"subscribe","channel_id":"%s","since":%d}`, st.channel, since), messages)
	if err != nil {
		return 0, err
	}
	p.check(q.numbers, st.ledger.sent.Load()-uint32(messages), messages)
	_, _, err = p.ask(ctx, fmt.Sprintf(`{"id":"ask","type":"unsubscribe","channel_id":"%s"}`, st.channel), 0)
	return took, err
}

// check counts what there is of a number of messages from one on.
func (p *probe) check(got []uint32, first uint32, want int) {
	t := tally{next: first}
	for _, n := range got {
		t.take(n)
	}
	p.checks.Expected += uint64(want)
	p.checks.Delivered += t.delivered
	p.checks.Duplicated += t.duplicated
	p.checks.Reordered += t.reordered
	p.checks.Missing += t.missing(first + uint32(want))
}

// close ends the connection, and adds what was checked to the counts.
func (p *probe) close(c *Counts) {
	p.flow.end(p.link)
	c.Expected += p.checks.Expected
	c.Delivered += p.checks.Delivered
	c.Duplicated += p.checks.Duplicated
	c.Reordered += p.checks.Reordered
	c.Missing += p.checks.Missing
}
