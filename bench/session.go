package bench

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"parley/admin"
	"parley/internal/fault"
	"parley/tenants"
)

// Options say how a scenario is run.
type Options struct {
	Address  string        // host:port where clients connect. Defaults to the first that the broker names.
	Warmup   time.Duration // before anything counts. Zero means none.
	Duration time.Duration // what counts, of scenarios that last. Defaults to 5s; an hour with the warm-up at most.
	Settle   time.Duration // how long idle connections are left alone before the memory is read. Zero means not at all.
	Progress func(string)  // told once a second what is going on; nil tells nobody
}

// Scenario is one kind of load.
type Scenario interface {
	// Run puts the load on the broker and says what it has found.
	Run(context.Context, *Session) (*Result, error)
}

// Session is one run against a broker, in a tenant of its own.
type Session struct {
	Options
	client  *admin.Client
	address string
	tenant  string
	secret  []byte
	buffers *buffers
	started time.Time
	reached atomic.Bool // a connection was made: the address is good
}

const (
	keyID     = "bench"
	tokenLife = 2 * time.Hour
	// withdrawWithin bounds what is done after a run that was stopped.
	withdrawWithin = time.Minute
)

// Run makes a tenant, runs the scenario in it and removes the tenant, also when ctx ends.
func Run(ctx context.Context, client *admin.Client, opts Options, scenario Scenario) (_ *Result, err error) {
	if opts.Duration <= 0 {
		opts.Duration = 5 * time.Second
	}
	if opts.Warmup+opts.Duration > maxRun {
		return nil, fault.New(fault.Usage, "A run lasts an hour at most.")
	}
	if opts.Progress == nil {
		opts.Progress = func(string) {}
	}
	s := &Session{Options: opts, client: client, secret: make([]byte, 32), buffers: newBuffers(), started: time.Now()}
	if s.address, err = clientAddress(ctx, client, opts.Address); err != nil {
		return nil, err
	}
	if err := s.makeTenant(ctx); err != nil {
		return nil, err
	}
	defer func() {
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), withdrawWithin)
		defer cancel()
		if gone := client.DeleteTenant(late, s.tenant); gone != nil && err == nil {
			err = fault.Wrap(fault.CodeOf(gone), gone, "The tenant %s could not be removed: %s", s.tenant, fault.Message(gone)).
				WithFix("Remove it with: parley tenant delete %s", s.tenant)
		}
	}()
	return scenario.Run(ctx, s)
}

// clientAddress returns where clients connect.
func clientAddress(ctx context.Context, client *admin.Client, given string) (string, error) {
	info, err := client.Info(ctx)
	if err != nil {
		return "", err
	}
	if given == "" && len(info.Listen) > 0 {
		given = info.Listen[0]
	}
	host, port, err := net.SplitHostPort(given)
	if err != nil {
		return "", fault.Wrap(fault.Usage, err, "The address %q is not HOST:PORT.", given)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() { // everywhere, so also where admins are served
		if host = "127.0.0.1"; info.Admin != "" {
			if u, err := url.Parse(info.Admin); err == nil && net.ParseIP(u.Hostname()) != nil && !net.ParseIP(u.Hostname()).IsUnspecified() {
				host = u.Hostname()
			}
		}
	}
	return net.JoinHostPort(host, port), nil
}

func (s *Session) makeTenant(ctx context.Context) error {
	rand.Read(s.secret) // never fails, see crypto/rand
	s.tenant = "bench-" + hex.EncodeToString(s.secret[:6])
	rand.Read(s.secret)
	if _, _, err := s.client.CreateTenant(ctx, admin.NewTenant{ID: tenants.ID(s.tenant), Name: "parley bench"}); err != nil {
		return err
	}
	_, _, err := s.client.AddKey(ctx, s.tenant, admin.NewKey{Kid: keyID, Alg: tenants.HS256, Secret: s.secret})
	return err
}

// token signs a token for an agent. Connections get theirs before any of them is opened, since signing is no load of the
// broker's.
func (s *Session) token(agent string) (string, error) {
	now := time.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"tenant_id": s.tenant, "agent_id": agent, "iat": now.Unix(), "exp": now.Add(tokenLife).Unix(),
	})
	token.Header["kid"] = keyID
	signed, err := token.SignedString(s.secret)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return signed, nil
}

// micros is the time since the session began, as markers have it.
func (s *Session) micros() uint32 { return micros(time.Since(s.started)) }

// pause waits, and reports whether ctx still lasts.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
