package broker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

const (
	// catchUpWithin bounds the search for a node that knows more. One that runs answers within milliseconds.
	catchUpWithin = 5 * time.Second
	// knockWithin is how long a node may take to answer at all.
	knockWithin = 500 * time.Millisecond
)

// catchUp takes over from another node what became of the accounts while this one was down. It comes before services can
// connect: the server would let in whoever was let in when it stopped, and asks the others only after a minute. A server
// of a moment does it, without a store and known to nobody but the nodes that it asks. When none of them runs, as after a
// power cut, this node starts with what it has.
func (e *Engine) catchUp(ctx context.Context) error {
	have, err := os.ReadDir(e.dir.accounts())
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(have) == 0 {
		return nil // its first start
	}
	if err != nil {
		return unusable(e.dir.path, err)
	}
	if !e.othersRun(ctx) {
		return nil
	}
	scout, err := e.startScout()
	if err != nil {
		return err
	}
	defer scout.WaitForShutdown()
	defer scout.Shutdown()
	ctx, cancel := context.WithTimeout(ctx, catchUpWithin)
	defer cancel()
	told, err := e.askForTokens(ctx, scout)
	if err != nil {
		e.log.Warn("No other node said in time what became of the accounts while this one was down.", "err", err)
		return nil
	}
	return e.takeTokens(told)
}

// othersRun reports whether anybody listens where the routes lead.
func (e *Engine) othersRun(ctx context.Context) bool {
	routes, err := parseRoutes(e.cfg.Cluster.Routes, nil)
	if err != nil {
		return false // which the server reports
	}
	ctx, cancel := context.WithTimeout(ctx, knockWithin)
	defer cancel()
	for _, r := range routes {
		if c, err := new(net.Dialer).DialContext(ctx, "tcp", r.Host); err == nil {
			_ = c.Close() // nothing was said
			return true
		}
	}
	return false
}

// takeTokens keeps what another node has said of accounts, lines of key and token, unless this one has later news.
func (e *Engine) takeTokens(told []string) error {
	tokens, err := e.openTokens()
	if err != nil {
		return err
	}
	defer tokens.Close()
	for line := range strings.Lines(strings.Join(told, "\n")) {
		key, token, _ := strings.Cut(strings.TrimSpace(line), "|")
		theirs, err := jwt.DecodeAccountClaims(token)
		if err != nil || theirs.Subject != key || theirs.Issuer != e.id.claims.Subject {
			continue
		}
		if own, err := tokens.LoadAcc(key); err == nil {
			if ours, err := jwt.DecodeAccountClaims(own); err == nil && (own == token || ours.IssuedAt > theirs.IssuedAt) {
				continue
			}
		}
		if err := tokens.SaveAcc(key, token); err != nil {
			return unusable(e.dir.path, err)
		}
	}
	return nil
}

// startScout connects a server without a store to the other nodes.
func (e *Engine) startScout() (*server.Server, error) {
	key, token, err := e.id.fixedToken(systemAccount)
	if err != nil {
		return nil, err
	}
	accounts := &server.MemAccResolver{}
	if err := accounts.Store(key, token); err != nil {
		return nil, err
	}
	opts := &server.Options{
		ServerName: e.cfg.ServerName + "-scout", NoSigs: true, NoLog: true, Host: "127.0.0.1", Port: server.RANDOM_PORT,
		TrustedOperators: []*jwt.OperatorClaims{e.id.claims}, SystemAccount: key, AccountResolver: accounts,
	}
	if err := e.clusterOptions(opts); err != nil {
		return nil, err
	}
	opts.Cluster.Host, opts.Cluster.Port, opts.Cluster.Advertise, opts.Cluster.NoAdvertise = "127.0.0.1", server.RANDOM_PORT, "", true
	scout, err := server.NewServer(opts)
	if err != nil {
		return nil, fmt.Errorf("set up the server that asks the others: %w", err)
	}
	scout.Start()
	return scout, nil
}

// askForTokens asks one of the other nodes for all accounts' tokens, as the servers ask each other.
func (e *Engine) askForTokens(ctx context.Context, scout *server.Server) (told []string, err error) {
	user, token, err := e.newUser(systemAccount)
	if err != nil {
		return nil, err
	}
	nc, err := nats.Connect("", nats.InProcessServer(scout), nats.Name(gatewayName),
		nats.UserJWT(func() (string, error) { return token, nil }, user.Sign))
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	inbox := nc.NewInbox()
	answers, err := nc.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	for {
		if err := nc.PublishRequest("$SYS.REQ.CLAIMS.PACK", inbox, nil); err != nil {
			return nil, err
		}
		for {
			m, err := answers.NextMsgWithContext(ctx)
			if errors.Is(err, nats.ErrNoResponders) { // no other node is connected yet
				break
			}
			if err != nil {
				return nil, err
			}
			if len(m.Data) == 0 { // that was all
				return told, nil
			}
			told = append(told, string(m.Data))
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(retryEvery / 10):
		}
	}
}
