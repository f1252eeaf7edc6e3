package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"parley/internal/fault"
)

// adoptFor is how long one private server works. After 30 seconds a server removes the streams that its cluster does
// not know.
const adoptFor = 15 * time.Second

// adopt makes the streams that a node has from the time before its cluster known to it. A private server that nobody can
// connect to recovers them from the disk, and is then asked to make each of them, just as it is: it takes the one that is
// there. The data is not touched. What a crash interrupts is repeated.
func (e *Engine) adopt(ctx context.Context) error {
	if pending, err := exists(e.adoptingFile()); err != nil || !pending {
		return err
	}
	for done := false; !done; {
		var err error
		if done, err = e.adoptSome(ctx); err != nil {
			return fmt.Errorf("take the streams into the cluster: %w", err)
		}
	}
	return os.Remove(e.adoptingFile())
}

// adoptSome works for a while and reports whether all is done.
func (e *Engine) adoptSome(ctx context.Context) (done bool, err error) {
	if err := e.runServer(ctx, func(opts *server.Options) {
		opts.Host, opts.Port = "127.0.0.1", server.RANDOM_PORT
		opts.Cluster.Host, opts.Cluster.Port = "127.0.0.1", server.RANDOM_PORT
		opts.Cluster.TLSConfig = nil                                    // it is on this machine only
		opts.Routes = []*url.URL{{Scheme: "nats", Host: "127.0.0.1:1"}} // there must be one; the companion comes by itself
	}); err != nil {
		return false, err
	}
	defer func() {
		e.server.Shutdown()
		e.server.WaitForShutdown()
		e.server = nil
	}()
	companion, err := e.startCompanion()
	if err != nil {
		return false, err
	}
	defer func() {
		companion.Shutdown()
		companion.WaitForShutdown()
	}()
	deadline := time.Now().Add(adoptFor)
	info, err := e.server.Jsz(&server.JSzOptions{Accounts: true, Streams: true, Consumer: true, Config: true, Limit: 1 << 30})
	if err != nil {
		return false, err
	}
	for _, a := range info.AccountDetails {
		if len(a.Streams) == 0 {
			continue
		}
		if time.Now().After(deadline) {
			return false, nil
		}
		if err := e.adoptAccount(ctx, a); err != nil {
			return false, err
		}
	}
	return true, nil
}

// startCompanion connects a server without a store to the private one: no group of a cluster begins to work on a server
// that is connected to nobody.
func (e *Engine) startCompanion() (*server.Server, error) {
	secret, err := e.id.routeSecret(routeUser)
	if err != nil {
		return nil, err
	}
	user := url.UserPassword(routeUser, secret)
	key, token, err := e.id.accountToken(Account{ID: systemAccount})
	if err != nil {
		return nil, err
	}
	accounts := &server.MemAccResolver{}
	if err := accounts.Store(key, token); err != nil {
		return nil, err
	}
	opts := &server.Options{
		ServerName: "companion", NoSigs: true, NoLog: true, Host: "127.0.0.1", Port: server.RANDOM_PORT,
		TrustedOperators: []*jwt.OperatorClaims{e.id.claims}, SystemAccount: key, AccountResolver: accounts,
		Cluster: server.ClusterOpts{
			Name: e.cfg.Cluster.Name, Host: "127.0.0.1", Port: server.RANDOM_PORT, Username: routeUser, Password: secret,
		},
		Routes: []*url.URL{{Scheme: "nats", Host: e.server.ClusterAddr().String(), User: user}},
	}
	companion, err := server.NewServer(opts)
	if err != nil {
		return nil, fmt.Errorf("set up the companion: %w", err)
	}
	companion.Start()
	return companion, nil
}

func (e *Engine) adoptAccount(ctx context.Context, a *server.AccountDetail) error {
	id, err := e.accountID(ctx, a.Id)
	if err != nil {
		return err
	}
	nc, err := e.dial(id)
	if err != nil {
		return fmt.Errorf("connect to account %s: %w", id, err)
	}
	defer nc.Close()
	for _, s := range a.Streams {
		err := e.persist(ctx, func(ctx context.Context) error { return ask(ctx, nc, "$JS.API.STREAM.CREATE."+s.Name, s.Config) })
		if err != nil {
			return fmt.Errorf("stream %s of account %s: %w", s.Name, id, err)
		}
		for _, c := range s.Consumer {
			request := server.CreateConsumerRequest{Stream: s.Name, Config: *c.Config}
			err := e.persist(ctx, func(ctx context.Context) error {
				return ask(ctx, nc, "$JS.API.CONSUMER.CREATE."+s.Name+"."+c.Name, request)
			})
			if err != nil {
				return fmt.Errorf("place %s in stream %s of account %s: %w", c.Name, s.Name, id, err)
			}
		}
	}
	return nil
}

// ask sends a request of the JetStream API.
func ask(ctx context.Context, nc *nats.Conn, subject string, request any) error {
	b, err := json.Marshal(request)
	if err != nil {
		return err
	}
	m, err := nc.RequestWithContext(ctx, subject, b)
	if err != nil {
		return err
	}
	var answer struct {
		Error *struct {
			Code        int    `json:"code"`
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return err
	}
	switch {
	case answer.Error == nil:
		return nil
	case answer.Error.Code == 503:
		return context.DeadlineExceeded // it is not led yet
	}
	return errors.New(answer.Error.Description)
}

// idTag stands before the account's id among the tags of its token.
const idTag = "id:"

// accountID returns the id of an account that the servers know.
func (e *Engine) accountID(ctx context.Context, key string) (AccountID, error) {
	token, err := e.servers.token(ctx, key)
	if err != nil {
		return "", err
	}
	claims, err := jwt.DecodeAccountClaims(token)
	if err != nil {
		return "", damaged(e.tokenFile(key), err.Error())
	}
	id, ok := idOf(claims)
	if !ok {
		return "", fault.New(fault.Unavailable, "The data directory was written by an earlier version.").
			WithFix("Start it once without --cluster-name, then again with it.")
	}
	return id, nil
}

// idOf returns the id of an account from its token.
func idOf(claims *jwt.AccountClaims) (AccountID, bool) {
	for _, tag := range claims.Tags {
		if id, ok := strings.CutPrefix(tag, idTag); ok {
			return AccountID(id), true
		}
	}
	return "", false
}
