package test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/test/rig"
)

// manyAcks is how many acknowledgements show that things go on.
const manyAcks = 400

// fleet is a cluster as its clients know it, with an agent that writes and one that reads on each node. All are on one
// channel, and go to another node when theirs is lost.
type fleet struct {
	t     *testing.T
	nodes []*place

	writers, readers []*roamer
	writing, reading sync.WaitGroup

	acks     atomic.Int64
	lastAck  atomic.Int64  // when, in nanoseconds
	gap      atomic.Int64  // longest time between two, since it was set to 0
	stopping atomic.Bool   // writers finish what they have begun
	stored   atomic.Int64  // how many messages there are in the end
	known    chan struct{} // closed when stored is known
}

// place is a node that clients can be at.
type place struct {
	addr string
	away atomic.Bool // the node is down, or about to be
}

// startFleet puts agents of a tenant on nodes and has them write and read. Tests with a fleet are not parallel: a cluster
// that gets no CPU for a second elects leaders instead of working.
func startFleet(t *testing.T, acme tenant, nodes []*rig.Server) *fleet {
	t.Helper()
	f := &fleet{t: t, known: make(chan struct{})}
	t.Cleanup(func() { // of a test that has failed; roamers go nowhere when it has ended
		f.writing.Wait()
		f.reading.Wait()
	})
	for _, n := range nodes {
		f.nodes = append(f.nodes, &place{addr: n.StableAddr()})
	}
	for i := range nodes {
		writer, reader := f.roamer(acme, fmt.Sprint("writer-", i), i), f.roamer(acme, fmt.Sprint("reader-", i), i)
		f.writers, f.readers = append(f.writers, writer), append(f.readers, reader)
		f.writing.Go(writer.write)
		f.reading.Go(reader.read)
	}
	return f
}

func (f *fleet) down(i int, away bool) { f.nodes[i].away.Store(away) }

// awaitAcks waits for so many acknowledgements that things go on.
func (f *fleet) awaitAcks() {
	f.t.Helper()
	target := f.acks.Load() + manyAcks
	await(f.t, "acknowledgements", func() bool { return f.acks.Load() >= target })
}

func (f *fleet) acked() {
	now := time.Now().UnixNano()
	if before := f.lastAck.Swap(now); before != 0 && now-before > f.gap.Load() {
		f.gap.Store(now - before)
	}
	f.acks.Add(1)
}

// without takes something away and gives it back, with load before and meanwhile.
func (f *fleet) without(what string, end, restart func()) {
	f.t.Helper()
	f.awaitAcks()
	f.gap.Store(0)
	end()
	f.awaitAcks()
	f.t.Logf("without %s: longest time between two acknowledgements %s", what, time.Duration(f.gap.Load()))
	restart()
}

// finish ends the writing and checks, with the history as a node has it, that what was acknowledged is stored, that
// nothing is there twice, and that the readers got all of it once, in order.
func (f *fleet) finish(acme tenant) {
	f.t.Helper()
	f.stopping.Store(true)
	f.writing.Wait()
	stored := history(f.t, acme, busy)
	f.stored.Store(int64(len(stored)))
	close(f.known)
	f.reading.Wait()
	f.checkStored(stored)
	for i, r := range f.readers {
		if len(r.got) != len(stored) {
			f.t.Errorf("reader %d got %d messages of %d", i, len(r.got), len(stored))
			continue
		}
		for j, m := range stored {
			if r.got[j] != m.Seq() {
				f.t.Errorf("reader %d: message %d has seq %d, want %d", i, j, r.got[j], m.Seq())
				break
			}
		}
	}
	f.t.Logf("%d acknowledged messages", len(stored))
}

// checkStored compares what is stored with what the writers know.
func (f *fleet) checkStored(stored []rig.Frame) {
	f.t.Helper()
	at, acked := map[string]uint64{}, 0
	for i, m := range stored {
		if at[m.ID()] != 0 {
			f.t.Errorf("message %s is stored twice", m.ID())
		}
		if i > 0 && m.Seq() <= stored[i-1].Seq() {
			f.t.Errorf("seq %d behind %d", m.Seq(), stored[i-1].Seq())
		}
		at[m.ID()] = m.Seq()
	}
	for _, w := range f.writers {
		acked += len(w.acked)
		for id, seq := range w.acked {
			if at[id] != seq {
				f.t.Errorf("message %s was acknowledged as %d and is stored as %d", id, seq, at[id])
			}
		}
	}
	if acked != len(stored) {
		f.t.Errorf("%d messages are stored, their writers know of %d", len(stored), acked)
	}
}

// busy is the channel that the fleet is on.
const busy = "busy"

// roamer is an agent that goes to another node when it loses its connection.
type roamer struct {
	*fleet
	token string
	node  int

	next  int
	open  []string          // ids without an ACK
	acked map[string]uint64 // id to seq
	got   []uint64          // what a reader has received
	agent string
}

func (f *fleet) roamer(acme tenant, agent string, node int) *roamer {
	return &roamer{fleet: f, token: acme.token(agent), node: node, acked: map[string]uint64{}, agent: agent}
}

// connect returns a connection to the node it is at, or to the next one that answers.
func (r *roamer) connect(more ...string) *rig.Socket {
	path := "/v1/ws?" + rig.Query(append([]string{"token", r.token, "channel_id", busy}, more...)...)
	for deadline := time.Now().Add(rig.Patience); time.Now().Before(deadline); r.node = (r.node + 1) % len(r.nodes) {
		if r.t.Context().Err() != nil {
			return nil
		}
		if r.nodes[r.node].away.Load() {
			continue
		}
		if s := rig.Reach(r.t, r.nodes[r.node].addr, path); s != nil {
			return s
		}
	}
	r.t.Errorf("%s found no node", r.agent)
	return nil
}

// write publishes in small groups until it is told to stop, and repeats what was not acknowledged under the same id.
func (r *roamer) write() {
	for !r.stopping.Load() || len(r.open) > 0 {
		s := r.connect("echo", "false")
		if s == nil {
			return
		}
		for r.round(s) {
			<-time.After(pause)
		}
		s.Drop()
		r.node = (r.node + 1) % len(r.nodes)
	}
}

const (
	group = 8
	// pause is between two groups of a writer, so that there is load all the time and the machine is still able to do what
	// the load is to disturb.
	pause = 25 * time.Millisecond
)

// round sends what is open, filled up with new messages, and takes the answers. It reports whether to go on here.
func (r *roamer) round(s *rig.Socket) bool {
	for len(r.open) < group && !r.stopping.Load() {
		r.open = append(r.open, fmt.Sprint(r.agent, "-", r.next))
		r.next++
	}
	for _, id := range r.open {
		if s.TrySend(rig.Frame{"id": id, "type": "message", "content": id}) != nil {
			return false
		}
	}
	var again []string
	for i, id := range r.open {
		answer, ok := s.TryAnswer(id)
		if !ok {
			r.open = append(again, r.open[i:]...)
			return false
		}
		if answer.Type() == "ACK" {
			r.acked[id] = answer.Seq()
			r.fleet.acked()
		} else {
			again = append(again, id)
		}
	}
	r.open = again
	return len(r.open) > 0 || !r.stopping.Load()
}

// read receives until it has everything, resuming wherever it finds a node.
func (r *roamer) read() {
	since := uint64(0)
	for deadline := time.Now().Add(10 * rig.Patience); time.Now().Before(deadline); r.node = (r.node + 1) % len(r.nodes) {
		s := r.connect("since", fmt.Sprint(since))
		if s == nil {
			return
		}
		for {
			if r.complete() {
				s.Settle()
				for _, m := range s.Pending() {
					if !m.Answer() {
						r.got = append(r.got, m.Seq())
					}
				}
				return
			}
			m, ok := r.message(s)
			if !ok {
				break
			}
			if m != nil {
				since = m.Seq()
				r.got = append(r.got, since)
			}
		}
		s.Drop()
	}
}

// complete reports whether the reader knows that it has everything.
func (r *roamer) complete() bool {
	select {
	case <-r.known:
		return int64(len(r.got)) >= r.stored.Load()
	default:
		return false
	}
}

// message returns the next message, or nil when it is known meanwhile how many there are; false says that the connection
// has ended.
func (r *roamer) message(s *rig.Socket) (rig.Frame, bool) {
	select {
	case <-r.known: // and there is another one
		return s.TryMessage()
	default:
		return s.MessageUnless(r.known)
	}
}
