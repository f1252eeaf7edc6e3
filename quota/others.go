package quota

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"parley/broker"
	"parley/tenants"
)

// Peers are the other nodes. Tell must not wait; Hear calls f from one goroutine until stop. A broker.Engine is one.
type Peers interface {
	Clustered() bool
	Tell(topic broker.Token, data []byte) error
	Hear(topic broker.Token, f func(from broker.Token, data []byte)) (stop func(), err error)
	OnNodeLost(f func(broker.Token))
}

var _ Peers = (*broker.Engine)(nil)

const (
	topic = "quota"
	// tellEvery is how often a node says what has changed: how far its count may be behind elsewhere.
	tellEvery = 200 * time.Millisecond
	// tellAllEvery is how often it says everything, which mends what was lost on the way.
	tellAllEvery = 10 * time.Second
	// atOnce bounds the numbers in one report.
	atOnce = 1000
)

// others is what the other nodes have said, and what is to be said to them.
type others struct {
	mu       sync.Mutex
	nodes    map[broker.Token]map[place]said // guarded by mu
	news     map[place]int                   // guarded by mu; what has changed since the last report; nil on a node that is alone
	all      map[place]int                   // guarded by mu; what this node has; nil on a node that is alone
	stranger bool                            // guarded by mu; a node was heard that may not know anything yet
}

// place is one number that nodes add up.
type place struct {
	tenant tenants.ID
	key    Key
}

// said is a number with the round in which it was said last.
type said struct {
	n     int
	round uint64
}

// report is what a node tells the others.
type report struct {
	Round   uint64   `json:"round"`
	Whole   bool     `json:"whole,omitempty"` // what was not said in this round is 0
	Numbers []number `json:"numbers,omitempty"`
}

type number struct {
	Tenant tenants.ID `json:"t"`
	Kind   Kind       `json:"k"`
	Name   string     `json:"s,omitempty"`
	N      int        `json:"n"`
}

// join makes what this node counts known to the others from now on.
func (o *others) join() {
	o.nodes, o.news, o.all = map[broker.Token]map[place]said{}, map[place]int{}, map[place]int{}
}

// count returns what the other nodes have of a place.
func (o *others) count(t tenants.ID, k Key) (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, has := range o.nodes {
		n += has[place{t, k}].n
	}
	return n
}

// changed notes what this node has of a place now.
func (o *others) changed(t tenants.ID, k Key, n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.all == nil {
		return
	}
	p := place{t, k}
	o.news[p] = n
	if n > 0 {
		o.all[p] = n
	} else {
		delete(o.all, p)
	}
}

// hear takes a report.
func (o *others) hear(from broker.Token, r report) {
	o.mu.Lock()
	defer o.mu.Unlock()
	has := o.nodes[from]
	if has == nil {
		has = map[place]said{}
		o.nodes[from] = has
		o.stranger = true
	}
	for _, n := range r.Numbers {
		p := place{n.Tenant, Key{n.Kind, n.Name}}
		if n.N > 0 {
			has[p] = said{n.N, r.Round}
		} else {
			delete(has, p)
		}
	}
	if r.Whole {
		for p, s := range has {
			if s.round < r.Round {
				delete(has, p)
			}
		}
	}
}

// lose forgets a node that has died or left.
func (o *others) lose(node broker.Token) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.nodes, node)
}

// reports returns what is to be told: all of it, or what has changed.
func (o *others) reports(round uint64, whole bool) (all []report) {
	o.mu.Lock()
	defer o.mu.Unlock()
	tell := o.news
	if whole {
		tell, o.stranger = o.all, false
	}
	var numbers []number
	for p, n := range tell {
		numbers = append(numbers, number{p.tenant, p.key.Kind, p.key.Name, n})
	}
	clear(o.news)
	for len(numbers) > atOnce {
		all = append(all, report{Round: round, Numbers: numbers[:atOnce]})
		numbers = numbers[atOnce:]
	}
	if whole || len(numbers) > 0 {
		all = append(all, report{round, whole, numbers})
	}
	return all
}

// met reports whether a node was heard for the first time since everything was told.
func (o *others) met() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.stranger
}

// Run tells the other nodes what this one counts, and hears them, until ctx ends.
func (b *Book) Run(ctx context.Context) error {
	if b.others.all == nil {
		<-ctx.Done()
		return nil
	}
	stop, err := b.peers.Hear(topic, func(from broker.Token, data []byte) {
		var r report
		if json.Unmarshal(data, &r) == nil { // else it is of a version that this one does not know
			b.others.hear(from, r)
		}
	})
	if err != nil {
		return err
	}
	defer stop()
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	var told time.Time
	for round := uint64(0); ; {
		whole := time.Since(told) >= tellAllEvery || b.others.met()
		if whole {
			round++
			told = time.Now()
		}
		b.tell(b.others.reports(round, whole))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (b *Book) tell(all []report) {
	for _, r := range all {
		data, err := json.Marshal(r)
		if err == nil {
			err = b.peers.Tell(topic, data)
		}
		if err != nil {
			b.log.Debug("the other nodes could not be told what is counted here", "err", err) // the next round mends it
		}
	}
}
