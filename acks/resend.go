package acks

import (
	"cmp"
	"errors"
	"slices"
	"time"
)

// The leader of a stream may die or move with messages that it has not answered: some are stored, the rest is gone. They
// are sent again under the same ids, by which the next leader knows what it has. So that this never changes the order in
// which one sender's messages to one place are stored, nothing new is sent meanwhile; the oldest message is then sent
// alone until a leader has answered it, and the others follow in their order (docs/adr/0008).

const (
	// quietAfter is how long a leader may leave a message unanswered before it is believed to be lost. It is less than
	// an election takes, so that nothing new reaches the next leader before what is older.
	quietAfter = 500 * time.Millisecond
	// probeEvery is how often the oldest message is sent again.
	probeEvery = 100 * time.Millisecond
)

// hold has resend take a lane over. Under mu.
func (p *Publisher) hold(l *lane) {
	if l.held || p.closed {
		return
	}
	l.held = true
	p.jobs.Go(func() { p.resend(l) })
}

// resend works until the messages of a lane are answered or given up, then lets new ones pass.
func (p *Publisher) resend(l *lane) {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	select { // of the time before
	case <-l.led:
	default:
	}
	for p.probe(l, time.Now()) {
		select {
		case <-tick.C:
		case <-l.led:
			p.sendAll(l)
			return
		case <-p.ended:
			return
		}
	}
	p.sendAll(l)
}

// probe sends the oldest message of a lane again, once all are quiet. It returns false when there is none.
func (p *Publisher) probe(l *lane, now time.Time) bool {
	sent := slices.DeleteFunc(p.open(l, 0), func(m pending) bool { return m.tries == 0 })
	var late []uint64
	for _, m := range sent {
		switch {
		case m.tries == 1 && now.Sub(m.last) < quietAfter:
			return true
		case m.overtaken:
			late = append(late, m.number)
		}
	}
	p.settle(late, unknown(errors.New("the stream has lost it and stored a later one")))
	sent = slices.DeleteFunc(sent, func(m pending) bool { return m.overtaken })
	if len(sent) == 0 {
		return false
	}
	p.repeat(sent[:1], now)
	return true
}

// sendAll sends everything of a lane in order, what has come meanwhile at the end, and ends the hold.
func (p *Publisher) sendAll(l *lane) {
	for from := uint64(0); ; {
		all := p.open(l, from)
		if len(all) == 0 && p.letPass(l, from) {
			return
		}
		p.repeat(all, time.Now())
		if len(all) > 0 {
			from = all[len(all)-1].number
		}
	}
}

// letPass ends the hold unless a message has come behind a number.
func (p *Publisher) letPass(l *lane, from uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for number, s := range p.slots {
		if number > from && s.again.lane == l {
			return false
		}
	}
	l.held = false
	return true
}

// pending is a copy of a repeatable.
type pending struct {
	repeatable
	number uint64
}

// open returns the messages of a lane behind a number that are not answered, in the order of their numbers.
func (p *Publisher) open(l *lane, from uint64) (all []pending) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for number, s := range p.slots {
		if number > from && s.again.lane == l {
			all = append(all, pending{*s.again, number})
		}
	}
	slices.SortFunc(all, func(a, b pending) int { return cmp.Compare(a.number, b.number) })
	return all
}

// repeat sends messages, for the first time or once more.
func (p *Publisher) repeat(all []pending, now time.Time) {
	for _, m := range all {
		p.mu.Lock()
		s, ok := p.slots[m.number]
		if ok {
			s.again.tries++
			s.again.last = now
		}
		p.mu.Unlock()
		if ok {
			_ = p.send(m.Message, m.number) // what does not arrive is sent once more, or given up in time
		}
	}
}

// settle gives up messages.
func (p *Publisher) settle(numbers []uint64, err error) {
	for _, number := range numbers {
		if s, ok := p.release(number, false); ok {
			p.committer.confirm(p.settledAs(s, Outcome{Err: err}))
		}
	}
}
