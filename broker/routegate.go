package broker

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/google/uuid"
	"github.com/nats-io/nats-server/v2/server"

	"parley/internal/fault"
)

// routeGate says which nodes may connect. All that have the operator's seed may, unless they belong to a cluster that
// another node has founded: two such clusters must not meet, since each has streams that the other does not know and
// would remove. A node proves which cluster it belongs to by its user name and the password that goes with it; one that
// joins does not know yet, and takes over what the first member says that connects to it (docs/adr/0006).
type routeGate struct {
	e    *Engine
	file string // where the cluster's id is kept

	mu      sync.Mutex
	cluster string // the id of the cluster; "" until it is known; guarded by mu
	new     bool   // this is the node's first start in the cluster; guarded by mu
	refusal error  // why this node can't be a part of its cluster; guarded by mu
}

var _ server.Authentication = (*routeGate)(nil)

// routeUser is who joins. Members append a dot and the id of their cluster.
const routeUser = "parley"

// openGate reads which cluster the data directory belongs to.
func (e *Engine) openGate() error {
	e.gate = &routeGate{e: e, file: filepath.Join(e.dir.path, "cluster.id")}
	b, err := os.ReadFile(e.gate.file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return unusable(e.dir.path, err)
	}
	e.gate.cluster = strings.TrimSpace(string(b))
	return nil
}

// found makes the id of a cluster that this node founds.
func (g *routeGate) found() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cluster != "" { // a crash has cut the first start short
		return nil
	}
	return g.join(uuid.NewString()[:8])
}

// join notes which cluster this node belongs to. Under mu.
func (g *routeGate) join(cluster string) error {
	if err := writeSecret(g.file, []byte(cluster+"\n")); err != nil {
		return unusable(g.e.dir.path, err)
	}
	g.cluster = cluster
	return nil
}

// user is how this node connects to others.
func (g *routeGate) user() (name, password string, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	name = routeUser
	if g.cluster != "" {
		name += "." + g.cluster
	}
	password, err = g.e.id.routeSecret(name)
	return name, password, err
}

// Check implements server.Authentication for nodes that connect.
func (g *routeGate) Check(c server.ClientAuthentication) bool {
	user := c.GetOpts()
	password, err := g.e.id.routeSecret(user.Username)
	if err != nil || subtle.ConstantTimeCompare([]byte(password), []byte(user.Password)) != 1 {
		return false
	}
	_, cluster, member := strings.Cut(user.Username, ".")
	if !member {
		return true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cluster == "" {
		return g.join(cluster) == nil
	}
	if g.cluster != cluster {
		g.e.log.Error("A node of a cluster that another node has founded is refused.", "address", c.RemoteAddress().String())
		g.refuse(fault.New(fault.Usage, "The node at %s belongs to a cluster that another node has founded.", c.RemoteAddress()))
		return false
	}
	return true
}

// refused notes that another node did not let this one in.
func (g *routeGate) refused() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refuse(fault.New(fault.Usage, "A node of the cluster has refused this one: it has another operator's seed, or belongs to a cluster that another node has founded."))
}

// refuse keeps the first reason. Under mu.
func (g *routeGate) refuse(why *fault.Error) {
	if g.refusal == nil {
		g.refusal = why.WithFix("Only one node founds a cluster. Start the others with an empty data directory, with --operator-seed-file and without --cluster-found.")
	}
}

// verdict returns why a node that starts for the first time can't be a part of its cluster. One that was a part before
// goes on: the mistake is another node's.
func (g *routeGate) verdict() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.new {
		return nil
	}
	return g.refusal
}

// reason returns why this node may find nobody.
func (g *routeGate) reason() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.refusal
}

// learn asks the other nodes which cluster this is, if none of them has said so by connecting.
func (g *routeGate) learn(ctx context.Context) error {
	request, err := json.Marshal(peerRequest{Do: tellCluster})
	if err != nil {
		return err
	}
	everyEngine := func() int { return g.e.servers.size().engines }
	return g.e.gather(ctx, g.e.system.nc, peerSubject, request, everyEngine, func(b []byte) error {
		var reply peerReply
		if err := json.Unmarshal(b, &reply); err != nil {
			return err
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.cluster != "" || reply.Cluster == "" {
			return nil
		}
		return g.join(reply.Cluster)
	})
}

// id returns the id of the cluster, "" while it is not known.
func (g *routeGate) id() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.cluster
}
