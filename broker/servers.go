package broker

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"
)

// servers are the NATS servers behind an engine: one in this process (embedded.go) or somebody else's (external.go).
// Whatever differs between the two is asked here; the rest of the package does not know which they are. The methods may
// be called concurrently once open has returned.
type servers interface {
	// open makes the servers ready and returns the first connection, to the system account.
	open(ctx context.Context) (*nats.Conn, error)
	// dial connects once more.
	dial(opts ...nats.Option) (*nats.Conn, error)
	// url is where services connect, "" for nowhere.
	url() string
	// close lets go of the servers after all connections are closed.
	close() error

	// watch keeps the engine informed of how the servers are, until ctx ends.
	watch(ctx context.Context)
	// sync makes everything that was stored before the call survive a power cut.
	sync() error
	// size is how many there are.
	size() size
	// leads reports whether this engine makes what all engines open at the same time.
	leads() bool
	// lease is how long an engine is believed to live after its last sign of life. It outlasts an election of the servers.
	lease() time.Duration
	// led returns the streams on fewer than so many servers that are this engine's to look after, and those without the live
	// copies that a cluster makes.
	led(ctx context.Context, replicas int) ([]streamOf, error)

	// accounts returns the keys of all accounts that the servers know, and whether their tokens are good.
	accounts(ctx context.Context) (map[string]bool, error)
	// token returns the token of an account.
	token(ctx context.Context, key string) (string, error)
	// conform has this engine's server take an account as it is described, if it has another idea of it.
	conform(a Account) error
	// disown deals with an account that the registry does not know; whole says that the registry is known to be complete.
	disown(ctx context.Context, key string, whole bool) error
	// sweep waits until nothing of what an account had stored is left within this engine's reach.
	sweep(ctx context.Context, key string) error
}

// size counts servers and those who use them.
type size struct {
	servers int // that answer a request to all of them
	storing int // of these, with JetStream
	engines int // that answer a request to all of them
}

// streamOf is a stream of an account.
type streamOf struct{ accountKey, stream string }

// chooseServers returns the servers that the engine is configured for.
func (e *Engine) chooseServers() servers {
	if len(e.cfg.External.URLs) > 0 {
		return &external{e: e, atOpen: map[string]bool{}}
	}
	return &embedded{e: e}
}
