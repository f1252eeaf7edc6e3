package broker

import (
	"context"
	"fmt"

	"github.com/nats-io/jwt/v2"
)

// BarUsers has this node's server refuse users of an account before they can publish anything, and cuts off those that are
// connected. The next call for the account replaces them; none lets all in again. Only this server knows: it forgets them at its
// end, and when the account is changed. With external servers it does nothing.
func (e *Engine) BarUsers(ctx context.Context, accountKey string, users []string) error {
	if e.server == nil {
		return nil
	}
	token, err := e.servers.token(ctx, accountKey)
	if err != nil {
		return err
	}
	claims, err := jwt.DecodeAccountClaims(token)
	if err != nil {
		return damaged(e.tokenFile(accountKey), err.Error())
	}
	account, err := e.server.LookupAccount(accountKey)
	if err != nil {
		return fmt.Errorf("look up account %s: %w", accountKey, err)
	}
	for _, user := range users {
		claims.RevokeAt(user, forGood)
	}
	e.server.UpdateAccountClaims(account, claims)
	return nil
}
