package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"parley/internal/fault"
	"parley/internal/tick"
)

// Cluster makes an Engine one node of several that hold the same data. All nodes have the operator's seed of the first
// one. The zero value is a broker of one node.
type Cluster struct {
	Name   string   // the same on all nodes, a Token. "" means no cluster.
	Listen string   // where the other nodes connect, host:port; needs a fixed port.
	Reach  string   // where they reach Listen, host:port, when that is elsewhere. Zero means that it is not.
	Routes []string // where all nodes listen, this one included: nats://host:port
	Found  bool     // begin the cluster, although the operator's seed was given; for one node, at its first start only

	CertFile, KeyFile string // PEM: this node's certificate for the others, for all hosts in Routes. Zero means no TLS.
	CAFile            string // PEM: whose certificates are taken from the others
}

// maxReplicas is how many nodes hold each message. More would cost without making anything safer in practice.
const maxReplicas = 3

// Clustered reports whether there may be other nodes.
func (e *Engine) Clustered() bool { return e.cfg.Cluster.Name != "" || len(e.cfg.External.URLs) > 0 }

// clusterOptions sets what makes the server a node of the cluster.
func (e *Engine) clusterOptions(opts *server.Options) (err error) {
	cluster := e.cfg.Cluster
	if _, err := ParseToken(cluster.Name); err != nil {
		return fault.Wrap(fault.Usage, err, "The cluster's name %q is no id.", cluster.Name)
	}
	opts.Cluster.Name = cluster.Name
	if opts.Cluster.Host, opts.Cluster.Port, err = splitAddress("cluster", cluster.Listen); err != nil {
		return err
	}
	if opts.Cluster.Username, opts.Cluster.Password, err = e.gate.user(); err != nil {
		return err
	}
	opts.Cluster.Advertise = cluster.Reach
	opts.CustomRouterAuthentication = e.gate
	if opts.Cluster.TLSConfig, err = cluster.routeTLS(); err != nil {
		return err
	}
	opts.Cluster.TLSTimeout = routeTLSWithin.Seconds()
	opts.ConnectErrorReports, opts.ReconnectErrorReports = reportEvery, reportEvery
	opts.Routes, err = parseRoutes(cluster.Routes, url.UserPassword(opts.Cluster.Username, opts.Cluster.Password))
	setRaftTimers()
	return err
}

// routeTLSWithin bounds the handshake of two nodes.
const routeTLSWithin = 5 * time.Second

// reportEvery is how many failed attempts to reach a node, one a second, are logged once.
const reportEvery = 60

// parseRoutes returns the addresses of the nodes as the server wants them, each with the credentials of the cluster.
func parseRoutes(routes []string, user *url.Userinfo) ([]*url.URL, error) {
	var all []*url.URL
	for _, r := range routes {
		if !strings.Contains(r, "://") {
			r = "nats://" + r
		}
		u, err := url.Parse(r)
		if err == nil {
			_, _, err = net.SplitHostPort(u.Host)
		}
		if err != nil || u.Scheme != "nats" || u.User != nil {
			return nil, fault.Wrap(fault.Usage, err, "The route %q is not nats://host:port.", r)
		}
		all = append(all, &url.URL{Scheme: u.Scheme, Host: u.Host, User: user})
	}
	if len(all) == 0 {
		return nil, fault.New(fault.Usage, "The cluster has no routes.").
			WithFix("Name the cluster addresses of all nodes with --routes, the same list on each.")
	}
	return all, nil
}

// awaitCluster waits until enough nodes are there to agree on something.
func (e *Engine) awaitCluster(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.ReadyWithin)
	defer cancel()
	err := e.persist(ctx, func(ctx context.Context) error {
		if !e.Clustered() {
			return nil
		}
		if err := e.gate.verdict(); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, attemptWithin)
		defer cancel()
		_, err := e.home.js.AccountInfo(ctx)
		return err
	})
	if refusal := e.gate.reason(); err != nil && refusal != nil {
		return refusal
	}
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "The cluster was not ready within %s: fewer than half of its nodes can be reached.", e.cfg.ReadyWithin).
			WithFix("See that the other nodes run, that --routes names all of them, and that all have the same operator's seed.")
	}
	return nil
}

const (
	// attemptWithin bounds one question to a leader: while there is none, nobody answers.
	attemptWithin = 500 * time.Millisecond
	// makeWithin bounds one attempt to make something. When two nodes make the same at the same time only one of them is
	// answered; the other one finds it at the second attempt.
	makeWithin = 2 * time.Second
	// retryEvery is the pause after an answer that will be another one soon.
	retryEvery = 50 * time.Millisecond
)

// persist calls f until it succeeds or fails for good. In a cluster much fails for a moment: there is no leader yet, or
// another node is just making what this one wants to open. Alone, nothing does.
func (e *Engine) persist(ctx context.Context, f func(context.Context) error) error {
	return e.repeat(ctx, makeWithin, f)
}

// Insist calls f until it succeeds or fails for good, for 5 seconds at most and half a second each time. It is for
// questions to the leader of a stream, which are lost while there is none. Alone, f is called once.
func (c *Conn) Insist(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return c.engine.repeat(ctx, attemptWithin, f)
}

func (e *Engine) repeat(ctx context.Context, within time.Duration, f func(context.Context) error) error {
	if !e.Clustered() {
		return f(ctx)
	}
	var introduced time.Time
	for {
		attempt, end := context.WithTimeout(ctx, within)
		err := f(attempt)
		end()
		if err == nil || !passing(err) {
			return err
		}
		if tooFewPeers(err) && time.Since(introduced) >= introduceEvery {
			introduced = time.Now()
			if err := e.introduce(); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(retryEvery):
		}
	}
}

// introduceEvery is the pause between two introductions.
const introduceEvery = time.Second

// introduce has all servers tell each other now what they can store. They do so by themselves every ten seconds and a few
// times after their start, and until the cluster's leader has heard of one it puts no stream there.
func (e *Engine) introduce() error {
	return e.system.nc.Publish("$SYS.REQ.SERVER.PING.STATSZ", nil) // without a subject for answers, which then go to everybody
}

// tooFewPeers reports whether too few nodes are there for the copies that are wanted, as far as the leader has heard.
func tooFewPeers(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == codeNoPeers
}

// passing reports whether an error is one of a cluster that has no leader, or not enough nodes, or of something that
// another node is just making.
func passing(err error) bool {
	var api *jetstream.APIError
	if errors.As(err, &api) && (api.Code == 503 || api.ErrorCode == codeNoPeers || api.ErrorCode == codeNoStore) {
		return true
	}
	for _, moment := range []error{
		context.DeadlineExceeded, nats.ErrNoResponders, jetstream.ErrNoStreamResponse, jetstream.ErrJetStreamNotEnabled,
		jetstream.ErrBucketNotFound, jetstream.ErrStreamNotFound,
	} {
		if errors.Is(err, moment) {
			return true
		}
	}
	return false
}

// awaitBucket gives the node that leads the cluster some time to make a bucket of the broker's own.
func (e *Engine) awaitBucket(ctx context.Context, name string) error {
	patience, cancel := context.WithTimeout(ctx, leaderFirst)
	defer cancel()
	_ = e.persist(patience, func(ctx context.Context) error { // what fails here fails again when it is opened
		_, err := e.home.js.KeyValue(ctx, name)
		return err
	})
	return ctx.Err()
}

// leaderFirst is how long the other nodes wait for the one that leads them.
const leaderFirst = 2 * time.Second

// codeNoStore is what a lone server answers to the second of two brokers that make the same stream at the same moment.
const codeNoStore = 10049

// codeNoPeers is the server's answer when too few nodes are there for the copies that are wanted.
const codeNoPeers = 10005

// replicas is how many nodes a stream is to be on, as many nodes as there are now.
func (e *Engine) replicas() int {
	if !e.Clustered() {
		return 1
	}
	return min(max(e.servers.size().storing, 1), maxReplicas)
}

// nodeCount is how many nodes can be reached now, this one included.
func (e *Engine) nodeCount() int { return e.server.NumRemotes() + 1 }

// watchRoutes looks for changes in how the nodes are connected. What was published while a connection was down has not
// come through it, so that everybody has to look for what was missed; again a moment later, because the nodes learn one
// by one who listens to what.
func (e *Engine) watchRoutes(ctx context.Context) {
	before, again := e.routes(), false
	for range tick.Every(ctx, watchEvery) {
		now := e.routes()
		changed := now != before
		if changed || again {
			e.conns.lost()
		}
		before, again = now, changed
	}
}

// routes identifies the connections to other nodes.
func (e *Engine) routes() string {
	all, err := e.server.Routez(nil)
	if err != nil {
		return "" // never: there are no options that could be wrong
	}
	var b strings.Builder
	for _, r := range all.Routes {
		fmt.Fprintf(&b, "%d ", r.Rid)
	}
	return b.String()
}

// lost tells the users of all connections that messages may have been missed.
func (t *connTable) lost() {
	t.mu.Lock()
	all := make([]*Conn, 0, len(t.open))
	for _, c := range t.open {
		all = append(all, c)
	}
	t.mu.Unlock()
	for _, c := range all {
		c.lost()
	}
}
