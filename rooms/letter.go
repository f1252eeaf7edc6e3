package rooms

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"time"

	"github.com/nats-io/nats.go"

	"parley/broker"
)

// letter is what nodes tell each other of a room. On the wire it is a line of JSON, followed by the signal if it has one.
//
//	signal   N carries Sender's signal to Target, and says that Base is the oldest that was not taken yet
//	taken    N was handed to Target, and everything before it
//	ready    Target takes signals again: send what waits
//	fetch    Target is on this node now: what do you know of his signals? Answered with a dossier
type letter struct {
	Kind   letterKind   `json:"kind"`
	Node   broker.Token `json:"node"` // that sends the letter
	Target string       `json:"target"`
	Sender string       `json:"sender,omitempty"`
	Polite bool         `json:"polite,omitempty"`
	Lane   uint64       `json:"lane,omitempty"` // signal, taken: lane.id
	N      uint64       `json:"n,omitempty"`
	Base   uint64       `json:"base,omitempty"`
	Rev    uint64       `json:"rev,omitempty"` // of the room's record, in which Sender is known
}

type letterKind string

const (
	letterSignal letterKind = "signal"
	letterTaken  letterKind = "taken"
	letterReady  letterKind = "ready"
	letterFetch  letterKind = "fetch"
)

// dossier is what the node that a participant was on knows of his signals.
type dossier struct {
	Seq   uint64                `json:"seq"`
	Given uint64                `json:"given"`
	From  map[broker.Token]mark `json:"from,omitempty"`
	Kept  []keptLetter          `json:"kept,omitempty"`
}

type keptLetter struct {
	Seq    uint64 `json:"seq"`
	Sender string `json:"sender"`
	Polite bool   `json:"polite,omitempty"`
	Data   []byte `json:"data"`
}

// fetchWithin bounds the wait for the node before, which may have died a moment ago.
const fetchWithin = time.Second

func (m letter) encode(data []byte) []byte {
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // unreachable: a letter always marshals
	}
	return append(append(b, '\n'), data...)
}

// post sends a letter to another node. What gets lost is sent again: see lane.probe.
func (s *space) post(room, node broker.Token, m letter, data []byte) {
	_ = s.conn.NATS().Publish(string(broker.RoomGateway(room, node)), m.encode(data))
}

// take takes a letter of another node.
func (s *space) take(msg *nats.Msg) {
	id, _, ok := broker.Subject(msg.Subject).Room()
	if !ok {
		return
	}
	head, data, _ := bytes.Cut(msg.Data, []byte{'\n'})
	var m letter
	if err := json.Unmarshal(head, &m); err != nil {
		s.hub.log.Warn("an unreadable letter of another node", "room", id, "err", err)
		return
	}
	r := s.use(id)
	defer s.done(r)
	switch m.Kind {
	case letterSignal:
		r.takeSignal(m, data)
	case letterTaken:
		r.taken(m)
	case letterReady:
		r.ready(m)
	case letterFetch:
		r.answerFetch(msg, m)
	}
}

// takeSignal hands a signal from another node to the participant, if it is the next one. What he does not take now is sent
// again once he is ready.
func (r *room) takeSignal(m letter, data []byte) {
	r.mu.Lock()
	s := r.seats[m.Target]
	if s == nil || s.gone {
		r.mu.Unlock()
		return // he is elsewhere, which the sender is about to learn
	}
	if !s.open() || m.Rev > r.rev {
		s.waiting = true
		r.mu.Unlock()
		return
	}
	box := s.mailbox()
	if at := box.from[m.Node]; m.Lane >= at.Lane && m.N == max(box.after(m.Node, m.Lane)+1, m.Base) {
		s.take(parcel{m.Sender, m.Polite, data})
		box.note(m.Node, m.Lane, m.N)
	}
	last := box.after(m.Node, m.Lane)
	r.mu.Unlock()
	s.pump()
	r.space.post(r.id, m.Node, letter{Kind: letterTaken, Node: r.node(), Target: m.Target, Lane: m.Lane, N: last}, nil)
}

// taken forgets what the target has got, and sends what is next.
func (r *room) taken(m letter) {
	r.mu.Lock()
	l := r.lanes[m.Target]
	more := l != nil && l.id == m.Lane && l.done(m.N, r.space.tick.Load()) && len(l.pending) > l.sent
	r.mu.Unlock()
	if more {
		r.flush(l)
	}
}

// ready sends again what waits for a participant who is back.
func (r *room) ready(m letter) {
	r.mu.Lock()
	l := r.lanes[m.Target]
	if l != nil {
		l.sent = 0
	}
	r.mu.Unlock()
	if l != nil {
		r.flush(l)
	}
}

// callWaiting tells the nodes whose signals a participant has not taken that he does so now.
func (r *room) callWaiting(id string) {
	r.mu.Lock()
	s := r.seats[id]
	call := s != nil && s.open() && s.waiting
	if call {
		s.waiting = false
	}
	var nodes []broker.Token
	if call {
		nodes = r.otherNodes()
	}
	r.mu.Unlock()
	for _, node := range nodes {
		r.space.post(r.id, node, letter{Kind: letterReady, Node: r.node(), Target: id}, nil)
	}
}

// otherNodes returns the other nodes on which there are participants: nobody else sends signals. mu is held.
func (r *room) otherNodes() (nodes []broker.Token) {
	seen := map[broker.Token]bool{r.node(): true}
	for i := range r.rec.members() {
		if node := r.rec.Members[i].Node; !seen[node] {
			seen[node] = true
			nodes = append(nodes, node)
		}
	}
	return nodes
}

// fetch asks the node that a participant was on before what it knows of his signals, so that none comes twice and none is
// left out. A node that is dead knows nothing.
func (r *room) fetch(ctx context.Context, s *Seat, from broker.Token) {
	var d dossier
	if from != "" && r.space.hub.engine.Alive(from) {
		ctx, cancel := context.WithTimeout(ctx, fetchWithin)
		defer cancel()
		m := letter{Kind: letterFetch, Node: r.node(), Target: s.id}
		answer, err := r.space.conn.NATS().RequestWithContext(ctx, string(broker.RoomGateway(r.id, from)), m.encode(nil))
		if err == nil {
			err = json.Unmarshal(answer.Data, &d)
		}
		if err != nil {
			r.space.hub.log.Info("the node of a participant who has come back does not say what he has got", "node", from, "err", err)
		}
	}
	r.mu.Lock()
	if s.fetching && !s.gone {
		d.fill(s)
		s.catchUp()
	}
	r.mu.Unlock()
	s.pump()
	r.callWaiting(s.id)
}

// answerFetch gives a participant's signals to the node that he is on now.
func (r *room) answerFetch(msg *nats.Msg, m letter) {
	var d dossier
	r.mu.Lock()
	s := r.seats[m.Target]
	if s != nil {
		if !s.gone {
			s.supersede()
		}
		d = s.dossier()
	}
	r.mu.Unlock()
	if s != nil {
		s.pump()
	}
	b, err := json.Marshal(d)
	if err != nil {
		panic(err) // unreachable: a dossier always marshals
	}
	_ = msg.Respond(b) // who has asked does without after a while
}

// dossier tells what this node knows of the participant's signals. mu is held.
func (s *Seat) dossier() (d dossier) {
	if s.mail == nil {
		return d
	}
	d.Seq, d.Given, d.From = s.mail.seq, s.mail.given, maps.Clone(s.mail.from)
	for i := range s.mail.kept {
		n := &s.mail.kept[i].notice
		d.Kept = append(d.Kept, keptLetter{n.Seq, n.Participant.ID, n.Polite, n.Signal})
	}
	return d
}

// fill takes over what another node knew. mu is held.
func (d dossier) fill(s *Seat) {
	if d.Seq == 0 {
		return
	}
	box, tick := s.mailbox(), s.room.space.tick.Load()
	for node, at := range d.From {
		box.note(node, at.Lane, at.N)
	}
	for _, k := range d.Kept {
		box.seq = k.Seq - 1
		box.add(Notice{Kind: Signaled, Participant: Participant{ID: k.Sender}, Polite: k.Polite, Signal: k.Data}, tick)
	}
	box.seq, box.given = d.Seq, d.Given
}
