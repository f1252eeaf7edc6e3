package worker

import (
	"errors"
	"fmt"
	"os"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
)

// Connect connects to a tenant's account with a .creds file of the role worker. The connection comes back by itself for
// ever; further options may change that. The caller closes it.
func Connect(url, credsFile string, more ...nats.Option) (*nats.Conn, error) {
	inbox, err := InboxPrefix(credsFile)
	if err != nil {
		return nil, err
	}
	options := []nats.Option{
		nats.UserCredentials(credsFile), nats.CustomInboxPrefix(inbox),
		nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort(), // a suspended tenant may be resumed
	}
	return nats.Connect(url, append(options, more...)...)
}

// InboxPrefix returns where the credentials let a worker take replies: "_INBOX." and the name that they were issued to.
// Workers of different names can't read what is meant for one another.
func InboxPrefix(credsFile string) (string, error) {
	b, err := os.ReadFile(credsFile)
	if err != nil {
		return "", fmt.Errorf("read credentials: %w", err)
	}
	token, err := jwt.ParseDecoratedJWT(b)
	if err != nil {
		return "", fmt.Errorf("read credentials %s: %w", credsFile, err)
	}
	claims, err := jwt.DecodeUserClaims(token)
	if err != nil {
		return "", fmt.Errorf("read credentials %s: %w", credsFile, err)
	}
	if !queuePattern.MatchString(claims.Name) {
		return "", errors.New("the credentials were not issued by the broker: they have no name")
	}
	return nats.InboxPrefix + claims.Name, nil
}
