package bench

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"parley/admin"
	"parley/internal/fault"
	"parley/tenants"
)

// tenant is one that was made for the run.
type tenant struct {
	id     string
	secret []byte
}

const (
	keyID     = "bench"
	tokenLife = 2 * time.Hour

	// making is how many tenants are made or removed at a time.
	making = 8
	// withdrawWithin bounds what is done after a run that was stopped, and withdrawEach how much longer it may take for
	// each tenant.
	withdrawWithin = time.Minute
	withdrawEach   = 100 * time.Millisecond
)

// makeTenants makes tenants, and returns when every node knows them.
func (s *Session) makeTenants(ctx context.Context, n int) error {
	said := s.counting("making tenants", n)
	return inParallel(ctx, n, making, func(ctx context.Context, _ int) error {
		defer said()
		return s.makeTenant(ctx)
	})
}

func (s *Session) makeTenant(ctx context.Context) error {
	t := &tenant{secret: make([]byte, 32)}
	rand.Read(t.secret) // never fails, see crypto/rand
	t.id = "bench-" + hex.EncodeToString(t.secret[:6])
	rand.Read(t.secret)
	if _, _, err := s.nodes[0].CreateTenant(ctx, admin.NewTenant{ID: tenants.ID(t.id), Name: "parley bench"}); err != nil {
		return err
	}
	s.mu.Lock()
	s.tenants = append(s.tenants, t)
	s.mu.Unlock()
	if _, _, err := s.nodes[0].AddKey(ctx, t.id, admin.NewKey{Kid: keyID, Alg: tenants.HS256, Secret: t.secret}); err != nil {
		return err
	}
	if len(s.nodes) == 1 {
		return nil
	}
	token, err := t.token("nobody")
	if err != nil {
		return err
	}
	for _, node := range s.nodes {
		if err := awaitToken(ctx, node, token); err != nil {
			return err
		}
	}
	return nil
}

// awaitToken waits until a node of a cluster takes the tokens of a tenant that another one has made.
func awaitToken(ctx context.Context, node *admin.Client, token string) error {
	ctx, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	for {
		report, err := node.InspectToken(ctx, token)
		if err == nil && report.Valid {
			return nil
		}
		if !pause(ctx, 10*time.Millisecond) {
			return fault.Wrap(fault.Unavailable, err, "A node does not know the tenant that another one has made: %s", report.Message).
				WithFix("All nodes have to be of one cluster.")
		}
	}
}

// withdraw removes all tenants, also after ctx has ended, and says which is the first that is left.
func (s *Session) withdraw(ctx context.Context) error {
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), withdrawWithin+time.Duration(len(s.tenants))*withdrawEach)
	defer cancel()
	said, left := s.counting("removing tenants", len(s.tenants)), make([]error, len(s.tenants))
	err := inParallel(late, len(s.tenants), making, func(ctx context.Context, i int) error {
		defer said()
		left[i] = s.nodes[0].DeleteTenant(ctx, s.tenants[i].id)
		return nil
	})
	for i, gone := range left {
		if gone != nil {
			return fault.Wrap(fault.CodeOf(gone), gone, "The tenant %s could not be removed: %s", s.tenants[i].id, fault.Message(gone)).
				WithFix("Remove it with: parley tenant delete %s", s.tenants[i].id)
		}
	}
	return err
}

// token signs a token for an agent. Connections get theirs before any of them is opened, since signing is no load of the
// broker's.
func (t *tenant) token(agent string) (string, error) {
	now := time.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"tenant_id": t.id, "agent_id": agent, "iat": now.Unix(), "exp": now.Add(tokenLife).Unix(),
	})
	token.Header["kid"] = keyID
	signed, err := token.SignedString(t.secret)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return signed, nil
}
