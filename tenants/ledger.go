package tenants

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"parley/broker"
	"parley/internal/fault"
	"parley/internal/tick"
)

const (
	// ledgerEvery is how often what was used is written down: a node that dies takes so much of it along at most.
	ledgerEvery = 15 * time.Second
	// ledgerKeeps is how long the sums of a day are kept.
	ledgerKeeps = 100 * 24 * time.Hour
	// lastEntries bounds how long a node that stops tries to write what is left.
	lastEntries = 5 * time.Second
	// dayLayout is how days are written, in UTC.
	dayLayout = time.DateOnly
)

// Ledger keeps what tenants use, summed by day, over restarts and for all nodes. Each run of a node writes sums of its own,
// so that nobody has to read before writing; they are added up when they are read. It outlives its tenants, of whom it
// knows nothing but the account. Its methods may be called concurrently.
type Ledger struct {
	bucket jetstream.KeyValue
	node   broker.Token // this run of this node
	meters *Meters
	log    *slog.Logger
	now    func() time.Time

	mu    sync.Mutex                    // held while writing, so that sums only grow
	pages map[broker.AccountID]*account // guarded by mu
}

// account is what this run has written about one tenant.
type account struct {
	day     string
	sum     Usage // of that day
	counted Usage // by the meter, when the sum was written
}

// ledgerStore is what a Ledger needs of a broker.Engine.
type ledgerStore interface {
	Bucket(ctx context.Context, cfg jetstream.KeyValueConfig) (jetstream.KeyValue, error)
}

// OpenLedger returns a Ledger that writes down what meters count, in the name of this run of this node. It needs Run.
func OpenLedger(ctx context.Context, e ledgerStore, node broker.Token, meters *Meters, log *slog.Logger) (*Ledger, error) {
	bucket, err := e.Bucket(ctx, jetstream.KeyValueConfig{
		Bucket: "usage", Description: "What tenants have used, by day, account and run of a node.", History: 1, TTL: ledgerKeeps, Storage: jetstream.FileStorage,
	})
	if err != nil {
		return nil, fmt.Errorf("open the ledger of usage: %w", err)
	}
	return &Ledger{bucket: bucket, node: node, meters: meters, log: log, now: time.Now, pages: map[broker.AccountID]*account{}}, nil
}

// Run writes until ctx ends, and then once more.
func (l *Ledger) Run(ctx context.Context) error {
	for range tick.Every(ctx, ledgerEvery) {
		if err := l.Write(ctx); err != nil && ctx.Err() == nil {
			l.log.Warn("what tenants use can't be written down now; it is tried again", "err", err)
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastEntries)
	defer cancel()
	if err := l.Write(last); err != nil {
		l.log.Warn("what tenants have used of late is lost", "err", err)
	}
	return nil
}

// Write writes down what was used since the last time. What can't be written is written with the next.
func (l *Ledger) Write(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	today := l.now().UTC().Format(dayLayout)
	for id, m := range l.meters.All() {
		if err := l.write(ctx, id, today, m.Usage()); err != nil {
			return err
		}
	}
	return nil
}

// write brings one tenant's sum up to date. mu is held.
func (l *Ledger) write(ctx context.Context, id broker.AccountID, today string, counted Usage) error {
	page := account{day: today}
	if have := l.pages[id]; have != nil {
		page = *have
	}
	if counted == page.counted {
		return nil
	}
	if page.day != today { // what was used around midnight counts for the new day
		page.day, page.sum = today, Usage{}
	}
	page.sum, page.counted = page.sum.Plus(counted.minus(page.counted)), counted
	data, err := json.Marshal(page.sum)
	if err != nil {
		return err
	}
	if _, err := l.bucket.Put(ctx, today+"."+string(id)+"."+string(l.node), data); err != nil {
		return fault.Wrap(fault.Unavailable, err, "The ledger of usage can't be written now.")
	}
	l.pages[id] = &page
	return nil
}

// Entry is what one account has used on one day, on all nodes.
type Entry struct {
	Day     string // 2006-01-02, in UTC
	Account broker.AccountID
	Usage
}

// Read returns what was used on the days from and until, both included, by day and account; only that of one account
// unless it is empty. It has all that this node has counted; what other nodes have counted in the last 15 seconds may be
// missing.
func (l *Ledger) Read(ctx context.Context, from, until time.Time, only broker.AccountID) ([]Entry, error) {
	if err := l.Write(ctx); err != nil {
		return nil, err
	}
	first, last := from.UTC().Format(dayLayout), until.UTC().Format(dayLayout)
	day, who := "*", "*"
	if first == last {
		day = first
	}
	if only != "" {
		who = string(only)
	}
	sums := map[Entry]Usage{} // by day and account
	err := broker.Present(ctx, l.bucket, day+"."+who+".*", func(e jetstream.KeyValueEntry) {
		parts := strings.SplitN(e.Key(), ".", 3)
		var u Usage
		if len(parts) != 3 || parts[0] < first || parts[0] > last || json.Unmarshal(e.Value(), &u) != nil {
			return // nobody but a Ledger writes here
		}
		key := Entry{Day: parts[0], Account: broker.AccountID(parts[1])}
		sums[key] = sums[key].Plus(u)
	})
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "The ledger of usage can't be read now.")
	}
	return sorted(sums), nil
}

func sorted(sums map[Entry]Usage) []Entry {
	all := make([]Entry, 0, len(sums))
	for e, u := range sums {
		e.Usage = u
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b Entry) int {
		if c := strings.Compare(a.Day, b.Day); c != 0 {
			return c
		}
		return strings.Compare(string(a.Account), string(b.Account))
	})
	return all
}
