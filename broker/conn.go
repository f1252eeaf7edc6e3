package broker

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"parley/internal/fault"
	"parley/internal/tick"
)

// Conn is this node's one connection to a tenant's account, shared by all who acquired it. It is opened at the first
// Acquire and closed some time after the last Release.
type Conn struct {
	id     AccountID
	engine *Engine

	copying *copying // of the account

	ready chan struct{} // closed when the dial has ended; the fields below are set before
	err   error
	key   string // of the account
	nc    *nats.Conn
	js    jetstream.JetStream
	mark  string        // see bucketName
	ended chan struct{} // closed after nc's last callback

	table *connTable
	refs  int       // guarded by table.mu
	idle  time.Time // when refs last became 0; guarded by table.mu

	mu      sync.Mutex
	streams map[string]bool       // ensured on this connection; guarded by mu
	onLoss  []*func()             // guarded by mu
	lasts   map[Stream]*lastQueue // guarded by mu

	linking   sync.Mutex
	link      Link   // guarded by linking; nil until it is asked for
	closeLink func() // guarded by linking
	closed    bool   // guarded by linking
}

// connTable holds the open connections of a node.
type connTable struct {
	mu     sync.Mutex
	open   map[AccountID]*Conn // guarded by mu
	barred map[AccountID]bool  // accounts that were suspended; guarded by mu
}

// Acquire returns the node's connection to an account, dialling it when it is not open. The caller releases it. It
// fails with fault.Unavailable when the account is unknown or suspended.
func (e *Engine) Acquire(ctx context.Context, a AccountID) (*Conn, error) {
	c, first := e.conns.take(e, a)
	if c == nil {
		return nil, fault.New(fault.Unavailable, "The tenant can't be reached now.")
	}
	if first {
		c.err = c.dial(e)
		close(c.ready)
	}
	select {
	case <-c.ready:
	case <-ctx.Done():
		c.Release()
		return nil, fault.Wrap(fault.Unavailable, ctx.Err(), "The tenant can't be reached now.")
	}
	if c.err != nil {
		e.conns.forget(c)
		return nil, fault.Wrap(fault.Unavailable, c.err, "The tenant can't be reached now.")
	}
	return c, nil
}

// take returns the connection to a, and whether the caller is the one who has to dial it. It returns nil for a barred
// account: the server's refusal would block the in-process pipe for as long as its write deadline, 10 seconds.
func (t *connTable) take(e *Engine, a AccountID) (c *Conn, first bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.barred[a] {
		return nil, false
	}
	c = t.open[a]
	if c == nil {
		c = newConn(e, a, t)
		t.open[a], first = c, true
	}
	c.refs++
	return c, first
}

// newConn returns a connection that is to be dialled.
func newConn(e *Engine, a AccountID, t *connTable) *Conn {
	return &Conn{
		id: a, engine: e, copying: e.copyings.account(a), table: t,
		ready: make(chan struct{}), ended: make(chan struct{}), streams: map[string]bool{},
	}
}

// Release gives the connection back. It must be called once for each Acquire that succeeded.
func (c *Conn) Release() {
	c.table.mu.Lock()
	defer c.table.mu.Unlock()
	c.refs--
	if c.refs == 0 {
		c.idle = time.Now()
	}
}

// forget takes c out of the table, so that the next Acquire dials anew.
func (t *connTable) forget(c *Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open[c.id] == c {
		delete(t.open, c.id)
	}
}

// bar closes the connection to a, whoever still holds it, and opens no other until admit.
func (t *connTable) bar(a AccountID) {
	t.mu.Lock()
	c := t.open[a]
	delete(t.open, a)
	t.barred[a] = true
	t.mu.Unlock()
	if c != nil {
		c.close()
	}
}

func (t *connTable) admit(a AccountID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.barred, a)
}

func (t *connTable) isBarred(a AccountID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.barred[a]
}

// admitAll undoes bar for all accounts. Those that are suspended are refused by the servers as well.
func (t *connTable) admitAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.barred)
}

func (t *connTable) closeAll() {
	t.mu.Lock()
	all := t.open
	t.open = map[AccountID]*Conn{}
	t.mu.Unlock()
	for _, c := range all {
		c.close()
	}
}

// closeIdle closes connections that nobody has used for a while, until ctx ends.
func (e *Engine) closeIdle(ctx context.Context) {
	for now := range tick.Every(ctx, max(e.cfg.IdleClose/4, time.Millisecond)) {
		for _, c := range e.conns.takeIdle(now.Add(-e.cfg.IdleClose)) {
			c.close()
		}
	}
}

func (t *connTable) takeIdle(since time.Time) (idle []*Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, c := range t.open {
		if c.refs == 0 && c.idle.Before(since) {
			idle = append(idle, c)
			delete(t.open, id)
		}
	}
	return idle
}

// ActiveConns returns how many accounts this node is connected to, its own included.
func (e *Engine) ActiveConns() int {
	e.conns.mu.Lock()
	defer e.conns.mu.Unlock()
	return len(e.conns.open)
}

func (c *Conn) dial(e *Engine) error {
	secret, err := c.Secret()
	if err != nil {
		return err
	}
	c.mark = bucketMark(secret)
	nc, err := e.dial(c.id,
		nats.MaxReconnects(-1),
		nats.ReconnectWait(100*time.Millisecond),
		nats.ReconnectBufSize(-1), // what can't be sent now fails now
		nats.CustomInboxPrefix("_GW."+nats.NewInbox()[len(nats.InboxPrefix):]),
		nats.ClosedHandler(func(*nats.Conn) { close(c.ended) }),
		nats.ReconnectHandler(func(*nats.Conn) { c.lost() }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if errors.Is(err, nats.ErrSlowConsumer) {
				c.lost()
			}
		}))
	if err != nil {
		return err
	}
	c.nc = nc
	if c.key, err = e.id.accountKey(c.id); err != nil {
		nc.Close()
		return err
	}
	if c.js, err = jetstream.New(nc); err == nil && e.Clustered() {
		// What the leader before has stored at the last moment it may not have republished.
		_, err = nc.Subscribe(leaderNotices, func(*nats.Msg) { c.lost() })
	}
	if err != nil {
		nc.Close()
	}
	return err
}

// leaderNotices is where the server says that another node leads a stream of the account.
const leaderNotices = "$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED.>"

// dial opens a connection as a user of the account that is made for this connection only.
func (e *Engine) dial(a AccountID, opts ...nats.Option) (*nats.Conn, error) {
	if err := e.openAccount(a); err != nil { // the server would do so, but not wait longer than for any client
		return nil, err
	}
	user, token, err := e.newUser(a)
	if err != nil {
		return nil, err
	}
	opts = append(opts,
		nats.Name(gatewayName),
		nats.UserJWT(func() (string, error) { return token, nil }, user.Sign))
	return e.servers.dial(opts...)
}

// Dial opens a connection to an account for a part of this process that is a service like others: it shares nothing with
// the gateway's, not even where answers go. The caller closes it.
func (e *Engine) Dial(a AccountID) (*nats.Conn, error) {
	nc, err := e.dial(a, nats.MaxReconnects(-1))
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "The tenant can't be reached now.")
	}
	return nc, nil
}

// newUser returns the key of a new user of an account, and its token.
func (e *Engine) newUser(a AccountID) (key nkeys.KeyPair, token string, err error) {
	if key, err = nkeys.CreateUser(); err != nil {
		return nil, "", fmt.Errorf("create a user key: %w", err)
	}
	claims, err := userClaims(key, gatewayName)
	if err != nil {
		return nil, "", err
	}
	claims.Tags.Add(gatewayTag)
	token, err = e.id.signUser(a, claims)
	return key, token, err
}

func (c *Conn) close() {
	<-c.ready
	if c.nc == nil {
		return
	}
	c.endLink()
	c.nc.Close()
	<-c.ended
}

// NATS returns the connection itself. The caller must not close it.
func (c *Conn) NATS() *nats.Conn { return c.nc }

// Secret returns 32 bytes that belong to the account and that none of its own users can know. It is the same on every
// node and at every start.
func (c *Conn) Secret() ([]byte, error) {
	b, err := hkdf.Key(sha256.New, c.engine.id.seed, nil, "parley account secret "+string(c.id), 32)
	if err != nil {
		return nil, fmt.Errorf("derive the secret of account %s: %w", c.id, err)
	}
	return b, nil
}

// JetStream returns the JetStream context of the account.
func (c *Conn) JetStream() jetstream.JetStream { return c.js }

// OnLoss registers f to be called whenever messages may have been missed: after a reconnect, when a subscription's queue
// overflowed, and in a cluster when a node was lost or another one leads a stream. f must not block. The returned function takes f back.
func (c *Conn) OnLoss(f func()) (stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	entry := &f
	c.onLoss = append(c.onLoss, entry)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.onLoss = slices.DeleteFunc(c.onLoss, func(e *func()) bool { return e == entry })
	}
}

// Losses is OnLoss as a channel that holds one value when something may have been missed since it was last read.
func (c *Conn) Losses() (losses <-chan struct{}, stop func()) {
	signal := make(chan struct{}, 1)
	return signal, c.OnLoss(func() {
		select {
		case signal <- struct{}{}:
		default:
		}
	})
}

func (c *Conn) lost() {
	c.mu.Lock()
	all := slices.Clone(c.onLoss)
	c.mu.Unlock()
	for _, f := range all {
		(*f)()
	}
}
