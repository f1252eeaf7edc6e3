package tenants

import (
	"maps"
	"slices"
	"sync"

	"parley/broker"
	"parley/internal/meter"
)

// Meter counts what one tenant uses of this node, since the node started. Whoever does something for the tenant adds to it.
type Meter struct {
	Open meter.Gauge // connections that are open now

	Connections   meter.Counter // that were let in
	Received      meter.Counter // messages from clients
	Sent          meter.Counter // messages to clients
	ReceivedBytes meter.Counter // of these messages
	SentBytes     meter.Counter // over the connections, with all that frames them
	Stored        meter.Counter // messages that were stored and confirmed, whoever sent them
	StoredBytes   meter.Counter // of these messages
	Runs          meter.Counter // answers of AI workers that have ended
	InputTokens   meter.Counter // as the models' providers count
	OutputTokens  meter.Counter
}

// Usage is what a tenant has used in some time.
type Usage struct {
	Connections   uint64 `json:"connections"`    // that were let in
	Received      uint64 `json:"received"`       // messages from clients
	Sent          uint64 `json:"sent"`           // messages to clients
	ReceivedBytes uint64 `json:"received_bytes"` // of these messages
	SentBytes     uint64 `json:"sent_bytes"`     // over the connections, with all that frames them
	Stored        uint64 `json:"stored"`         // messages that were stored and confirmed, whoever sent them
	StoredBytes   uint64 `json:"stored_bytes"`   // of these messages
	Runs          uint64 `json:"runs"`           // answers of AI workers that have ended
	InputTokens   uint64 `json:"input_tokens"`   // as the models' providers count
	OutputTokens  uint64 `json:"output_tokens"`
}

// Usage returns what was counted so far.
func (m *Meter) Usage() Usage {
	return Usage{
		Connections: m.Connections.Value(),
		Received:    m.Received.Value(), Sent: m.Sent.Value(),
		ReceivedBytes: m.ReceivedBytes.Value(), SentBytes: m.SentBytes.Value(),
		Stored: m.Stored.Value(), StoredBytes: m.StoredBytes.Value(),
		Runs: m.Runs.Value(), InputTokens: m.InputTokens.Value(), OutputTokens: m.OutputTokens.Value(),
	}
}

// Plus returns the sum of both.
func (u Usage) Plus(v Usage) Usage {
	return Usage{
		u.Connections + v.Connections,
		u.Received + v.Received, u.Sent + v.Sent, u.ReceivedBytes + v.ReceivedBytes, u.SentBytes + v.SentBytes,
		u.Stored + v.Stored, u.StoredBytes + v.StoredBytes,
		u.Runs + v.Runs, u.InputTokens + v.InputTokens, u.OutputTokens + v.OutputTokens,
	}
}

// minus returns what u has and v has not, where v was counted before by the same Meter.
func (u Usage) minus(v Usage) Usage {
	return Usage{
		u.Connections - v.Connections,
		u.Received - v.Received, u.Sent - v.Sent, u.ReceivedBytes - v.ReceivedBytes, u.SentBytes - v.SentBytes,
		u.Stored - v.Stored, u.StoredBytes - v.StoredBytes,
		u.Runs - v.Runs, u.InputTokens - v.InputTokens, u.OutputTokens - v.OutputTokens,
	}
}

// Meters has a Meter for each tenant that has used this node since it started. The zero value is ready to use, and nil
// counts for nobody.
type Meters struct {
	mu      sync.Mutex
	all     map[broker.AccountID]*Meter // guarded by mu
	refresh []func()                    // guarded by mu
}

// OnRead has f called before the Meters are read, to bring them up to date. There is no way to take it back: it is meant
// for those who count as long as the node runs.
func (m *Meters) OnRead(f func()) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refresh = append(m.refresh, f)
}

// Of returns the Meter of an account, the same at each call. It takes a lock: it is for whoever begins to work for a
// tenant, not for each message.
func (m *Meters) Of(account broker.AccountID) *Meter {
	if m == nil {
		return new(Meter)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	one := m.all[account]
	if one == nil {
		if m.all == nil {
			m.all = map[broker.AccountID]*Meter{}
		}
		one = new(Meter)
		m.all[account] = one
	}
	return one
}

// All returns all Meters that there are, up to date.
func (m *Meters) All() map[broker.AccountID]*Meter {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	refresh := slices.Clone(m.refresh)
	m.mu.Unlock()
	for _, f := range refresh {
		f()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.all)
}
