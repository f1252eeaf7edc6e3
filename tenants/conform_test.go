package tenants

import (
	"errors"
	"testing"
	"time"

	"parley/broker"
)

// reluctant is an engine that can't conform to what has changed at first.
type reluctant struct {
	engine
	asked chan broker.AccountID
}

func (e *reluctant) ConformAccount(a broker.Account) error {
	e.asked <- a.ID
	return errors.New("the disk is full")
}

// TestConformingIsTriedAgain: a node whose server could not be told who is shut out tries until it can.
func TestConformingIsTriedAgain(t *testing.T) {
	t.Parallel()
	e := &reluctant{mustEngine(t, t.TempDir(), broker.ListenOff), make(chan broker.AccountID, 100)}
	r := mustRegistry(t, e)
	acme := mustCreate(t, r, "acme")
	r.news.add(acme.ID) // as in a cluster
	for range 2 {
		select {
		case a := <-e.asked:
			if a != acme.Account {
				t.Errorf("account %s, want %s", a, acme.Account)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("it is not tried again")
		}
	}
}
