package bench

import (
	"context"
	"sync/atomic"
	"time"
)

// publisher is a connection that sends.
type publisher struct {
	flow    *flow
	token   string
	link    *link
	streams []*stream
	wake    chan struct{} // told when there may be room in a window
	starved atomic.Bool   // it waits for acknowledgements, not for deliveries

	unsettled unsettled

	batch []byte // the sender's
	now   uint32 // when what is being handled was read; 0 means not known yet
	acked uint64 // acknowledgements in what is being handled; the reader's
}

// pump sends as fast as the windows of the streams allow, until ctx ends.
func (p *publisher) pump(ctx context.Context) {
	for ctx.Err() == nil {
		if !p.fill() {
			select {
			case <-p.wake:
				continue
			case <-ctx.Done():
				return
			case <-p.link.done:
				return
			}
		}
		if p.flush() != nil {
			return // the connection's end is noted when it is closed
		}
	}
}

// fill puts into the batch what the windows allow, and reports whether that is anything.
func (p *publisher) fill() bool {
	f := p.flow
	p.starved.Store(true) // before the look, so that no acknowledgement after it goes unnoticed
	starved := false
	for _, s := range p.streams {
		room := s.ledger.room()
		starved = starved || room < f.burst
		if f.subscribers > 0 {
			room = min(room, f.window-int(s.ledger.sent.Load()-s.complete.Load()))
		}
		if room < f.burst {
			continue
		}
		now := time.Now()
		for range room {
			p.add(s, now)
		}
	}
	if !starved {
		p.starved.Store(false)
	}
	return len(p.batch) > 0
}

// add puts the stream's next message into the batch. There must be room in its ledger.
func (p *publisher) add(s *stream, now time.Time) {
	at := now.Sub(p.flow.session.started)
	p.batch = s.template.append(p.batch, s.ledger.send(int64(at)), micros(at))
	p.flow.sent.Add(1)
}

// flush writes the batch.
func (p *publisher) flush() error {
	if len(p.batch) == 0 {
		return nil
	}
	_, err := p.link.conn.Write(p.batch)
	p.batch = p.batch[:0]
	return err
}

// message implements receiver: publishers have no subscription.
func (p *publisher) message(marker, []byte) { p.flow.foreign.Add(1) }

// acknowledged implements receiver.
func (p *publisher) acknowledged(index, number uint32) {
	f := p.flow
	if int(index) >= len(f.all) || f.all[index].sender != p {
		f.foreign.Add(1)
		return
	}
	sent, first := f.all[index].ledger.acknowledge(number)
	if !first {
		return
	}
	p.acked++
	if f.subscribers == 0 {
		if p.now == 0 {
			p.now = f.session.micros()
		}
		f.latency.add(p.now - micros(time.Duration(sent)))
	}
}

// other implements receiver.
func (p *publisher) other(payload []byte) {
	if !p.unsettled.note(payload) {
		p.flow.trouble.refuse(payload)
	}
}

// settle implements receiver.
func (p *publisher) settle() {
	p.now = 0
	if p.acked == 0 {
		return
	}
	p.flow.acked.Add(p.acked)
	p.acked = 0
	if p.flow.subscribers == 0 || p.starved.Load() {
		p.rouse()
	}
}

// rouse has the sender look at its windows.
func (p *publisher) rouse() {
	select {
	case p.wake <- struct{}{}:
	default: // it was told and has not looked yet
	}
}

var _ receiver = (*publisher)(nil)
