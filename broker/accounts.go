package broker

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"parley/internal/fault"
)

// Account is what NATS knows of a tenant.
type Account struct {
	ID           AccountID
	Name         string   // for people who look at the server
	Suspended    bool     // nobody can connect; the data stays
	RevokedUsers []string // user keys whose credentials are refused for good

	Services     int64 // connections that its services may have, beside the nodes' own; 0 means any number
	StorageBytes int64 // that one copy of its streams may take on disk; 0 means any number

	HistoryAge time.Duration // how long its messages are kept. Zero means as long as Config says, negative for ever.

	Served bool // there are credentials for which NeedCopies holds
}

// AccountTerms are what a change of an account has to be told to the servers for, beside its revocations.
type AccountTerms struct {
	Name                   string
	Suspended              bool
	Services, StorageBytes int64
	HistoryAge             time.Duration
}

// Terms returns the account's.
func (a Account) Terms() AccountTerms {
	return AccountTerms{a.Name, a.Suspended, a.Services, a.StorageBytes, a.HistoryAge}
}

// ownConnections is how many connections to an account are left to the nodes, above what its services may have: one each,
// and a second one while the first is being closed.
const ownConnections = 16

// forGood is later than any credentials are issued. Servers refuse those of a user that are not newer than a revocation, in
// whole seconds of clocks that may differ; as no two credentials have the same user, none is ever to be taken again.
var forGood = time.Unix(1<<40, 0)

// accountToken returns the account's public key and its signed JWT.
func (id *identity) accountToken(a Account) (key, token string, err error) {
	claims, err := id.accountClaims(a)
	if err != nil {
		return "", "", err
	}
	if token, err = claims.Encode(id.operator); err != nil {
		return "", "", fmt.Errorf("sign account %s: %w", a.ID, err)
	}
	return claims.Subject, token, nil
}

// accountClaims is what the account's JWT says.
func (id *identity) accountClaims(a Account) (*jwt.AccountClaims, error) {
	key, err := id.accountKey(a.ID)
	if err != nil {
		return nil, err
	}
	claims := jwt.NewAccountClaims(key)
	claims.Name = a.Name
	claims.Tags.Add(idTag + string(a.ID))
	if a.ID != systemAccount { // which may not have JetStream
		claims.Limits.JetStreamLimits = jwt.JetStreamLimits{
			MemoryStorage: jwt.NoLimit, DiskStorage: jwt.NoLimit, Streams: jwt.NoLimit, Consumer: jwt.NoLimit,
			MaxAckPending: jwt.NoLimit, MemoryMaxStreamBytes: jwt.NoLimit, DiskMaxStreamBytes: jwt.NoLimit,
		}
	}
	if a.Services > 0 {
		claims.Limits.Conn = a.Services + ownConnections
	}
	if a.StorageBytes > 0 {
		claims.Limits.DiskStorage = a.StorageBytes
	}
	if a.Suspended { // all users there are: those of later, which nobody but the engine gets, may visit what is stored
		claims.RevokeAt(jwt.All, time.Now())
	}
	for _, user := range a.RevokedUsers {
		claims.RevokeAt(user, forGood)
	}
	return claims, nil
}

// fixedToken is accountToken for the accounts that no tenant owns, the same whenever it is made.
func (id *identity) fixedToken(a AccountID) (key, token string, err error) {
	if key, token, err = id.accountToken(Account{ID: a, Name: string(a)}); err != nil {
		return "", "", err
	}
	token, err = id.undated(token)
	return key, token, err
}

// undatedAt is when tokens were issued that are to be the same on all nodes, whenever they are made.
const undatedAt = 1_700_000_000

// undated signs a token again with a fixed time of issue. The nodes of a cluster exchange tokens that differ, and a
// connection that is made at that moment is refused.
func (id *identity) undated(token string) (string, error) {
	head, rest, _ := strings.Cut(token, ".")
	body, _, _ := strings.Cut(rest, ".")
	raw, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil {
		return "", fmt.Errorf("read an account's token: %w", err)
	}
	var claims map[string]any
	if err := json.Unmarshal(raw, &claims); err != nil {
		return "", fmt.Errorf("read an account's token: %w", err)
	}
	claims["iat"] = undatedAt
	delete(claims, "jti") // a hash of what has just changed; nobody reads it
	if raw, err = json.Marshal(claims); err != nil {
		return "", err
	}
	unsigned := head + "." + base64.RawURLEncoding.EncodeToString(raw)
	signature, err := id.operator.Sign([]byte(unsigned))
	if err != nil {
		return "", fmt.Errorf("sign an account's token: %w", err)
	}
	return unsigned + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// PutAccount creates or changes an account. When it returns nil the change is in force: of a suspended account and of
// revoked users, all connections are closed. In a cluster that holds for all nodes that this one can reach; the others
// take it over as soon as they can be reached again.
func (e *Engine) PutAccount(ctx context.Context, a Account) error {
	key, token, err := e.id.accountToken(e.counted(a))
	if err != nil {
		return err
	}
	if a.Suspended {
		if err := e.everywhere(ctx, barAccount, a.ID); err != nil {
			return err
		}
	}
	if err := e.claims(ctx, "$SYS.REQ.CLAIMS.UPDATE", key, token); err != nil {
		return fmt.Errorf("push account %s: %w", a.ID, err)
	}
	if !a.Suspended {
		return e.everywhere(ctx, admitAccount, a.ID)
	}
	return nil
}

// counted is a as the servers count: every copy of a stream.
func (e *Engine) counted(a Account) Account {
	a.StorageBytes *= int64(e.replicas())
	return a
}

// EraseAccount removes an account and every byte it has stored, and verifies that. Erasing what is not there succeeds.
func (e *Engine) EraseAccount(ctx context.Context, a AccountID) error {
	key, err := e.id.accountKey(a)
	if err != nil {
		return err
	}
	// First nobody may connect any more, or a service could write while its streams go.
	if err := e.PutAccount(ctx, Account{ID: a, Name: string(a), Suspended: true}); err != nil {
		return err
	}
	if err := e.openAccount(a); err != nil { // the purge would do so, within the time of a request
		return fmt.Errorf("open account %s: %w", a, err)
	}
	if err := e.system.purge(ctx, key); err != nil {
		return fmt.Errorf("purge account %s: %w", a, err)
	}
	if err := e.everywhere(ctx, sweepAccount, a); err != nil {
		return fmt.Errorf("purge account %s: %w", a, err)
	}
	if err := e.deleteAccount(ctx, key); err != nil {
		return fmt.Errorf("delete account %s: %w", a, err)
	}
	e.copyings.forget(a)
	return nil
}

// deleteAccount has all nodes forget an account.
func (e *Engine) deleteAccount(ctx context.Context, key string) error {
	claims := jwt.NewGenericClaims(e.id.claims.Subject)
	claims.Data["accounts"] = []string{key}
	token, err := claims.Encode(e.id.operator)
	if err != nil {
		return fmt.Errorf("sign the deletion of account %s: %w", key, err)
	}
	return e.claims(ctx, "$SYS.REQ.CLAIMS.DELETE", key, token)
}

// systemConn is the engine's own connection to the system account. Whoever holds it can replace any account, so it
// never leaves this package, and each request is built here from the operator's own signature.
type systemConn struct {
	mu sync.Mutex // held for each change, so that they reach the server in order
	nc *nats.Conn
}

func (s *systemConn) close() { s.nc.Close() }

// requestTimeout bounds a request to a server or its peers.
const requestTimeout = 5 * time.Second

func (s *systemConn) request(ctx context.Context, subject string, data []byte, reply any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	msg, err := s.nc.RequestWithContext(ctx, subject, data)
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "The NATS server did not answer.")
	}
	return json.Unmarshal(msg.Data, reply)
}

// claims has every server change an account.
func (e *Engine) claims(ctx context.Context, subject, key, token string) error {
	if e.opener != nil {
		defer e.opener.hold(key)()
	}
	everyServer := func() int { return e.servers.size().servers }
	return e.askAll(ctx, subject, []byte(token), everyServer, func(b []byte) error {
		var reply server.ServerAPIClaimUpdateResponse
		if err := json.Unmarshal(b, &reply); err != nil {
			return err
		}
		if reply.Error != nil {
			return fmt.Errorf("the server refused: %s", reply.Error.Description)
		}
		return nil
	})
}

func (s *systemConn) purge(ctx context.Context, key string) error {
	var reply server.JSApiAccountPurgeResponse
	if err := s.request(ctx, fmt.Sprintf(server.JSApiAccountPurgeT, key), nil, &reply); err != nil {
		return err
	}
	if reply.Error != nil {
		return fmt.Errorf("the server refused: %s", reply.Error.Description)
	}
	return nil
}
