package broker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/nats-io/jwt/v2"

	"parley/internal/fault"
)

// Restore compares the accounts that the data directory holds with all that there should be. What is missing or damaged
// is made again, so that no tenant is locked out of its data. An account that nobody knows is a fault: whoever keeps
// the list has lost a part of it, and must not begin anew beside data that somebody still counts on. Unless the list is
// known to be whole: then it was deleted while this node was down, and is removed here, too.
func (e *Engine) Restore(ctx context.Context, all []Account, whole bool) error {
	known := map[string]Account{}
	for _, a := range append(all, Account{ID: systemAccount}, Account{ID: brokerAccount}) {
		key, err := e.id.accountKey(a.ID)
		if err != nil {
			return err
		}
		known[key] = a
	}
	strangers, err := e.strangers(known)
	if err != nil {
		return err
	}
	for _, key := range strangers {
		if !whole {
			return fault.New(fault.Unavailable, "The data directory is damaged: %s belongs to a tenant that the registry has lost.", e.tokenFile(key)).
				WithFix("Restore the directory from a backup. To do without the data of that tenant, remove the file.")
		}
		if err := e.removeStranger(ctx, key); err != nil {
			return err
		}
	}
	for key, a := range known {
		if a.ID == systemAccount || a.ID == brokerAccount || e.readAccount(key) == nil {
			continue
		}
		e.log.Warn("an account was missing or damaged and is made again", "account", a.ID, "tenant", a.Name)
		if err := e.PutAccount(ctx, a); err != nil {
			return err
		}
	}
	return nil
}

// strangers are the keys of the accounts that are here and not known.
func (e *Engine) strangers(known map[string]Account) (keys []string, err error) {
	entries, err := os.ReadDir(e.dir.accounts())
	if err != nil {
		return nil, unusable(e.dir.path, err)
	}
	for _, entry := range entries {
		key, ok := strings.CutSuffix(entry.Name(), ".jwt")
		if _, known := known[key]; ok && !known {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// tokenFile is where the JWT of an account is kept.
func (e *Engine) tokenFile(key string) string { return filepath.Join(e.dir.accounts(), key+".jwt") }

// removeStranger removes an account that was deleted while this node was down.
func (e *Engine) removeStranger(ctx context.Context, key string) error {
	e.log.Info("an account was deleted while this node was down and is removed here, too", "account_key", key)
	if err := e.deleteAccount(ctx, key); err != nil {
		if _, still := os.Stat(e.tokenFile(key)); !errors.Is(still, fs.ErrNotExist) {
			return err // the other nodes may say that they have no such account
		}
	}
	ctx, cancel := context.WithTimeout(ctx, peersWithin)
	defer cancel()
	if err := e.sweepKey(ctx, key); err != nil {
		e.log.Warn("what a deleted account has stored is not gone yet", "account_key", key, "err", err)
	}
	return nil
}

// readAccount returns nil if the account's JWT is there and this broker's own.
func (e *Engine) readAccount(key string) error {
	token, err := os.ReadFile(e.tokenFile(key))
	if errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err != nil {
		return unusable(e.dir.path, err)
	}
	claims, err := jwt.DecodeAccountClaims(strings.TrimSpace(string(token)))
	if err != nil {
		return err
	}
	if claims.Subject != key || claims.Issuer != e.id.claims.Subject {
		return fmt.Errorf("account %s was signed for or by somebody else", key)
	}
	if _, ok := idOf(claims); !ok {
		return fmt.Errorf("account %s was written by an earlier version", key)
	}
	return nil
}
