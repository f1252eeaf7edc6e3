package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"parley/internal/fault"
)

// ListenOff as Config.Listen keeps NATS inside the process: no service can connect.
const ListenOff = "off"

// Config says where an Engine lives and what it may use. DataDir is required; the rest has defaults.
type Config struct {
	DataDir    string        // everything that must survive a restart
	ServerName string        // names this node. Defaults to one that is made at the first start and stays with DataDir.
	Listen     string        // where services connect, host:port; port 0 picks one. Defaults to 127.0.0.1:4222; ListenOff for nowhere.
	Retention  time.Duration // how long messages are kept. Defaults to 7 days.
	Dedupe     time.Duration // how long a message id is remembered. Defaults to 2 minutes.

	SessionRetention time.Duration // how long what was said in a session is kept. Defaults to 90 days.

	IdleClose   time.Duration // how long an unused tenant connection stays open. Defaults to 5 minutes.
	MinFree     uint64        // free bytes on the disk under which nothing more is stored. Defaults to 64 MiB.
	OpenWithin  time.Duration // how long a start may wait for the streams of tenants that nobody uses yet. Defaults to 2 seconds; negative for not at all.
	ReadyWithin time.Duration // how long the server may take to recover its store, and a cluster to agree. Defaults to 60 seconds.
	SeedFile    string        // the operator's seed, from another node of the cluster. Needed at the first start only.
	Cluster     Cluster       // Zero means a broker of one node.
	External    External      // Zero means an embedded server. With it, Listen, MinFree and Cluster have no meaning.
}

func (c Config) withDefaults() Config {
	c.Listen = cmp.Or(c.Listen, "127.0.0.1:4222")
	c.Retention = cmp.Or(c.Retention, 7*24*time.Hour)
	c.Dedupe = cmp.Or(c.Dedupe, 2*time.Minute)
	c.SessionRetention = cmp.Or(c.SessionRetention, 90*24*time.Hour)
	c.IdleClose = cmp.Or(c.IdleClose, 5*time.Minute)
	c.MinFree = cmp.Or(c.MinFree, 64<<20)
	c.OpenWithin = cmp.Or(c.OpenWithin, 2*time.Second)
	c.ReadyWithin = cmp.Or(c.ReadyWithin, time.Minute)
	return c
}

// Engine is NATS as one node sees it: the servers, embedded or external, with its accounts and connections. Close ends it.
type Engine struct {
	cfg     Config
	log     *slog.Logger
	dir     *dataDir
	id      *identity
	servers servers
	server  *server.Server // the embedded one; nil with external ones
	opener  *opener        // of its accounts; nil with external ones and in a cluster
	system  *systemConn
	nodes   *nodes
	gate    *routeGate
	home    *Conn // the broker's own account, held open for as long as the engine

	conns    connTable
	ages     historyAges
	copyings copyings

	state  atomic.Pointer[error] // why nothing can be stored now; nil inside means all is well
	failed chan error            // the first failure that only a restart mends

	minFree atomic.Uint64 // Config.MinFree

	stop context.CancelFunc
	done sync.WaitGroup
}

// Open starts the engine on cfg.DataDir, which it locks. Errors are fault errors that an operator can act on: the port
// or the directory is in use, can't be written or is damaged.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (_ *Engine, err error) {
	cfg = cfg.withDefaults()
	dir, err := openDataDir(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	e := &Engine{cfg: cfg, log: log, dir: dir, failed: make(chan error, 1)}
	e.minFree.Store(cfg.MinFree)
	e.conns.open, e.conns.barred = map[AccountID]*Conn{}, map[AccountID]bool{}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close())
		}
	}()
	e.servers = e.chooseServers()
	if e.id, err = openIdentity(dir, cfg.SeedFile, len(cfg.External.URLs) > 0); err != nil {
		return nil, err
	}
	if e.cfg.ServerName, err = dir.name(cfg.ServerName); err != nil {
		return nil, err
	}
	if err := e.openGate(); err != nil {
		return nil, err
	}
	nc, err := e.servers.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to the system account: %w", err)
	}
	e.system = &systemConn{nc: nc}
	if err := e.answerPeers(); err != nil {
		return nil, fmt.Errorf("listen to the other nodes: %w", err)
	}
	if e.home, err = e.Acquire(ctx, brokerAccount); err != nil {
		return nil, err
	}
	if err := e.awaitCluster(ctx); err != nil {
		return nil, err
	}
	if err := e.joinNodes(ctx); err != nil {
		return nil, err
	}
	if e.cfg.Cluster.Name != "" && e.gate.id() == "" {
		if err := e.gate.learn(ctx); err != nil {
			return nil, fmt.Errorf("learn which cluster this is: %w", err)
		}
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	e.stop = stop
	e.done.Go(func() { e.servers.watch(background) })
	e.done.Go(func() { e.closeIdle(background) })
	e.done.Go(func() { e.keepNodes(background) })
	if e.Clustered() {
		e.done.Go(func() { e.keepGrowing(background) })
	}
	return e, nil
}

// Close ends all connections and the server, waits for both, and releases the data directory. Messages that were
// stored are on disk when it returns.
func (e *Engine) Close() error {
	if e.stop != nil {
		e.stop()
	}
	e.done.Wait()
	e.conns.closeAll()
	if e.system != nil {
		e.system.close()
	}
	return errors.Join(e.servers.close(), e.dir.close())
}

// Sync makes everything that was stored before the call survive a power cut. An error means that the disk can no
// longer be trusted: the engine has failed and nothing of this round may be acknowledged. In a cluster, and with external
// servers, it has nothing to do: what a stream confirms there is on the disks of a majority of its servers.
func (e *Engine) Sync() error {
	if err := e.servers.sync(); err != nil {
		err = fmt.Errorf("sync the store: %w", err)
		e.fail(err)
		return err
	}
	return nil
}

// Failed delivers the first failure that the engine can't mend by itself. The process should then stop and be started
// again: what was acknowledged is on disk.
func (e *Engine) Failed() <-chan error { return e.failed }

// ServicesURL is where NATS clients connect, or "" when the engine does not listen. Of several servers it is all their
// URLs, with commas.
func (e *Engine) ServicesURL() string { return e.servers.url() }

// NodeName is what this node is called, today and after a restart.
func (e *Engine) NodeName() string { return e.cfg.ServerName }

// Bucket opens, and at first use creates, a key-value bucket in the broker's own account, which no tenant can reach.
func (e *Engine) Bucket(ctx context.Context, cfg jetstream.KeyValueConfig) (jetstream.KeyValue, error) {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.ReadyWithin)
	defer cancel()
	if !e.servers.leads() {
		// All nodes open it at the same time. If all were to make it, the answer would go to one of them only.
		if err := e.awaitBucket(ctx, cfg.Bucket); err != nil {
			return nil, err
		}
	}
	if err := e.persist(ctx, func(ctx context.Context) error { return e.home.makeErasable(ctx, cfg) }); err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", cfg.Bucket, err)
	}
	return e.home.openBucket(ctx, cfg)
}

// Losses delivers a value whenever a watch on a bucket of the broker's own may have missed something. A watch mends itself
// in time; who is in a hurry begins it anew.
func (e *Engine) Losses() (losses <-chan struct{}, stop func()) { return e.home.Losses() }

// splitAddress splits host:port into what the server's options want.
func splitAddress(what, address string) (host string, port int, err error) {
	addr, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return "", 0, fault.Wrap(fault.Usage, err, "The %s address %q is not host:port.", what, address)
	}
	host = "0.0.0.0"
	if addr.IP != nil {
		host = addr.IP.String()
	}
	if addr.Port == 0 {
		return host, server.RANDOM_PORT, nil
	}
	return host, addr.Port, nil
}
