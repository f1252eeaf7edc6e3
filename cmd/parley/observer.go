package main

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"parley/admin"
	"parley/broker"
	"parley/internal/fault"
	process "parley/internal/usage"
	"parley/tenants"
)

// observer tells the admin API what tenants use, on all nodes.
type observer struct{ *node }

var _ admin.Observer = observer{}

// Usage implements admin.Observer.
func (o observer) Usage(ctx context.Context, from, until time.Time, tenant tenants.ID) (all []admin.TenantUsage, err error) {
	names := map[broker.AccountID]tenants.ID{}
	for _, t := range o.registry.List() {
		names[t.Account] = t.ID
	}
	var only broker.AccountID
	if tenant != "" {
		t, err := o.registry.Get(tenant)
		if err != nil {
			return nil, err
		}
		only = t.Account
	}
	// What the others have counted of late is written down for this. Who does not answer writes it within seconds.
	if err := o.engine.AskNodes(ctx, noteQuestion, func([]byte) error { return nil }); err != nil {
		o.log.Warn("the other nodes' last seconds are missing in what tenants have used", "err", err)
	}
	entries, err := o.ledger.Read(ctx, from, until, only)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		all = append(all, admin.TenantUsage{Day: e.Day, Tenant: names[e.Account], Account: e.Account, Usage: e.Usage})
	}
	return all, nil
}

// What the nodes ask each other for.
const (
	loadQuestion broker.Token = "load" // what they are doing
	noteQuestion broker.Token = "note" // to write down what they have counted
)

// noteWithin bounds the writing down, so that whoever asks does not give up before.
const noteWithin = 3 * time.Second

// Load implements admin.Observer.
func (o observer) Load(ctx context.Context) (admin.Load, error) {
	all := admin.Load{Time: time.Now().UTC(), Nodes: []admin.NodeLoad{}}
	err := o.engine.AskNodes(ctx, loadQuestion, func(answer []byte) error {
		one, err := unpack(answer)
		all.Nodes = append(all.Nodes, one)
		return err
	})
	slices.SortFunc(all.Nodes, func(a, b admin.NodeLoad) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return all, err
}

// answerNodes tells the other nodes what this one is doing, and writes down what it has counted when they ask.
func (n *node) answerNodes() error {
	err := n.engine.AnswerNodes(noteQuestion, func() []byte {
		ctx, cancel := context.WithTimeout(context.Background(), noteWithin)
		defer cancel()
		if err := n.ledger.Write(ctx); err != nil {
			n.log.Warn("what tenants use can't be written down now; it is tried again", "err", err)
		}
		return []byte("{}")
	})
	if err != nil {
		return err
	}
	return n.engine.AnswerNodes(loadQuestion, func() []byte {
		answer, err := pack(n.load())
		if err != nil {
			n.log.Warn("what this node is doing can't be told", "err", err)
		}
		return answer
	})
}

// load is what this node is doing.
func (n *node) load() admin.NodeLoad {
	l := admin.NodeLoad{ID: string(n.engine.Node()), Name: n.engine.NodeName(), Ready: true, DiskFree: n.engine.DiskFree(), Tenants: []admin.TenantLoad{}}
	if err := n.engine.Ready(); err != nil {
		l.Ready, l.Problem = false, fault.Message(err)
	}
	if own, ok := process.Own(); ok {
		l.Process = &admin.Process{UserSeconds: own.User.Seconds(), SystemSeconds: own.System.Seconds(), RSS: own.RSS}
	}
	for _, u := range n.usesOf(n.registry.List()) {
		if u.stored > 0 || u.Usage != (tenants.Usage{}) {
			l.Tenants = append(l.Tenants, admin.TenantLoad{Tenant: tenants.ID(u.name), Open: u.open, Held: u.stored, Usage: u.Usage})
		}
	}
	return l
}

// pack lays an answer out so that thousands of tenants fit into one message.
func pack(l admin.NodeLoad) ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if err := json.NewEncoder(z).Encode(l); err != nil {
		return nil, err
	}
	err := z.Close()
	return b.Bytes(), err
}

// maxLoad bounds what an answer may unfold to.
const maxLoad = 16 << 20

func unpack(answer []byte) (l admin.NodeLoad, err error) {
	z, err := gzip.NewReader(bytes.NewReader(answer))
	if err == nil {
		err = json.NewDecoder(io.LimitReader(z, maxLoad)).Decode(&l)
	}
	if err != nil {
		return l, fmt.Errorf("read what a node is doing: %w", err)
	}
	return l, nil
}
