package rooms

import (
	"parley/internal/fault"
)

// Signal sends data to another participant of the room. It is delivered once, and in order with what this participant
// sends the same one, whenever the target comes back; unless it leaves. data is not changed and not kept. Errors are
// fault.NotSubscribed when the sender is not in the room any more, NotFound when the target is not, InvalidFormat when
// they are the same, and LimitExceeded when too much waits for the target already.
func (s *Seat) Signal(target string, data []byte) error {
	r := s.room
	data = append(make([]byte, 0, len(data)), data...)
	r.mu.Lock()
	own, to := r.rec.member(s.id), r.rec.member(target)
	switch {
	case s.gone || own == nil:
		r.mu.Unlock()
		return s.lost()
	case target == s.id:
		r.mu.Unlock()
		return fault.New(fault.InvalidFormat, "The target of a signal is its sender.")
	case to == nil:
		r.mu.Unlock()
		return noParticipant(target)
	}
	p := parcel{sender: own.ID, polite: to.Order > own.Order, data: data}
	l := r.lanes[target]
	if to.Node == r.node() && (l == nil || len(l.pending) == 0) {
		if seat := r.seats[target]; seat != nil && seat.open() {
			seat.take(p)
			r.mu.Unlock()
			seat.pump()
			r.space.hub.signals.Inc()
			return nil
		}
	}
	if l == nil {
		l = &lane{id: r.rev, target: target, first: 1}
		r.lanes[target] = l
	}
	err := l.add(p, r.space.tick.Load())
	local := to.Node == r.node()
	r.mu.Unlock()
	if err != nil {
		return err
	}
	r.space.hub.signals.Inc()
	if !local {
		r.flush(l)
	}
	return nil
}

// open reports whether the participant takes signals now. mu is held.
func (s *Seat) open() bool { return !s.gone && s.listener != nil && !s.entering && !s.fetching }

// mailbox returns the participant's mail, made at the first use: most of those who are in a room get nothing for hours.
// mu is held.
func (s *Seat) mailbox() *mail {
	if s.mail == nil {
		s.mail = &mail{}
	}
	return s.mail
}

// take hands the participant a signal. mu is held; the caller pumps afterwards.
func (s *Seat) take(p parcel) {
	n := Notice{Kind: Signaled, Participant: Participant{ID: p.sender}, Polite: p.polite, Signal: p.data}
	s.push(s.mailbox().add(n, s.room.space.tick.Load()))
}

// parcel is a signal on its way.
type parcel struct {
	sender string
	polite bool // the role of the target
	data   []byte
}

// lane is what this node has for one participant that was not taken yet. The signals of a lane are numbered from 1, as
// long as the participant is in the room, on whatever node. All fields are guarded by the room's mu.
type lane struct {
	id      uint64 // tells it from an earlier lane to the same participant, and is larger
	target  string
	first   uint64   // the number of pending[0]
	pending []parcel // oldest first
	bytes   int      // of their content
	sent    int      // of pending, that the target's node may have got
	sending bool     // somebody sends
	tick    uint32   // when something was sent or taken last
}

const (
	maxPending      = 512
	maxPendingBytes = 512 << 10
	// window is how many signals are on their way to another node at the same time.
	window = 64
	// probeTicks is how long a node waits before it sends again what was not taken.
	probeTicks = 2
)

// add appends a signal, or refuses it: nothing that waits is given up for it.
func (l *lane) add(p parcel, tick uint32) error {
	if len(l.pending) >= maxPending || l.bytes+len(p.data) > maxPendingBytes {
		return fault.New(fault.LimitExceeded, "The participant takes nothing now, and %d signals wait already.", len(l.pending)).
			WithFix("Wait until it is back or has left.")
	}
	if len(l.pending) == 0 {
		l.tick = tick
	}
	l.pending = append(l.pending, p)
	l.bytes += len(p.data)
	return nil
}

// done forgets the signals up to a number, and reports whether there were any.
func (l *lane) done(upTo uint64, tick uint32) bool {
	if upTo < l.first {
		return false
	}
	n := min(int(upTo-l.first)+1, len(l.pending))
	for i := range n {
		l.bytes -= len(l.pending[i].data)
		l.pending[i] = parcel{}
	}
	l.pending = l.pending[n:]
	if len(l.pending) == 0 {
		l.pending = nil
	}
	l.first += uint64(n)
	l.sent = max(l.sent-n, 0)
	l.tick = tick
	return n > 0
}

// probe has the lane sent again from its beginning when nothing was taken for some time, and reports that. mu is held.
func (l *lane) probe(tick uint32) bool {
	if len(l.pending) == 0 || tick-l.tick < probeTicks {
		return false
	}
	l.sent, l.tick = 0, tick
	return true
}

// drain hands what waits to a participant on this node. mu is held; the caller pumps afterwards.
func (l *lane) drain(s *Seat) {
	node, tick := s.room.node(), s.room.space.tick.Load()
	if s.mail != nil {
		l.done(s.mail.after(node, l.id), tick) // the node where he was has taken it already
	}
	for _, p := range l.pending {
		s.take(p)
	}
	if len(l.pending) > 0 {
		last := l.first + uint64(len(l.pending)) - 1
		s.mailbox().note(node, l.id, last)
		l.done(last, tick)
	}
}

// flush hands a lane's signals to the target's node, in order, as many as may be on their way. Those for this node wait
// for the participant: see Seat.catchUp.
func (r *room) flush(l *lane) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l.sending {
		return
	}
	l.sending = true
	defer func() { l.sending = false }()
	for l.sent < min(len(l.pending), window) {
		to := r.rec.member(l.target)
		if to == nil || r.lanes[l.target] != l {
			return
		}
		if to.Node == r.node() {
			if s := r.seats[l.target]; s != nil && s.open() {
				l.drain(s)
				r.mu.Unlock()
				s.pump()
				r.mu.Lock()
			}
			return
		}
		p := l.pending[l.sent]
		m := letter{
			Kind: letterSignal, Node: r.node(), Target: l.target, Sender: p.sender, Polite: p.polite,
			Lane: l.id, N: l.first + uint64(l.sent), Base: l.first, Rev: r.rev,
		}
		l.sent++
		r.mu.Unlock()
		r.space.post(r.id, to.Node, m, p.data)
		r.mu.Lock()
	}
}
