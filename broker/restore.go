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
// the list has lost a part of it, and must not begin anew beside data that somebody still counts on.
func (e *Engine) Restore(ctx context.Context, all []Account) error {
	known := map[string]Account{}
	for _, a := range append(all, Account{ID: systemAccount}, Account{ID: brokerAccount}) {
		key, err := e.id.accountKey(a.ID)
		if err != nil {
			return err
		}
		known[key] = a
	}
	if err := e.checkStrangers(known); err != nil {
		return err
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

// checkStrangers looks for accounts that are not known.
func (e *Engine) checkStrangers(known map[string]Account) error {
	entries, err := os.ReadDir(e.dir.accounts())
	if err != nil {
		return unusable(e.dir.path, err)
	}
	for _, entry := range entries {
		key, ok := strings.CutSuffix(entry.Name(), ".jwt")
		if _, known := known[key]; ok && !known {
			path := filepath.Join(e.dir.accounts(), entry.Name())
			return fault.New(fault.Unavailable, "The data directory is damaged: %s belongs to a tenant that the registry has lost.", path).
				WithFix("Restore the directory from a backup. To do without the data of that tenant, remove the file.")
		}
	}
	return nil
}

// readAccount returns nil if the account's JWT is there and this broker's own.
func (e *Engine) readAccount(key string) error {
	token, err := os.ReadFile(filepath.Join(e.dir.accounts(), key+".jwt"))
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
	return nil
}
