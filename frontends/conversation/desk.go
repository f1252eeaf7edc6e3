package conversation

import (
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"parley/frontends/door"
	"parley/frontends/ws"
	"parley/internal/fault"
	"parley/internal/trace"
	"parley/quota"
	"parley/sessions"
	"parley/tenants"
)

// Terms returns what counts for the connections of a dialect of chat while its tenant's limits say nothing else.
func Terms(dialect string) quota.Dialect {
	return quota.Dialect{Name: dialect, PerSecond: 100, Burst: 2, Subscriptions: 100}
}

// Client is the dialect's side of one connection. Its methods are called one at a time, by the goroutine that the connection
// is at, but Lost and Expiring.
type Client interface {
	// Open is called first, when the client sees its connection open. An error ends the connection with TryLater.
	Open(*Socket) error

	// Handle carries out one frame: a text message within the size limit, valid UTF-8 and not above the rate. The text is
	// valid until Handle returns. It may wait for the disk, and for nobody else. An error is answered with Refusal.
	Handle(text []byte) error

	// Refusal returns the dialect's answer to a frame that was not carried out. text is the frame as far as it could be
	// read, and may be nothing, cut off, or no JSON at all.
	Refusal(text []byte, err error) []byte

	// Expiring returns the dialect's frame for a client that has asked to be told before its token ends. It may be called
	// at any time, by any goroutine.
	Expiring(at time.Time) []byte

	// Lost says that a session is not followed any more, because it was deleted or can't be read. It is called by the
	// session's goroutine and must not wait.
	Lost(session string, err error)

	// Close is called last, also after an Open that failed.
	Close()
}

// Verifier proves who somebody is. It is called by many goroutines. The tenants' registry is one.
type Verifier interface {
	Verify(ctx context.Context, token string) (*tenants.Grant, error)
	VerifyAPIKey(text string) (*tenants.Grant, error)
}

// Desk serves the sockets of all dialects of chat. Its methods may be called concurrently.
type Desk struct {
	door     *door.Door
	hub      *sessions.Hub
	tokens   Verifier
	life     context.Context // ends when the process does
	log      *slog.Logger
	draining atomic.Bool
	cutOff   *cutOff
	traced   bool // frames may name the trace that they belong to
}

// New returns a Desk over these parts, which stay the caller's. life bounds what connections wait for; traced says that
// frames are looked through for the traces that they belong to.
func New(life context.Context, in *door.Door, hub *sessions.Hub, tokens Verifier, traced bool, log *slog.Logger) *Desk {
	return &Desk{door: in, hub: hub, tokens: tokens, life: life, log: log, cutOff: newCutOff(), traced: traced}
}

// Drain makes the Desk refuse new connections and new frames with fault.Draining.
func (d *Desk) Drain() { d.draining.Store(true) }

// Hub returns the sessions that the Desk's sockets follow.
func (d *Desk) Hub() *sessions.Hub { return d.hub }

// lookup bounds what a frame may wait for.
const lookup = 10 * time.Second

// Patience returns a context for what one frame or one connection attempt may wait for.
func (d *Desk) Patience() (context.Context, context.CancelFunc) {
	return context.WithTimeout(d.life, lookup)
}

// Serve makes a WebSocket connection of the request and serves it until it ends; it returns meanwhile, and keeps neither w
// nor r. A request that can't be upgraded is a fault, not answered yet, and the Client is not called. g is what the client
// has proved, nil when it has yet to do so on the open connection: then that is where it is told that there are too many.
func (d *Desk) Serve(w http.ResponseWriter, r *http.Request, as *quota.Dialect, g *tenants.Grant, client Client) (err error) {
	if d.draining.Load() {
		return errDraining
	}
	s := &Socket{
		desk: d, client: client, dialect: as, address: d.door.Address(r), origin: uuid.NewString(), places: map[string]*place{},
		warned: door.Wants(r.URL.Query(), door.WarnExpiry), meter: d.door.Strangers().Meter(as),
		handshake: trace.Parse(r.Header.Get(trace.Header)),
	}
	if g != nil {
		if s.seat, err = d.door.Reserve(g.Tenant, as, string(g.Agent), s.address); err != nil {
			return err
		}
		s.meter.Become(s.seat.Tenant())
		defer func() {
			if err != nil {
				s.seat.Leave()
			}
		}()
	}
	return d.door.Upgrade(w, r, as.Name, ws.Options{SlowReason: "slow consumer; connect again", Open: s.open, Done: s.done}, s.read)
}

var errDraining = fault.New(fault.Draining, "The broker is shutting down; nothing was done.")
