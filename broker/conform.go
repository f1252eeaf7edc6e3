package broker

import (
	"context"
	"errors"
	"io/fs"
	"maps"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
)

// ConformAccount has this node treat an account as it is described here, which costs the reading of a file when it does so
// already. Whoever changes an account tells all nodes that can be reached; this is for one that could not be, and learns
// of the change later. With external servers it does nothing: they keep each other up to date.
func (e *Engine) ConformAccount(a Account) error {
	if !e.Clustered() {
		return nil // there is nobody else who changes it
	}
	return e.servers.conform(a)
}

// conform compares the token that the server goes by. The other nodes are not told: they have it from whoever has changed
// the account, or compare for themselves.
func (s *embedded) conform(a Account) error {
	want, err := s.e.id.accountClaims(s.e.counted(a))
	if err != nil {
		return err
	}
	token, err := s.token(context.Background(), want.Subject)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it is looked up at another node when somebody comes
	}
	if err != nil {
		return err
	}
	have, err := jwt.DecodeAccountClaims(token)
	if err == nil && sameTerms(have, want) {
		return nil
	}
	s.e.log.Info("an account was changed while this node could not be told", "account", a.ID, "tenant", a.Name)
	if a.Suspended {
		s.e.conns.bar(a.ID)
	}
	if token, err = want.Encode(s.e.id.operator); err != nil {
		return err
	}
	tokens, ok := s.e.server.AccountResolver().(*server.DirAccResolver)
	if !ok {
		return errors.New("the server keeps its accounts elsewhere")
	}
	// Its Store takes nothing that was issued in the same second as what is there.
	if err := tokens.SaveAcc(want.Subject, token); err != nil {
		return unusable(s.e.dir.path, err)
	}
	if !a.Suspended {
		s.e.conns.admit(a.ID)
	}
	return nil
}

// sameTerms reports whether two tokens let the same users in under the same limits. When something was revoked is no matter.
func sameTerms(a, b *jwt.AccountClaims) bool {
	when := func(revoked, other jwt.RevocationList) bool {
		return maps.EqualFunc(revoked, other, func(int64, int64) bool { return true })
	}
	return a.Name == b.Name && when(a.Revocations, b.Revocations) &&
		a.Limits.Conn == b.Limits.Conn && a.Limits.DiskStorage == b.Limits.DiskStorage
}
