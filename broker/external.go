package broker

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"parley/internal/fault"
)

// External names NATS servers that somebody else runs, in operator mode and with this broker's operator, as
// ServerConfig describes them. Several engines with the same operator's seed may use them: they share everything, like the
// nodes of a cluster.
type External struct {
	URLs   []string // nats://host:port or tls://host:port, any of the servers
	CAFile string   // certificates that vouch for the servers. Zero means those that the system trusts.
}

const (
	// externalLease is longer than two elections of servers with NATS' own timers, 4 to 9 seconds each: a lease can't be
	// renewed while nobody leads the bucket, and must not run out before.
	externalLease = 30 * time.Second
	// externalPing is how often a server is asked for a sign of life. One that owes three is given up for another.
	externalPing = 2 * time.Second
	// externalWrite is how long a server may take nothing that is sent to it.
	externalWrite = 5 * time.Second
)

// external is the servers of an External. What they hold is stored when they confirm it: a server that does not sync every
// write is refused (vitals.go).
type external struct {
	e       *Engine
	address string          // for nats.Connect
	atOpen  map[string]bool // the keys of the accounts that were there before the registry was read
	vitals  *vitals

	grown  int       // on how many servers all streams are that can be; for led alone
	looked time.Time // when that was seen; for led alone
}

var _ servers = (*external)(nil)

// open waits until the servers answer, each as it has to be, and one leads them. That they do not trust the operator is no
// matter of time.
func (x *external) open(ctx context.Context) (_ *nats.Conn, err error) {
	if x.address, err = joinURLs(x.e.cfg.External.URLs); err != nil {
		return nil, err
	}
	if err := x.checkCA(); err != nil {
		return nil, err
	}
	if err := x.e.refuseExternal(x.address); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, x.e.cfg.ReadyWithin)
	defer cancel()
	nc, err := x.first(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			nc.Close()
		}
	}()
	if x.vitals, err = listenForVitals(nc); err != nil {
		return nil, err
	}
	if err := x.vitals.settle(ctx); err != nil {
		return nil, err
	}
	return nc, x.takeStock(ctx, nc)
}

// checkCA finds a mistake that nats.Connect would only meet with every attempt.
func (x *external) checkCA() error {
	name := x.e.cfg.External.CAFile
	if name == "" {
		return nil
	}
	pem, err := os.ReadFile(name)
	if err != nil {
		return fault.Wrap(fault.Usage, err, "The certificates can't be read: %s.", err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		return fault.New(fault.Usage, "The file %s holds no certificate.", name)
	}
	return nil
}

// first connects to the system account, waiting for servers that are not there yet.
func (x *external) first(ctx context.Context) (*nats.Conn, error) {
	for waiting := false; ; waiting = true {
		nc, err := x.e.dial(systemAccount,
			nats.MaxReconnects(-1),
			nats.DisconnectErrHandler(func(nc *nats.Conn, err error) {
				if !nc.IsClosed() {
					x.e.log.Warn("the connection to a NATS server was lost", "server", nc.ConnectedServerName(), "err", err)
				}
			}),
			nats.ReconnectHandler(func(nc *nats.Conn) {
				x.e.conns.admitAll() // that one was resumed may have been said meanwhile
				x.e.log.Info("connected to a NATS server again", "server", nc.ConnectedServerName())
			}))
		if err == nil && !nc.AuthRequired() { // such a server takes anybody, and has no accounts
			nc.Close()
			err = nats.ErrNkeysNotSupported
		}
		if err == nil {
			return nc, nil
		}
		if final := x.refusal(err); final != nil {
			return nil, final
		}
		if !waiting {
			x.e.log.Warn("the NATS servers can't be reached yet", "url", x.address, "err", err)
		}
		select {
		case <-ctx.Done():
			return nil, fault.Wrap(fault.Unavailable, err, "The NATS servers %s can't be reached: %s.", x.address, strings.TrimPrefix(err.Error(), "nats: ")).
				WithFix("See that they run, and that --nats-url names them.")
		case <-time.After(10 * retryEvery):
		}
	}
}

// refusal says why a server will not take this broker, however often it is asked; nil when that can't be told.
func (x *external) refusal(err error) error {
	switch {
	case errors.Is(err, nats.ErrNkeysNotSupported):
		return fault.Wrap(fault.Unavailable, err, "The NATS servers %s do not run in operator mode.", x.address).WithFix(fixConfig)
	case errors.Is(err, nats.ErrAuthorization):
		return fault.Wrap(fault.Unavailable, err, "The NATS servers %s do not trust this broker's operator, %s.", x.address, x.e.id.claims.Subject).
			WithFix(fixConfig + " Or begin with an empty data directory and give the seed of the operator that they trust with --operator-seed-file.")
	case errors.Is(err, nats.ErrSecureConnRequired), errors.Is(err, nats.ErrSecureConnWanted):
		return fault.Wrap(fault.Unavailable, err, "The NATS servers %s and this broker do not agree on TLS: %s.", x.address, strings.TrimPrefix(err.Error(), "nats: ")).
			WithFix("Servers with TLS are named tls://host:port in --nats-url.")
	case strings.Contains(err.Error(), "x509:"), strings.Contains(err.Error(), "tls:"):
		return fault.Wrap(fault.Unavailable, err, "The NATS servers %s can't be trusted: %s.", x.address, err).
			WithFix("Give the certificates that vouch for them with --nats-ca.")
	default:
		return nil
	}
}

const fixConfig = "Run them with the configuration that parley nats config prints for this data directory."

func (x *external) dial(opts ...nats.Option) (*nats.Conn, error) {
	opts = append(opts,
		nats.PingInterval(externalPing),
		nats.FlusherTimeout(externalWrite),
		// A server that has just come back may not know an account yet. Who is really refused is barred by the engine.
		nats.IgnoreAuthErrorAbort())
	if ca := x.e.cfg.External.CAFile; ca != "" {
		opts = append(opts, nats.RootCAs(ca))
	}
	return nats.Connect(x.address, opts...)
}

func (x *external) url() string { return x.address }

func (x *external) close() error { return nil }

// watch asks the servers how they are, until ctx ends.
func (x *external) watch(ctx context.Context) {
	x.vitals.watch(ctx, func(err error) { x.e.report(err) }, x.e.conns.lost)
}

// sync has nothing to do: the servers sync every write before they confirm it.
func (x *external) sync() error { return nil }

func (x *external) size() size {
	n := x.vitals.size()
	n.engines = x.e.engineCount()
	return n
}

// leads is always true: whose request is lost because another engine has made the same finds it at the second attempt.
func (x *external) leads() bool { return true }

func (x *external) lease() time.Duration { return externalLease }

// joinURLs returns the URLs as nats.Connect wants them.
func joinURLs(urls []string) (string, error) {
	all := make([]string, len(urls))
	for i, raw := range urls {
		if !strings.Contains(raw, "://") {
			raw = "nats://" + raw
		}
		u, err := url.Parse(raw)
		if err != nil || u.Host == "" || u.Scheme != "nats" && u.Scheme != "tls" || u.Path != "" {
			return "", fault.Wrap(fault.Usage, err, "The NATS server %q is not nats://host:port or tls://host:port.", raw)
		}
		if u.User != nil {
			return "", fault.New(fault.Usage, "The URL of the NATS server %s holds a password, which is not needed.", u.Host).
				WithFix("The broker proves itself with the operator's seed.")
		}
		all[i] = u.Scheme + "://" + u.Host
	}
	return strings.Join(all, ","), nil
}

// externalMark says that the messages of a data directory are on external servers.
func (e *Engine) externalMark() string { return filepath.Join(e.dir.path, "nats.url") }

// refuseExternal refuses to leave messages behind, and notes where the new ones go.
func (e *Engine) refuseExternal(address string) error {
	stored, err := exists(e.dir.store())
	if err != nil {
		return unusable(e.dir.path, err)
	}
	if stored {
		return fault.New(fault.Usage, "The data directory %s holds messages of its own, which external NATS servers do not have.", e.dir.path).
			WithFix("Give the broker another directory with --data.")
	}
	if err := os.WriteFile(e.externalMark(), []byte(address+"\n"), 0o600); err != nil {
		return unusable(e.dir.path, err)
	}
	return nil
}

// refuseEmbedded refuses to begin anew in a directory whose messages are elsewhere.
func (e *Engine) refuseEmbedded() error {
	address, err := os.ReadFile(e.externalMark())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return unusable(e.dir.path, err)
	}
	return fault.New(fault.Usage, "The data directory %s belongs to a broker whose messages are on external NATS servers.", e.dir.path).
		WithFix("Start it with --nats-url %s as before.", strings.TrimSpace(string(address)))
}

// report makes err the cause of what Check returns, nil when all is well again.
func (e *Engine) report(err error) {
	before := e.state.Load()
	var now *error
	if err != nil {
		err = fault.Wrap(fault.Unavailable, err, "The message was not stored: the store can't be reached now.")
		now = &err
	}
	if !e.state.CompareAndSwap(before, now) || (before == nil) == (now == nil) && (now == nil || (*before).Error() == err.Error()) {
		return
	}
	if err != nil {
		e.log.Warn("nothing can be stored now", "err", fmt.Sprint(err))
	} else {
		e.log.Info("messages can be stored again")
	}
}
