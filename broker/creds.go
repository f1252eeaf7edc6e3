package broker

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"parley/internal/fault"
)

// CredsRequest says what a service may do with its credentials.
type CredsRequest struct {
	Name               string    // for people who look at the server; a Token
	Publish, Subscribe []string  // subjects in NATS form, below the public roots only
	Queue              Token     // makes it an AI worker: what it needs to pull from this queue and to answer is added
	Expires            time.Time // Zero means never.
}

// Creds returns the text of a .creds file for a service of the account, and the public key by which it can be revoked.
// The secret in it is not kept anywhere. Before anybody has credentials that need live copies of messages, the account's streams
// begin to make them.
func (e *Engine) Creds(ctx context.Context, a AccountID, req CredsRequest) (creds []byte, userKey string, err error) {
	if err := req.check(); err != nil {
		return nil, "", err
	}
	if NeedCopies(req.Publish...) || NeedCopies(req.Subscribe...) {
		if err := e.makeCopies(ctx, a); err != nil {
			return nil, "", err
		}
	}
	return e.signCreds(a, req)
}

// check refuses what can't be granted.
func (req CredsRequest) check() error {
	if _, err := ParseToken(req.Name); err != nil {
		return err
	}
	for _, s := range req.Publish {
		if err := checkServiceSubject(s, true); err != nil {
			return err
		}
	}
	for _, s := range req.Subscribe {
		if err := checkServiceSubject(s, false); err != nil {
			return err
		}
	}
	if _, err := ParseToken(string(req.Queue)); err != nil && req.Queue != "" {
		return err
	}
	if !req.Expires.IsZero() && req.Expires.Before(time.Now()) {
		return fault.New(fault.Usage, "The credentials would have expired already.")
	}
	return nil
}

// signCreds makes credentials of a request that is good.
func (e *Engine) signCreds(a AccountID, req CredsRequest) (creds []byte, userKey string, err error) {
	user, err := nkeys.CreateUser()
	if err != nil {
		return nil, "", fmt.Errorf("create a user key: %w", err)
	}
	claims, err := userClaims(user, req.Name)
	if err != nil {
		return nil, "", err
	}
	claims.Pub.Allow = req.Publish
	claims.Sub.Allow = req.Subscribe
	if req.Queue != "" {
		claims.Pub.Allow = append(slices.Clone(req.Publish), workerPublishes(req.Queue)...)
		claims.Sub.Allow = append(slices.Clone(req.Subscribe), workerSubscribes(req.Name)...)
	}
	claims.Pub.Deny = brokersOwn
	if len(claims.Pub.Allow) == 0 { // an empty list would allow everything
		claims.Pub.Deny = jwt.StringList{">"}
	}
	if len(claims.Sub.Allow) == 0 {
		claims.Sub.Deny = jwt.StringList{">"}
	}
	if req.Queue == "" { // workers are asked nothing
		claims.Resp = &jwt.ResponsePermission{MaxMsgs: 1, Expires: time.Minute}
	}
	if !req.Expires.IsZero() {
		claims.Expires = req.Expires.Unix()
	}
	token, err := e.id.signUser(a, claims)
	if err != nil {
		return nil, "", err
	}
	seed, err := user.Seed()
	if err != nil {
		return nil, "", fmt.Errorf("read a user key: %w", err)
	}
	creds, err = jwt.FormatUserConfig(token, seed)
	return creds, claims.Subject, err
}

// brokersOwn are subjects below the public roots that only the broker publishes on: what it has not checked must be in no
// log and no queue.
var brokersOwn = jwt.StringList{string(SessionLog("*")), rootWork + ">"}

// workerSubscribes is where a worker learns that it is to stop, and gets its answers. The inbox is its own, because what is
// pulled comes there: with all inboxes it could read the requests of other queues.
func workerSubscribes(name string) []string {
	return []string{string(SessionControl("*")), "_INBOX." + name + ".>"}
}

// workerPublishes is what a worker needs to pull from its queue and to answer. Clients ask for the consumer's description
// before they pull; what they pull they acknowledge at a subject whose middle part names the stream and the consumer.
func workerPublishes(queue Token) []string {
	return []string{
		"$JS.API.CONSUMER.INFO." + string(Work) + "." + string(queue),
		"$JS.API.CONSUMER.MSG.NEXT." + string(Work) + "." + string(queue),
		"$JS.ACK." + string(Work) + "." + string(queue) + ".>",
		string(SessionRun("*")),
	}
}

func userClaims(user nkeys.KeyPair, name string) (*jwt.UserClaims, error) {
	pub, err := user.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("read a user key: %w", err)
	}
	claims := jwt.NewUserClaims(pub)
	claims.Name = name
	return claims, nil
}

func (id *identity) signUser(a AccountID, claims *jwt.UserClaims) (string, error) {
	kp, err := id.account(a)
	if err != nil {
		return "", err
	}
	token, err := claims.Encode(kp)
	if err != nil {
		return "", fmt.Errorf("sign a user of account %s: %w", a, err)
	}
	return token, nil
}
