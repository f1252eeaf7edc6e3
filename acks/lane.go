package acks

import (
	"errors"
	"slices"
	"strings"
	"time"

	"parley/internal/fault"
)

// lane is what is on its way to one stream. Its fields are guarded by Publisher.mu.
type lane struct {
	next    uint64        // messages from this number on have not been overtaken
	behind  []uint64      // the earlier ones that are not answered
	answers uint64        // how many answers came
	looked  uint64        // answers at the last look
	held    bool          // resend is at work: nobody else sends
	led     chan struct{} // told when a message that was sent again is answered
}

// repeatable is what it takes to send a message again. Its fields but the first two are guarded by Publisher.mu.
type repeatable struct {
	Message
	lane      *lane
	tries     int
	last      time.Time // when it was sent last
	overtaken bool      // a later message of the same sender to the same place is stored
	early     bool      // sent again while the stream was storing it
}

// lane returns the lane of a stream, which the first token of a subject names. Under mu.
func (p *Publisher) lane(root string) *lane {
	l := p.lanes[root]
	if l == nil {
		l = &lane{led: make(chan struct{}, 1), next: p.next + 1}
		p.lanes[root] = l
	}
	return l
}

// repeatable returns what is kept of m, and whether resend is to send it. Under mu.
func (p *Publisher) repeatable(m Message, now time.Time) (r *repeatable, held bool) {
	root, _, _ := strings.Cut(string(m.Subject), ".")
	r = &repeatable{Message: m, lane: p.lane(root), last: now}
	if !r.lane.held {
		r.tries = 1
	}
	return r, r.lane.held
}

// hear takes an answer into account and returns whether it is the outcome.
func (p *Publisher) hear(number uint64, o *Outcome) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.slots[number]
	if !ok {
		return false
	}
	r := s.again
	switch {
	case errors.Is(o.Err, errUnderWay): // it was sent twice, perhaps by its sender
		r.early = true
		return false
	case o.Err != nil && r.tries > 1 && !errors.Is(o.Err, ErrNotLast): // which says nothing of the first try
		p.hold(r.lane)
		return false
	case errors.Is(o.Err, errNobody) && !r.lane.held && p.underWay(r.lane, number):
		p.hold(r.lane) // the leader is gone, and what it was sent with it
	case o.Err == nil && (r.tries > 1 || !o.Duplicate):
		p.overtake(r.lane, number, r.Message)
	}
	if r.tries > 1 {
		o.Duplicate = false // of what this publisher itself has sent
		nudge(r.lane.led)
	}
	r.lane.answers++
	r.lane.behind = slices.DeleteFunc(r.lane.behind, func(n uint64) bool { return n == number })
	return true
}

// underWay reports whether a message of the lane other than this one has been sent and not answered. Under mu.
func (p *Publisher) underWay(l *lane, but uint64) bool {
	for number, s := range p.slots {
		if number != but && s.again.lane == l && s.again.tries > 0 {
			return true
		}
	}
	return false
}

// overtake notes that a message is stored before others that were sent earlier. Under mu.
func (p *Publisher) overtake(l *lane, number uint64, m Message) {
	for ; l.next < number; l.next++ {
		if s, ok := p.slots[l.next]; ok && s.again.lane == l {
			l.behind = append(l.behind, l.next)
		}
	}
	l.next = max(l.next, number+1)
	for _, n := range l.behind {
		if s, ok := p.slots[n]; ok && n < number && s.again.Sender == m.Sender && s.again.Subject == m.Subject {
			s.again.overtaken = true
		}
	}
}

// lookForLost starts to send again what a stream leaves unanswered although it answers others, or answers nothing at all.
func (p *Publisher) lookForLost(now time.Time) {
	var early []pending
	p.mu.Lock()
	defer p.mu.Unlock()
	for number, s := range p.slots {
		r := s.again
		if r.tries > 0 && now.Sub(r.last) >= quietAfter && (r.lane.answers == r.lane.looked || len(r.lane.behind) > 0) {
			p.hold(r.lane)
		}
		if r.early && !r.lane.held {
			r.early = false
			early = append(early, pending{*r, number})
		}
	}
	for _, l := range p.lanes {
		l.looked = l.answers
		l.behind = slices.DeleteFunc(l.behind, func(n uint64) bool { _, open := p.slots[n]; return !open })
	}
	if len(early) > 0 && !p.closed {
		p.jobs.Go(func() { p.repeat(early, now) })
	}
}

// givenUp is what becomes of a message whose time is over.
func (s slot) givenUp(cause error) error {
	if s.again != nil && s.again.tries == 0 {
		return fault.Wrap(fault.Unavailable, cause, "The message was not stored: the store can't be reached now.")
	}
	return unknown(cause)
}
