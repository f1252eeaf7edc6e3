package broker

import (
	"context"
	"path/filepath"
)

// Restore compares the accounts that the servers know with all that there should be. What is missing or damaged
// is made again, so that no tenant is locked out of its data, and what this node has missed is made up for. An account that nobody knows is a fault: whoever keeps
// the list has lost a part of it, and must not begin anew beside data that somebody still counts on. Unless the list is
// known to be whole: then it was deleted while a server was down, and is removed there, too.
func (e *Engine) Restore(ctx context.Context, all []Account, whole bool) error {
	known := map[string]Account{}
	for _, a := range append(all, Account{ID: systemAccount}, Account{ID: brokerAccount}) {
		key, err := e.id.accountKey(a.ID)
		if err != nil {
			return err
		}
		known[key] = a
	}
	present, err := e.servers.accounts(ctx)
	if err != nil {
		return err
	}
	for key := range present {
		if _, ok := known[key]; ok {
			continue
		}
		if err := e.servers.disown(ctx, key, whole); err != nil {
			return err
		}
	}
	for key, a := range known {
		if e.opener != nil {
			e.opener.name(key, a.Name)
		}
		if a.ID == systemAccount || a.ID == brokerAccount {
			continue
		}
		if present[key] {
			if err := e.ConformAccount(a); err != nil {
				return err
			}
			continue
		}
		e.log.Warn("an account was missing or damaged and is made again", "account", a.ID, "tenant", a.Name)
		if err := e.PutAccount(ctx, a); err != nil {
			return err
		}
	}
	return nil
}

// tokenFile is where the JWT of an account is kept.
func (e *Engine) tokenFile(key string) string { return filepath.Join(e.dir.accounts(), key+".jwt") }
