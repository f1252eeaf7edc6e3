package broker

import (
	"fmt"
	"net"
	"strconv"

	"github.com/nats-io/nats-server/v2/server"
)

// Service is a connection of a service to this node's server.
type Service struct {
	AccountKey string // as in Traffic
	UserKey    string // of its credentials; empty when it had ended before anybody asked
	Address    string // host:port, or only the host
	id         uint64
}

// Sent is what one service has published since it was measured before.
type Sent struct {
	Service         Service
	Messages, Bytes int64
}

// Traffic is what the services of an account have published since it was measured before.
type Traffic struct {
	AccountKey string // the name by which the server knows the account
	Services   []Sent // that are connected

	// Messages and Bytes are those of connections that have ended meanwhile. They may come a measurement late.
	Messages, Bytes int64
}

// ServiceMeter measures how much the services of accounts publish on this node's server. The server counts anyhow: a message
// costs nothing more. It is for one goroutine.
type ServiceMeter struct {
	engine *Engine
	known  map[AccountID]*measured
}

// measured is an account as it was measured last.
type measured struct {
	key   string
	total tally                // of all connections, those of the node and those that have ended included
	conns map[uint64]connected // nil before the first time
	rest  tally                // what total has more than conns; below 0 when they were looked at a moment later
}

// connected is one connection as it was measured last.
type connected struct {
	service Service // zero for the node's own
	sent    tally
}

// tally is what was published.
type tally struct{ messages, bytes int64 }

func (a tally) minus(b tally) tally { return tally{a.messages - b.messages, a.bytes - b.bytes} }

// NewServiceMeter returns a meter that has measured nothing yet. With external servers it never measures anything.
func (e *Engine) NewServiceMeter() *ServiceMeter {
	return &ServiceMeter{engine: e, known: map[AccountID]*measured{}}
}

// Measure calls f for each of the accounts that anybody has published in since it was measured before; the first time it
// only begins. What the node itself publishes is not counted.
func (m *ServiceMeter) Measure(accounts []AccountID, f func(AccountID, Traffic)) error {
	if m.engine.server == nil {
		return nil
	}
	ids, err := m.keysOf(accounts)
	if err != nil || len(ids) == 0 {
		return err
	}
	keys := make([]string, 0, len(ids))
	for key := range ids {
		keys = append(keys, key)
	}
	stats, err := m.engine.server.AccountStatz(&server.AccountStatzOptions{Accounts: keys}) // only those with connections
	if err != nil {
		return fmt.Errorf("ask what accounts have sent: %w", err)
	}
	for _, s := range stats.Accounts {
		id := ids[s.Account]
		one, here := m.known[id], s.Received
		total := tally{here.Msgs - here.Routes.Msgs - here.Gateways.Msgs, here.Bytes - here.Routes.Bytes - here.Gateways.Bytes}
		if one.conns != nil && total == one.total {
			continue
		}
		traffic, err := m.look(one, total)
		if err != nil {
			return err
		}
		if traffic.Messages > 0 || len(traffic.Services) > 0 {
			f(id, traffic)
		}
	}
	return nil
}

// keysOf names accounts as the server does, and forgets those that are no longer asked for.
func (m *ServiceMeter) keysOf(accounts []AccountID) (map[string]AccountID, error) {
	ids, known := make(map[string]AccountID, len(accounts)), make(map[AccountID]*measured, len(accounts))
	for _, id := range accounts {
		one := m.known[id]
		if one == nil {
			key, err := m.engine.id.accountKey(id)
			if err != nil {
				return nil, err
			}
			one = &measured{key: key}
		}
		known[id], ids[one.key] = one, id
	}
	m.known = known
	return ids, nil
}

// look measures the connections of an account.
func (m *ServiceMeter) look(one *measured, total tally) (t Traffic, err error) {
	info, err := m.engine.server.Connz(&server.ConnzOptions{Account: one.key, Limit: 1 << 30})
	if err != nil {
		return t, fmt.Errorf("ask what connections have sent: %w", err)
	}
	t.AccountKey = one.key
	first := one.conns == nil
	one.rest.messages += total.messages - one.total.messages
	one.rest.bytes += total.bytes - one.total.bytes
	conns := make(map[uint64]connected, len(info.Conns))
	for _, c := range info.Conns {
		now, before := tally{c.InMsgs, c.InBytes}, one.conns[c.Cid]
		sent := now.minus(before.sent)
		if c.Port != 0 && before.service.id == 0 { // the node's own come through memory
			before.service = m.identify(one.key, c)
		}
		conns[c.Cid] = connected{before.service, now}
		one.rest = one.rest.minus(sent)
		if c.Port != 0 && !first {
			t.Services = append(t.Services, Sent{before.service, sent.messages, sent.bytes})
		}
	}
	one.total, one.conns = total, conns
	if first {
		one.rest = tally{}
	}
	if one.rest.messages > 0 {
		t.Messages, t.Bytes = one.rest.messages, max(one.rest.bytes, 0)
		one.rest = tally{}
	}
	return t, nil
}

// identify says whose connection it is. It is asked once for each: the server decodes a token for it.
func (m *ServiceMeter) identify(key string, c *server.ConnInfo) Service {
	s := Service{AccountKey: key, Address: net.JoinHostPort(c.IP, strconv.Itoa(c.Port)), id: c.Cid}
	info, err := m.engine.server.Connz(&server.ConnzOptions{CID: c.Cid, Username: true})
	if err == nil && len(info.Conns) > 0 {
		s.UserKey = info.Conns[0].AuthorizedUser
	}
	return s
}

// Cut ends the connection of a service, which may connect again. It does nothing when it has ended already.
func (e *Engine) Cut(s Service) {
	if e.server != nil {
		_ = e.server.DisconnectClientByID(s.id) // fails when it is gone
	}
}
