package rooms

import "parley/broker"

// mail is what is known of the signals that a participant has got. Newest ones are kept for some seconds: what was written
// to a connection that was dead already he asks for when he comes back.
type mail struct {
	seq   uint64                // of the newest signal
	given uint64                // of the newest one that was handed to a listener
	from  map[broker.Token]mark // the last signal from each node's lane; nil as long as there is none
	kept  []keptSignal          // the newest signals, oldest first
	bytes int                   // of their content
}

// mark is a place in a lane.
type mark struct {
	Lane uint64 `json:"lane"` // lane.id
	N    uint64 `json:"n"`
}

// after returns the number of the last signal that was taken from a node's lane.
func (m *mail) after(node broker.Token, lane uint64) uint64 {
	if at := m.from[node]; at.Lane == lane {
		return at.N
	}
	return 0
}

// note remembers the last signal that was taken from a node's lane.
func (m *mail) note(node broker.Token, lane, n uint64) {
	if m.from == nil {
		m.from = map[broker.Token]mark{}
	}
	m.from[node] = mark{lane, n}
}

type keptSignal struct {
	notice Notice
	tick   uint32 // of the space, when it came
}

const (
	maxKept      = 128
	maxKeptBytes = 256 << 10
	// keepTicks is how long a signal is kept: for as long as a participant may take to come back, and some more.
	keepTicks = 60
)

// add numbers a signal and keeps it.
func (m *mail) add(n Notice, tick uint32) Notice {
	m.seq++
	n.Seq = m.seq
	m.kept = append(m.kept, keptSignal{n, tick})
	m.bytes += len(n.Signal)
	over := 0
	for over < len(m.kept)-1 && (len(m.kept)-over > maxKept || m.bytes > maxKeptBytes) {
		m.bytes -= len(m.kept[over].notice.Signal)
		over++
	}
	m.cut(over)
	return n
}

// cut forgets the oldest signals.
func (m *mail) cut(n int) {
	if n == 0 {
		return
	}
	clear(m.kept[:n])
	if m.kept = m.kept[n:]; len(m.kept) == 0 {
		m.kept = nil
	}
}

// trim forgets what is too old.
func (m *mail) trim(tick uint32) {
	if m == nil {
		return
	}
	old := 0
	for old < len(m.kept) && tick-m.kept[old].tick > keepTicks {
		m.bytes -= len(m.kept[old].notice.Signal)
		old++
	}
	m.cut(old)
}

// handOver notes that a listener gets these notices.
func (m *mail) handOver(batch []Notice) {
	for i := range batch {
		if seq := batch[i].Seq; m != nil && seq > m.given {
			m.given = seq
		}
	}
}

// missed returns the signals behind the one that a participant has got last.
func (m *mail) missed(last *uint64) []Notice {
	after := m.given
	if last != nil {
		after = *last
	}
	var missed []Notice
	for i := range m.kept {
		if n := m.kept[i].notice; n.Seq > after {
			missed = append(missed, n)
		}
	}
	return missed
}
