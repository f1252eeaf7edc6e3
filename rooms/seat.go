package rooms

import (
	"context"
	"time"

	"parley/internal/fault"
)

// Seat is a participant's place in a room on one connection. It ends with Leave or Drop, when the participant is removed,
// and when another connection resumes him; what is done with it then is refused.
type Seat struct {
	room *room
	id   string

	// All that follows is guarded by room.mu.

	listener Listener // nil while nobody is connected
	entering bool     // Welcome is still to come, and nothing before it
	fetching bool     // what the node before knows is still to come
	gone     bool     // another Seat stands for the participant now, or none
	waiting  bool     // other nodes have signals that were not taken
	away     *time.Timer
	mail     *mail

	last *uint64 // Entry.LastSeq of this connection

	out     []Notice // to be delivered
	pumping bool     // somebody delivers
}

// Participant returns the participant's id.
func (s *Seat) Participant() string { return s.id }

// Room returns the room's id.
func (s *Seat) Room() string { return string(s.room.id) }

// push has the listener told something, once the caller has let go of the room's lock and called pump. mu is held.
func (s *Seat) push(n Notice) {
	if s.gone || s.listener == nil || s.entering {
		return
	}
	n.Room = s.room.id
	s.out = append(s.out, n)
}

// pump delivers what was pushed, in order. Whoever comes while another one delivers leaves it to him.
func (s *Seat) pump() {
	r := s.room
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.pumping {
		return
	}
	s.pumping = true
	for len(s.out) > 0 {
		batch, to := s.out, s.listener
		s.out = nil
		if to == nil {
			break
		}
		s.mail.handOver(batch)
		r.mu.Unlock()
		s.complete(batch)
		to.Deliver(batch)
		r.mu.Lock()
		if s.out == nil {
			clear(batch)
			s.out = batch[:0] // room for the next ones
		}
	}
	if cap(s.out) > maxSpareNotices {
		s.out = nil
	}
	s.pumping = false
	if s.gone {
		s.listener, s.out = nil, nil
	}
}

// maxSpareNotices bounds the room that an idle seat keeps.
const maxSpareNotices = 1

// vacate ends the place. What was pushed is still delivered, by pump. mu is held.
func (s *Seat) vacate() {
	s.gone = true
	if s.away != nil {
		s.away.Stop()
	}
	if s.room.seats[s.id] == s {
		delete(s.room.seats, s.id)
	}
	if s.listener == nil {
		s.out = nil
	}
}

// supersede ends the connection's part in the place; what is known of the participant's signals is kept for the node that
// he is on now. mu is held.
func (s *Seat) supersede() {
	if s.away != nil {
		s.away.Stop()
	}
	s.push(Notice{Kind: Superseded})
	s.gone = true
}

// succeed makes a new Seat of the same participant for another connection. The one before is told. mu is held.
func (s *Seat) succeed(to Listener) *Seat {
	next := &Seat{room: s.room, id: s.id, listener: to, entering: true, waiting: s.waiting, mail: s.mail}
	s.supersede()
	s.room.seats[s.id] = next
	return next
}

// await gives the participant time to come back. mu is held.
func (s *Seat) await() {
	s.away = time.AfterFunc(s.room.space.hub.cfg.Grace, func() {
		s.room.space.start(func(ctx context.Context) { s.expire(ctx) })
	})
}

// expire removes the participant, unless he has come back, here or elsewhere.
func (s *Seat) expire(ctx context.Context) {
	r := s.room
	back := func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return s.gone || s.listener != nil
	}
	err := r.change(ctx, func(rec *record) error {
		if m := rec.member(s.id); m == nil || m.Node != r.node() || back() {
			return errUnchanged
		}
		rec.remove(s.id, Timeout, "", time.Now())
		return nil
	})
	if err != nil && ctx.Err() == nil {
		r.space.hub.log.Warn("a participant could not be removed; it will be tried again", "room", r.id, "err", err)
		r.mu.Lock()
		defer r.mu.Unlock()
		if !s.gone && s.listener == nil {
			s.await()
		}
	}
}

// Drop says that the connection is lost: the participant has Config.Grace to come back. It does not wait.
func (s *Seat) Drop() {
	r := s.room
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.gone || s.listener == nil {
		return
	}
	s.listener, s.out = nil, nil
	if !r.space.ending() {
		s.await()
	}
}

// Leave takes the participant out of the room. The last Notice says so. Errors are fault.NotSubscribed when he is not in
// it any more, and fault.Unavailable.
func (s *Seat) Leave(ctx context.Context) error {
	return s.room.change(ctx, func(rec *record) error {
		if rec.member(s.id) == nil || s.ended() {
			return s.lost()
		}
		rec.remove(s.id, Left, "", time.Now())
		return nil
	})
}

func (s *Seat) ended() bool {
	s.room.mu.Lock()
	defer s.room.mu.Unlock()
	return s.gone
}

func (s *Seat) lost() error {
	return fault.New(fault.NotSubscribed, "The connection is not in room %q.", s.room.id)
}
