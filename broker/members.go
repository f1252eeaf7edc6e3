package broker

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"parley/internal/fault"
)

// Member is one node as the cluster knows it, whether it lives or not. A node that no longer counts as a member was removed.
type Member struct {
	ID      string // what the cluster calls it: 8 letters and digits
	Name    string // of the node; empty when nobody who lives has heard it
	Alive   bool   // it errs for at most 12 seconds
	Leads   bool   // the cluster, which is to say that it decides which node holds what
	Streams int    // how many it has a copy of
	Behind  int    // how many of these copies are not complete now, or of streams that are just being put on other nodes
}

// Members returns the nodes of the cluster by name, or this one node that is alone. Streams that nobody leads now, and
// those of nodes that do not answer, are not counted.
func (e *Engine) Members(ctx context.Context) ([]Member, error) {
	if e.server == nil {
		return nil, fault.New(fault.Usage, "The NATS servers are not the broker's own.").WithFix("Look after them with their own tools.")
	}
	if !e.Clustered() {
		id := peerID(e.cfg.ServerName)
		held, err := e.holdings()
		return []Member{{ID: id, Name: e.cfg.ServerName, Alive: true, Leads: true, Streams: held[id].Copies}}, err
	}
	info, err := e.server.Jsz(nil)
	if err != nil {
		return nil, err
	}
	if info.Meta == nil || info.Meta.Leader == "" {
		return nil, fault.New(fault.Unavailable, "The cluster has no leader now: fewer than half of its nodes can be reached.")
	}
	held, err := e.allHoldings(ctx)
	if err != nil {
		return nil, err
	}
	incomplete, err := e.incomplete(ctx)
	if err != nil {
		return nil, err
	}
	for name, about := range incomplete {
		h := held[peerID(name)]
		h.Behind = max(h.Behind, len(about))
		if about[complaint{}] { // it knows nothing of its streams now
			h.Behind = h.Copies
		}
		held[peerID(name)] = h
	}
	all := []Member{e.member(peerID(e.cfg.ServerName), e.cfg.ServerName, held)} // the server leaves itself out
	for _, p := range info.Meta.Replicas {
		name := p.Name
		if peerID(name) != p.Peer { // a text that says so
			name = ""
		}
		all = append(all, e.member(p.Peer, name, held))
	}
	for i := range all {
		all[i].Leads = all[i].ID == peerID(info.Meta.Leader)
	}
	slices.SortFunc(all, func(a, b Member) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return all, nil
}

func (e *Engine) member(id, name string, held map[string]holding) Member {
	return Member{ID: id, Name: name, Alive: e.nodes.lives(name), Streams: held[id].Copies, Behind: held[id].Behind}
}

// lives reports whether any run of the node of that name is believed to live.
func (n *nodes) lives(name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for run := range n.alive {
		if i := strings.LastIndexByte(string(run), '-'); i >= 0 && string(run[:i]) == name {
			return true
		}
	}
	return false
}

// holding is what one node has copies of.
type holding struct {
	Copies int `json:"copies"`
	Behind int `json:"behind"`
}

// holdings counts, by node, the copies of the streams that this one leads.
func (e *Engine) holdings() (map[string]holding, error) {
	info, err := e.server.Jsz(&server.JSzOptions{Accounts: true, Streams: true, Limit: 1 << 30})
	if err != nil {
		return nil, err
	}
	held := map[string]holding{}
	add := func(id string, current bool) {
		h := held[id]
		h.Copies++
		if !current {
			h.Behind++
		}
		held[id] = h
	}
	for _, a := range info.AccountDetails {
		for _, s := range a.Streams {
			if s.Cluster != nil && s.Cluster.Leader != e.cfg.ServerName {
				continue
			}
			add(peerID(e.cfg.ServerName), true)
			if s.Cluster == nil { // this node is alone
				continue
			}
			for _, p := range s.Cluster.Replicas {
				add(p.Peer, p.Current && !p.Offline && !p.Pending && s.Cluster.Desired == nil)
			}
		}
	}
	return held, nil
}

// allHoldings adds up what the nodes count.
func (e *Engine) allHoldings(ctx context.Context) (map[string]holding, error) {
	request, err := json.Marshal(peerRequest{Do: countCopies})
	if err != nil {
		return nil, err
	}
	all := map[string]holding{}
	everyEngine := func() int { return e.servers.size().engines }
	err = e.gather(ctx, e.system.nc, peerSubject, request, everyEngine, func(b []byte) error {
		var reply peerReply
		if err := json.Unmarshal(b, &reply); err != nil {
			return err
		}
		if reply.Error != "" {
			return fmt.Errorf("count the copies: %s", reply.Error)
		}
		for id, h := range reply.Holdings {
			all[id] = holding{all[id].Copies + h.Copies, all[id].Behind + h.Behind}
		}
		return nil
	})
	return all, err
}

// removeEvery is the pause between two attempts to remove a node, while the cluster changes in another way.
const removeEvery = time.Second

// RemoveMember takes a node, given by name or id, out of the cluster for good. What it had is copied to other nodes,
// which goes on after the return. It refuses a node that lives, and fails with fault.NotFound when there is no such one.
func (e *Engine) RemoveMember(ctx context.Context, node string) (Member, error) {
	all, err := e.Members(ctx)
	if err != nil {
		return Member{}, err
	}
	i := slices.IndexFunc(all, func(m Member) bool { return m.ID == node || m.Name == node || m.ID == peerID(node) })
	switch {
	case i < 0:
		return Member{}, fault.New(fault.NotFound, "The cluster has no node %q.", node).WithFix("See: parley node list")
	case all[i].Alive:
		return Member{}, fault.New(fault.Usage, "The node %q still runs.", node).
			WithFix("Stop it first, and wait until parley node list says that it is down. It takes up to 12 seconds to be noticed.")
	}
	return all[i], e.removePeer(ctx, all[i].ID)
}

// removePeer asks the leader of the cluster to remove a node, and waits until it has.
func (e *Engine) removePeer(ctx context.Context, id string) error {
	request, err := json.Marshal(server.JSApiMetaServerRemoveRequest{Peer: id})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*requestTimeout)
	defer cancel()
	for {
		var reply server.JSApiMetaServerRemoveResponse
		if err := e.system.request(ctx, server.JSApiRemoveServer, request, &reply); err != nil {
			return err
		}
		if reply.Error == nil || reply.Error.ErrCode == uint16(server.JSClusterServerNotMemberErr) {
			return nil
		}
		err := fmt.Errorf("remove %s: %s", id, reply.Error.Description)
		if reply.Error.ErrCode != uint16(server.JSClusterServerMemberChangeInflightErr) {
			return fault.Wrap(fault.Unavailable, err, "The node could not be removed now.")
		}
		select {
		case <-ctx.Done():
			return fault.Wrap(fault.Unavailable, err, "The node could not be removed: the cluster is just changing.")
		case <-time.After(removeEvery):
		}
	}
}
