package rooms

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"parley/broker"
	"parley/internal/fault"
)

// maxNameBytes is the longest name of a participant or a room.
const maxNameBytes = 128

// Join puts somebody into a room, which is made if need be, or gives somebody back his place. l is told that and all that
// follows: the first Notice, which may come before Join returns, has a Welcome. The caller ends the Seat with Leave or
// Drop. Errors are fault.InvalidID and InvalidFormat; NotFound for a room that nobody has made, if that is needed, and
// Gone for a participant who is not in the room any more; PermissionDenied for a wrong Entry.Resume; LimitExceeded; and
// Unavailable.
func (h *Hub) Join(ctx context.Context, p Principal, id string, e Entry, l Listener) (*Seat, error) {
	rid, err := broker.ParseToken(id)
	if err != nil {
		return nil, err
	}
	if err := e.check(); err != nil {
		return nil, err
	}
	s, err := h.spaces.Acquire(ctx, p.Account)
	if err != nil {
		return nil, err
	}
	defer h.release(s)
	r := s.use(rid)
	defer s.done(r)
	if e.Participant != "" {
		return r.resume(ctx, e, l)
	}
	return r.join(ctx, e, l)
}

func (e Entry) check() error {
	if (e.Participant == "") != (e.Resume == "") {
		return fault.New(fault.InvalidFormat, "A participant_id needs its resume_token, and the other way round.")
	}
	if e.Participant == "" && e.Name == "" {
		return fault.New(fault.InvalidFormat, "The frame has no participant_name.")
	}
	return checkName("participant_name", e.Name)
}

// checkName refuses a name that can't be shown. Markup is text like any other.
func checkName(what, name string) error {
	if len(name) > maxNameBytes || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return fault.New(fault.InvalidFormat, "A %s is at most %d bytes of text without control characters.", what, maxNameBytes)
	}
	return nil
}

// join puts somebody new in.
func (r *room) join(ctx context.Context, e Entry, l Listener) (*Seat, error) {
	m := member{ID: uuid.Must(uuid.NewV7()).String(), Name: e.Name, Joined: now(), Node: r.node()}
	s := &Seat{room: r, id: m.ID, listener: l, entering: true}
	if err := r.hold(s); err != nil {
		return nil, err
	}
	err := r.change(ctx, func(rec *record) error {
		if rec.member(m.ID) != nil {
			return errUnchanged // written by an attempt whose answer got lost
		}
		return r.add(rec, m)
	})
	return r.settle(s, err)
}

// add puts somebody into the room, which is made when there is none and nobody has to ask for it.
func (r *room) add(rec *record, m member) error {
	if rec.Created.IsZero() {
		if r.space.hub.cfg.DeclaredOnly {
			return noRoom(r.id)
		}
		if err := r.space.roomForOne(); err != nil {
			return err
		}
	}
	r.found(rec)
	if err := r.placeForOne(rec); err != nil {
		return err
	}
	rec.add(m)
	return nil
}

// hold keeps a place for a seat that is about to enter.
func (r *room) hold(s *Seat) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.space.ending() {
		return errDraining()
	}
	r.seats[s.id] = s
	return nil
}

// settle returns the seat if its participant is in the room, and takes it away if not.
func (r *room) settle(s *Seat, err error) (*Seat, error) {
	r.mu.Lock()
	if err == nil && r.seats[s.id] != s {
		err = s.lost() // another connection was quicker
	}
	if err != nil {
		s.vacate()
		s.listener, s.out = nil, nil
		r.mu.Unlock()
		return nil, err
	}
	if self := r.rec.member(s.id); s.entering && self != nil {
		// Nothing was to be written, because it had been by an attempt whose answer got lost.
		s.welcome(r.rec, self, false)
	}
	r.mu.Unlock()
	s.pump()
	return s, nil
}

// found gives a record that is new what a room has.
func (r *room) found(rec *record) {
	if rec.Created.IsZero() {
		rec.Created, rec.Max = now(), r.space.hub.cfg.MaxParticipants
	}
}

// placeForOne returns fault.LimitExceeded when the room is full.
func (r *room) placeForOne(rec *record) error {
	if err := r.space.placesFor(len(rec.Members) + 1); err != nil {
		return err
	}
	if len(rec.Members) >= rec.Max {
		return fault.New(fault.LimitExceeded, "The room has its %d participants already.", rec.Max)
	}
	return nil
}

func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// resume gives somebody back his place.
func (r *room) resume(ctx context.Context, e Entry, l Listener) (*Seat, error) {
	if !hmac.Equal([]byte(e.Resume), []byte(r.resumeToken(e.Participant))) {
		return nil, fault.New(fault.PermissionDenied, "The resume_token is not that of the participant.").
			WithFix("Join without participant_id and resume_token.")
	}
	if s := r.resumeHere(e, l); s != nil {
		s.pump()
		r.callWaiting(s.id)
		return s, nil
	}
	return r.resumeFromElsewhere(ctx, e, l)
}

// resumeHere gives back a place on this node, nil when there is none.
func (r *room) resumeHere(e Entry, l Listener) *Seat {
	r.mu.Lock()
	old, self := r.seats[e.Participant], r.rec.member(e.Participant)
	if old == nil || old.gone || old.entering || self == nil || self.Node != r.node() || r.space.ending() {
		r.mu.Unlock()
		return nil
	}
	s := old.succeed(l)
	s.last = e.LastSeq
	s.welcome(r.rec, self, true)
	r.mu.Unlock()
	old.pump()
	return s
}

// resumeFromElsewhere takes a place over from another node, which may be dead, or from an earlier run of this one.
func (r *room) resumeFromElsewhere(ctx context.Context, e Entry, l Listener) (*Seat, error) {
	s := &Seat{room: r, id: e.Participant, listener: l, entering: true, fetching: true, last: e.LastSeq}
	if err := r.hold(s); err != nil {
		return nil, err
	}
	var from broker.Token
	err := r.change(ctx, func(rec *record) error {
		m := rec.member(e.Participant)
		if m == nil {
			return gone(e.Participant)
		}
		if m.Node != r.node() {
			from = m.Node
		}
		m.Node = r.node()
		m.Moves++
		return nil
	})
	if s, err = r.settle(s, err); err != nil {
		return nil, err
	}
	r.fetch(ctx, s, from)
	return s, nil
}

func gone(participant string) error {
	return fault.New(fault.Gone, "There is no participant %.64q in the room any more.", participant).
		WithFix("Join without participant_id and resume_token.")
}

// resumeToken proves on any node that somebody is a participant. Nobody else can make it, and nothing keeps it.
func (r *room) resumeToken(participant string) string {
	mac := hmac.New(sha256.New, r.space.secret)
	mac.Write([]byte("meet resume\n" + string(r.id) + "\n" + participant))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// welcome has the participant told that he is in the room, what he has missed, and what waits for him here. mu is held.
func (s *Seat) welcome(rec *record, self *member, resumed bool) {
	s.entering = false
	w := &Welcome{Seat: s, Self: self.participant(), Resumed: resumed}
	for i := range rec.Members {
		if m := &rec.Members[i]; m.ID != s.id {
			w.Others = append(w.Others, Other{m.participant(), self.Order > m.Order})
		}
	}
	s.push(Notice{Kind: Welcomed, Participant: w.Self, Welcome: w})
	if !s.fetching {
		s.catchUp()
	}
}

// catchUp has the participant told what he has missed, and then what waits for him on this node. mu is held.
func (s *Seat) catchUp() {
	s.fetching = false
	if s.mail != nil {
		for _, n := range s.mail.missed(s.last) {
			s.push(n)
		}
	}
	if s.last != nil && *s.last > s.mailbox().seq {
		s.mailbox().seq = *s.last // the node that has counted so far is dead
	}
	s.last = nil
	if l := s.room.lanes[s.id]; l != nil {
		l.drain(s)
	}
}

// complete adds what need not be made under the room's lock.
func (s *Seat) complete(batch []Notice) {
	for i := range batch {
		if w := batch[i].Welcome; w != nil {
			w.Resume = s.room.resumeToken(s.id)
			w.ICE = s.room.space.hub.cfg.ICE(s.id)
		}
	}
}
