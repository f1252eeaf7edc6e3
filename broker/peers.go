package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"

	"parley/internal/fault"
)

// peerSubject is where the engines of a cluster ask each other, in the system account.
const peerSubject = "parley.accounts"

// peersWithin bounds the wait for nodes that are connected and do not answer.
const peersWithin = 3 * time.Second

// What the engines ask each other to do with an account. Each may be done any number of times.
const (
	barAccount   = "bar"   // close the connection and open no other
	admitAccount = "admit" // undo bar
	sweepAccount = "sweep" // wait until its streams are gone and remove what is left of them
)

type peerRequest struct {
	Do      string    `json:"do"`
	Account AccountID `json:"account"`
}

type peerReply struct {
	Error string `json:"error,omitempty"`
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
	return e.askAll(ctx, peerSubject, data, func(b []byte) error {
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
		return e.sweep(ctx, r.Account)
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
		reply := peerReply{}
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

// sweep waits until the streams of an account are gone from this node and removes the directories that the server has
// emptied.
func (e *Engine) sweep(ctx context.Context, a AccountID) error {
	key, err := e.id.accountKey(a)
	if err != nil {
		return err
	}
	return e.sweepKey(ctx, key)
}

func (e *Engine) sweepKey(ctx context.Context, key string) error {
	for e.Clustered() && !e.emptied(key) { // alone, the server has answered when they are gone
		select {
		case <-ctx.Done():
			return fmt.Errorf("the streams of account %s are not gone yet", key)
		case <-time.After(10 * time.Millisecond):
		}
	}
	return e.removeLeftovers(key)
}

// emptied reports whether no stream of the account is left in the store.
func (e *Engine) emptied(key string) bool {
	left, err := os.ReadDir(filepath.Join(e.dir.store(), key, "streams"))
	return err != nil || len(left) == 0
}

// askAll sends a request that every node answers, and has check read the answers. It waits for all nodes that can be
// reached. One that is connected and silent for long is left out, with a warning: it is about to be given up by the
// others, and takes accounts over from them when it comes back.
func (e *Engine) askAll(ctx context.Context, subject string, data []byte, check func([]byte) error) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	s := e.system
	s.mu.Lock()
	defer s.mu.Unlock()
	inbox := s.nc.NewInbox()
	sub, err := s.nc.SubscribeSync(inbox)
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "The NATS server did not answer.")
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := s.nc.PublishRequest(subject, inbox, data); err != nil {
		return fault.Wrap(fault.Unavailable, err, "The NATS server did not answer.")
	}
	var failed error
	for answers := 0; answers < e.nodeCount(); answers++ { //nolint:intrange // nodes come and go meanwhile
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
			e.log.Warn("not all nodes have answered", "request", subject, "answers", answers, "nodes", e.nodeCount(), "err", err)
			break
		}
		failed = errors.Join(failed, check(m.Data))
	}
	return failed
}
