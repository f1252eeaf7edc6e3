package broker

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/nats-io/nats.go"

	"parley/internal/fault"
)

// peerSubject is where the engines of a cluster ask each other, in the system account.
const peerSubject = "parley.accounts"

// peersWithin bounds the wait for nodes that are connected and do not answer.
const peersWithin = 3 * time.Second

// What the engines ask each other to do, mostly with an account. Each may be done any number of times.
const (
	barAccount   = "bar"   // close the connection and open no other
	admitAccount = "admit" // undo bar
	sweepAccount = "sweep" // wait until its streams are gone and remove what is left of them
	tellCluster  = "tell"  // tell which cluster this is; without an account
	countCopies  = "count" // tell how many copies of streams each node has, of those that it leads; without an account
)

type peerRequest struct {
	Do      string    `json:"do"`
	Account AccountID `json:"account"`
}

type peerReply struct {
	Error    string             `json:"error,omitempty"`
	Cluster  string             `json:"cluster,omitempty"`  // its id, if it is known
	Holdings map[string]holding `json:"holdings,omitempty"` // by id of the node, if that was asked
}

// everywhere does something with an account on all nodes.
func (e *Engine) everywhere(ctx context.Context, do string, a AccountID) error {
	if !e.Clustered() {
		return e.obey(ctx, peerRequest{do, a})
	}
	data, err := json.Marshal(peerRequest{do, a})
	if err != nil {
		return err
	}
	everyEngine := func() int { return e.servers.size().engines }
	return e.askAll(ctx, peerSubject, data, everyEngine, func(b []byte) error {
		var reply peerReply
		if err := json.Unmarshal(b, &reply); err != nil || reply.Error == "" {
			return err
		}
		return errors.New(reply.Error)
	})
}

// obey does on this node what a node has asked for.
func (e *Engine) obey(ctx context.Context, r peerRequest) error {
	switch r.Do {
	case barAccount:
		e.conns.bar(r.Account)
	case admitAccount:
		e.conns.admit(r.Account)
	case sweepAccount:
		key, err := e.id.accountKey(r.Account)
		if err != nil {
			return err
		}
		return e.servers.sweep(ctx, key)
	}
	return nil
}

// answerPeers takes what the other engines ask, and this one's own questions, until the system connection closes.
func (e *Engine) answerPeers() error {
	_, err := e.system.nc.Subscribe(peerSubject, func(m *nats.Msg) {
		var r peerRequest
		err := json.Unmarshal(m.Data, &r)
		if err == nil {
			ctx, cancel := context.WithTimeout(context.Background(), peersWithin)
			err = e.obey(ctx, r)
			cancel()
		}
		reply := peerReply{Cluster: e.gate.id()}
		if err == nil && r.Do == countCopies {
			reply.Holdings, err = e.holdings()
		}
		if err != nil {
			reply.Error = e.cfg.ServerName + ": " + err.Error()
		}
		b, _ := json.Marshal(reply) // a string always marshals
		if err := m.Respond(b); err != nil {
			e.log.Warn("a node could not be answered", "err", err)
		}
	})
	return err
}

// askAll sends a request that so many nodes answer, and has check read the answers. It waits for all that can be
// reached. One that is connected and silent for long is left out, with a warning: it is about to be given up by the
// others, and takes accounts over from them when it comes back.
func (e *Engine) askAll(ctx context.Context, subject string, data []byte, nodes func() int, check func([]byte) error) error {
	e.system.mu.Lock()
	defer e.system.mu.Unlock()
	return e.gather(ctx, e.system.nc, subject, data, nodes, check)
}

// errEnough is what check returns when no further answer is needed.
var errEnough = errors.New("no further answer is needed")

// gather is askAll for questions, which change nothing and need no order.
func (e *Engine) gather(ctx context.Context, nc *nats.Conn, subject string, data []byte, nodes func() int, check func([]byte) error) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	inbox := nc.NewInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "The NATS server did not answer.")
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := nc.PublishRequest(subject, inbox, data); err != nil {
		return fault.Wrap(fault.Unavailable, err, "The NATS server did not answer.")
	}
	var failed error
	for answers := 0; answers < max(nodes(), 1); answers++ { //nolint:intrange // nodes come and go meanwhile
		if answers == 1 { // its own node has answered, or another one as fast
			var end context.CancelFunc
			ctx, end = context.WithTimeout(ctx, peersWithin+time.Second)
			defer end()
		}
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil && answers == 0 {
			return fault.Wrap(fault.Unavailable, err, "The NATS server did not answer.")
		}
		if err != nil {
			e.log.Warn("not all nodes have answered", "request", subject, "answers", answers, "nodes", nodes(), "err", err)
			break
		}
		err = check(m.Data)
		if errors.Is(err, errEnough) {
			return nil
		}
		failed = errors.Join(failed, err)
	}
	return failed
}
