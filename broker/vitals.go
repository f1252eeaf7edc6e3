package broker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"parley/internal/fault"
)

// vitals is what external servers say of themselves when they are asked, which is once a second.
type vitals struct {
	nc    *nats.Conn
	inbox string

	mu   sync.Mutex
	last map[string]vital // by the server's id, which is another one after a restart; guarded by mu
	news chan struct{}    // holds one value after an answer
}

// vital is one server's last answer.
type vital struct {
	id, name   string
	heard      time.Time
	routes     int
	maxPayload int
	storing    bool   // it has JetStream
	syncs      bool   // and syncs every write
	clustered  bool   // and is one of several
	cluster    int    // which are so many
	leader     string // and led by this one
}

const (
	// silentFor is how long a server may give no answer before it counts as gone.
	silentFor = 3 * watchEvery
	// othersWithin is how long the first server to answer waits for the rest of its cluster.
	othersWithin = 3 * time.Second
)

func listenForVitals(nc *nats.Conn) (*vitals, error) {
	v := &vitals{nc: nc, inbox: nc.NewInbox(), last: map[string]vital{}, news: make(chan struct{}, 1)}
	_, err := nc.Subscribe(v.inbox, func(m *nats.Msg) { v.hear(m.Data, time.Now()) }) // ends with the connection
	if err != nil {
		return nil, fmt.Errorf("listen to the NATS servers: %w", err)
	}
	return v, nil
}

// ask has all servers answer. A question that is lost is asked again soon.
func (v *vitals) ask() { _ = v.nc.PublishRequest("$SYS.REQ.SERVER.PING.VARZ", v.inbox, nil) }

// varz is the part of a server's answer that matters here.
type varz struct {
	Data *struct {
		ID         string `json:"server_id"`
		Name       string `json:"server_name"`
		MaxPayload int    `json:"max_payload"`
		Routes     int    `json:"routes"`
		JetStream  struct {
			Config *struct {
				SyncAlways bool `json:"sync_always"`
			} `json:"config"` // nil without JetStream
			Meta *struct {
				Leader string `json:"leader"`
				Size   int    `json:"cluster_size"`
			} `json:"meta"` // nil of a server that is alone
		} `json:"jetstream"`
	} `json:"data"`
}

// hear takes an answer. One that can't be read is none: the server then counts as gone.
func (v *vitals) hear(data []byte, now time.Time) {
	var answer varz
	if json.Unmarshal(data, &answer) != nil || answer.Data == nil {
		return
	}
	d := answer.Data
	one := vital{id: d.ID, name: d.Name, heard: now, routes: d.Routes, maxPayload: d.MaxPayload}
	if js := d.JetStream; js.Config != nil {
		one.storing, one.syncs = true, js.Config.SyncAlways
		if js.Meta != nil {
			one.clustered, one.leader, one.cluster = true, js.Meta.Leader, js.Meta.Size
		}
	}
	v.mu.Lock()
	v.last[d.ID] = one
	v.mu.Unlock()
	select {
	case v.news <- struct{}{}:
	default:
	}
}

// settle asks until all is well and every server of the cluster has answered, or those that have are enough. What only an
// operator can change is not waited for.
func (v *vitals) settle(ctx context.Context) error {
	tick := time.NewTicker(2 * retryEvery)
	defer tick.Stop()
	var since time.Time
	for {
		v.ask()
		select {
		case <-ctx.Done():
			return v.judge()
		case <-v.news:
		case <-tick.C:
		}
		err := v.judge()
		if misconfigured(err) {
			return err
		}
		if err != nil {
			since = time.Time{}
			continue
		}
		if since.IsZero() {
			since = time.Now()
		}
		if v.whole() || time.Since(since) > othersWithin {
			return nil
		}
	}
}

// watch asks once a second until ctx ends, tells what to think of the answers, and when connections between the servers
// may have broken: what was published meanwhile has not come through them. Again a moment later, because the servers learn
// one by one who listens to what.
func (v *vitals) watch(ctx context.Context, report func(error), lost func()) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	before, again := v.links(), false
	for {
		v.ask()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		v.forget(time.Now().Add(-silentFor))
		report(v.judge())
		now := v.links()
		changed := now != before
		if changed || again {
			lost()
		}
		before, again = now, changed
	}
}

// forget drops servers that have not answered since then.
func (v *vitals) forget(then time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for id, one := range v.last {
		if one.heard.Before(then) {
			delete(v.last, id)
		}
	}
}

func (v *vitals) all() []vital {
	v.mu.Lock()
	defer v.mu.Unlock()
	all := make([]vital, 0, len(v.last))
	for _, one := range v.last {
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b vital) int { return cmp.Compare(a.name, b.name) })
	return all
}

// size counts the servers, not who uses them.
func (v *vitals) size() (n size) {
	for _, one := range v.all() {
		n.servers++
		if one.storing {
			n.storing++
		}
	}
	return n
}

// whole reports whether every server has answered that stores for the cluster.
func (v *vitals) whole() bool {
	storing, cluster := 0, 0
	for _, one := range v.all() {
		if one.storing {
			storing++
			cluster = max(cluster, one.cluster)
		}
	}
	return storing >= cluster
}

// links identifies the connections between the servers, and who leads them.
func (v *vitals) links() string {
	var b strings.Builder
	for _, one := range v.all() {
		fmt.Fprintf(&b, "%s %d %s\n", one.name, one.routes, one.leader)
	}
	return b.String()
}

func (v *vitals) judge() error { return judge(v.all()) }

// judge returns nil when what the servers confirm can be relied on, and there are enough of them to confirm anything.
func judge(all []vital) error {
	storing, led := false, false
	for _, one := range all {
		switch {
		case one.maxPayload < maxPayload:
			return misconfiguration("takes messages of %d bytes at most; the broker's have up to %d (max_payload)", one, one.maxPayload, maxPayload)
		case one.storing && !one.syncs:
			return misconfiguration("confirms messages before they are on disk, so that the broker's ACK would promise too much (jetstream sync_interval must be always)", one)
		}
		storing = storing || one.storing
		led = led || one.storing && (!one.clustered || one.leader != "")
	}
	switch {
	case len(all) == 0:
		return fault.New(fault.Unavailable, "The NATS servers do not answer.")
	case !storing:
		return misconfiguration("has no JetStream", all[0])
	case !led:
		return fault.New(fault.Unavailable, "Nobody leads the NATS servers: too few of them can be reached.")
	}
	return nil
}

// misconfiguredError is what only an operator of the servers can change.
type misconfiguredError struct{}

func (misconfiguredError) Error() string {
	return "a NATS server is not configured as the broker needs it"
}

func misconfigured(err error) bool { return errors.Is(err, misconfiguredError{}) }

func misconfiguration(what string, one vital, args ...any) error {
	return fault.Wrap(fault.Unavailable, misconfiguredError{}, "The NATS server %s "+what+".", append([]any{one.name}, args...)...).WithFix(fixConfig)
}
