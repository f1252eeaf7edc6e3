package rooms

import (
	"context"
	"sync"
	"time"

	"parley/broker"
)

// room is one room as this node knows it.
type room struct {
	space   *space
	id      broker.Token
	users   int           // guarded by space.mu; while there are any, the room stays known
	writing chan struct{} // holds a token while somebody here changes the record
	tidying chan struct{} // holds a token while tidy is at work

	mu    sync.Mutex
	rec   *record          // guarded by mu; never changed, only replaced; nil when the bucket has none
	rev   uint64           // guarded by mu; of rec
	seats map[string]*Seat // guarded by mu; of participants who are connected here, or were last; by their ids
	lanes map[string]*lane // guarded by mu; signals that have not been taken yet, by their targets
	void  uint32           // guarded by mu; the space's tick when this node has emptied the room, 0 if it has not
}

func newRoom(s *space, id broker.Token) *room {
	return &room{
		space: s, id: id, writing: make(chan struct{}, 1), tidying: make(chan struct{}, 1),
		seats: map[string]*Seat{}, lanes: map[string]*lane{},
	}
}

func (r *room) node() broker.Token { return r.space.hub.engine.Node() }

// view returns what is known of the room.
func (r *room) view() (*record, uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.rec, r.rev
}

// apply takes in a version of the record, unless a later one is known, and tells everybody here what it changes. It
// returns when all have been told.
func (r *room) apply(rec *record, rev uint64) {
	var after aftermath
	r.mu.Lock()
	if rev <= r.rev {
		r.mu.Unlock()
		return
	}
	before := r.rec
	r.rec, r.rev = rec, rev
	r.void = 0
	r.count(before, rec)
	r.part(before, rec, &after)
	r.transfer(before, rec)
	r.enter(before, rec)
	for _, s := range r.seats {
		after.tell = append(after.tell, s)
		if s.waiting {
			after.call = append(after.call, s.id)
		}
	}
	for _, l := range r.lanes {
		after.send = append(after.send, l)
	}
	r.mu.Unlock()
	after.carryOut(r)
}

// aftermath is what apply leaves to be done without the lock.
type aftermath struct {
	tell  []*Seat
	send  []*lane
	call  []string // for whom other nodes have something
	moved []moving // who went to other rooms, with their connections
	lost  []member // who is here, and whom others have believed lost
}

type moving struct {
	id, to   string
	listener Listener
}

func (a *aftermath) carryOut(r *room) {
	for _, s := range a.tell {
		s.pump()
	}
	for _, l := range a.send {
		r.flush(l)
	}
	for _, id := range a.call {
		r.callWaiting(id)
	}
	for _, m := range a.moved {
		if to, err := broker.ParseToken(m.to); err == nil {
			room := r.space.use(to)
			room.receive(m)
			r.space.done(room)
		}
	}
	for _, m := range a.lost {
		r.space.start(func(ctx context.Context) { r.comeBack(ctx, m) })
	}
}

// count keeps the tenant's numbers. mu is held.
func (r *room) count(before, after *record) {
	r.space.present.Add(int64(len(after.members()) - len(before.members())))
	switch {
	case before.void() && !after.void():
		r.space.exist.Add(1)
	case !before.void() && after.void():
		r.space.exist.Add(-1)
	}
}

// part tells that some have left. mu is held.
func (r *room) part(before, after *record, then *aftermath) {
	for i := range before.members() {
		m := &before.Members[i]
		if after.member(m.ID) != nil {
			continue
		}
		why := after.why(m.ID)
		own := r.seats[m.ID]
		if own != nil && !own.gone && own.listener != nil && why.Reason == Timeout {
			own.entering = true // he is here, whatever the others believe
			then.lost = append(then.lost, *m)
		} else if own != nil {
			if why.Reason == Moved && own.listener != nil {
				then.moved = append(then.moved, moving{m.ID, why.To, own.listener})
			}
			own.push(Notice{Kind: Departed, Participant: m.participant(), Own: true, Reason: why.Reason, To: why.To})
			own.vacate()
			then.tell = append(then.tell, own)
		}
		delete(r.lanes, m.ID)
		for id, s := range r.seats {
			if id != m.ID {
				s.push(Notice{Kind: Departed, Participant: m.participant(), Reason: why.Reason, To: why.To})
			}
		}
	}
}

// transfer follows participants from node to node. mu is held.
func (r *room) transfer(before, after *record) {
	for i := range after.members() {
		m := &after.Members[i]
		old := before.member(m.ID)
		if old == nil || old.Moves == m.Moves {
			continue
		}
		if l := r.lanes[m.ID]; l != nil {
			l.sent = 0 // the new node has got nothing yet
		}
		s := r.seats[m.ID]
		switch {
		case m.Node != r.node() && s != nil:
			s.supersede()
		case m.Node == r.node() && s != nil && s.entering:
			s.welcome(after, m, true)
		}
	}
}

// enter tells that some have come. mu is held.
func (r *room) enter(before, after *record) {
	for i := range after.members() {
		m := &after.Members[i]
		if before.member(m.ID) != nil {
			continue
		}
		for id, s := range r.seats {
			if id != m.ID && !s.entering {
				if own := after.member(id); own != nil {
					s.push(Notice{Kind: Entered, Participant: m.participant(), Polite: own.Order > m.Order})
				}
			}
		}
		if m.Node != r.node() {
			continue
		}
		if s := r.seats[m.ID]; s == nil {
			r.reserve(m.ID)
		} else if s.entering {
			s.welcome(after, m, false)
		}
	}
}

// reserve keeps the place of somebody who belongs to this node and has no connection. mu is held.
func (r *room) reserve(id string) {
	s := &Seat{room: r, id: id}
	r.seats[id] = s
	s.await()
}

// receive gives the connection of somebody who was moved here his new place.
func (r *room) receive(m moving) {
	r.mu.Lock()
	s, self := r.seats[m.id], r.rec.member(m.id)
	if s == nil || s.listener != nil || self == nil || self.Node != r.node() {
		r.mu.Unlock()
		return
	}
	next := s.succeed(m.listener)
	next.welcome(r.rec, self, false)
	r.mu.Unlock()
	next.pump()
	r.callWaiting(m.id)
}

// comeBack puts somebody in again whom the others believed lost.
func (r *room) comeBack(ctx context.Context, m member) {
	err := r.change(ctx, func(rec *record) error {
		if rec.member(m.ID) != nil || r.seated(m.ID) == nil {
			return errUnchanged
		}
		r.found(rec)
		rec.Members = append(rec.Members, m) // with the order that he had, by which roles were given
		rec.Emptied = time.Time{}
		return nil
	})
	if err != nil && ctx.Err() == nil {
		r.space.hub.log.Warn("a participant could not be brought back", "room", r.id, "err", err)
	}
}

// seated returns the place of somebody who belongs to this node, nil when he does not.
func (r *room) seated(id string) *Seat {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.seats[id]; s != nil && !s.gone {
		return s
	}
	return nil
}

// abandon gives up all places, because the space closes. The record keeps them.
func (r *room) abandon() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.seats {
		s.vacate()
	}
}

// look does what is due: it sends again what was not taken, and forgets what nobody needs any more. It reports whether tidy
// has something to do.
func (r *room) look(now time.Time) (untidy bool) {
	var stuck []*lane
	var foreign []broker.Token
	tick := r.space.tick.Load()
	r.mu.Lock()
	for _, l := range r.lanes {
		if l.probe(tick) {
			stuck = append(stuck, l)
		}
	}
	for _, s := range r.seats {
		s.mail.trim(tick)
	}
	for i := range r.rec.members() {
		if node := r.rec.Members[i].Node; node != r.node() {
			foreign = append(foreign, node)
		}
	}
	untidy = r.rec != nil && len(r.rec.Members) == 0 && r.overdue(now, tick)
	r.mu.Unlock()
	for _, l := range stuck {
		r.flush(l)
	}
	for _, node := range foreign {
		untidy = untidy || r.space.expired(node, now)
	}
	return untidy
}

// tidyLater has tidy run, unless it does.
func (r *room) tidyLater(now time.Time) {
	select {
	case r.tidying <- struct{}{}:
	default:
		return
	}
	r.space.start(func(ctx context.Context) {
		defer func() { <-r.tidying }()
		r.tidy(ctx, now)
	})
}

// expired reports whether a node is dead for so long that its participants have had their time to come back.
func (s *space) expired(node broker.Token, now time.Time) bool {
	return !s.hub.engine.Alive(node) && now.Sub(s.hub.lostAt(node)) >= s.hub.cfg.Grace
}
