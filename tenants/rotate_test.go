package tenants

import (
	"fmt"
	"testing"
	"time"

	"parley/broker"
	"parley/internal/fault"
)

func TestRotateKey(t *testing.T) {
	x := mustRegistry(t, mustEngine(t, t.TempDir(), broker.ListenOff))
	tenant, _, err := x.Create(t.Context(), Spec{ID: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	first := tenant.Keys[0].Kid
	before, err := x.IssueToken(t.Context(), TokenSpec{Tenant: "acme", Agent: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	old, fresh, err := x.RotateKey(t.Context(), "acme", Rotation{Overlap: time.Hour})
	if err != nil || old.Kid != first || fresh.Kid == first || fresh.Alg != old.Alg || old.NotAfter.IsZero() || !old.Revoked.IsZero() {
		t.Fatalf("%+v, %+v, %v", old, fresh, err)
	}
	after, err := x.IssueToken(t.Context(), TokenSpec{Tenant: "acme", Agent: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{before, after} {
		if _, err := x.Verify(t.Context(), token); err != nil {
			t.Error(err)
		}
	}
	if grant, err := x.Verify(t.Context(), after); err != nil || grant.Kid != fresh.Kid {
		t.Errorf("signed with %+v, %v, want %s", grant, err, fresh.Kid)
	}
	// A second rotation does not give the first key more time.
	if again, _, err := x.RotateKey(t.Context(), "acme", Rotation{Kid: first, Overlap: 2 * time.Hour, New: KeySpec{Kid: "third"}}); err != nil || !again.NotAfter.Equal(old.NotAfter) {
		t.Errorf("%+v, %v, want the end %s", again, err, old.NotAfter)
	}
	if revoked, _, err := x.RotateKey(t.Context(), "acme", Rotation{Kid: fresh.Kid, New: KeySpec{Alg: ES256}}); err != nil || revoked.Revoked.IsZero() || revoked.CanSign {
		t.Errorf("%+v, %v", revoked, err)
	}
	if _, err := x.Verify(t.Context(), after); fault.CodeOf(err) != fault.AuthFailed {
		t.Errorf("a token of the revoked key: %v", err)
	}
	for _, c := range []struct {
		rotation Rotation
		want     fault.Code
	}{
		{Rotation{Kid: "none"}, fault.NotFound},
		{Rotation{Kid: fresh.Kid}, fault.NotFound}, // it is revoked
		{Rotation{Kid: first, New: KeySpec{Kid: "third"}}, fault.AlreadyExists},
		{Rotation{Kid: first, New: KeySpec{Kid: "a b"}}, fault.InvalidFormat},
		{Rotation{Kid: first, New: KeySpec{Secret: []byte("short")}}, fault.InvalidFormat},
		{Rotation{Overlap: -1}, fault.InvalidFormat},
	} {
		if _, _, err := x.RotateKey(t.Context(), "acme", c.rotation); fault.CodeOf(err) != c.want {
			t.Errorf("%+v: %v, want %s", c.rotation, err, c.want)
		}
	}
}

func TestAFullRingMakesRoom(t *testing.T) {
	now := time.Now()
	full := Tenant{}
	for i := range maxKeys {
		full.Keys = append(full.Keys, Key{Kid: fmt.Sprint("k", i)})
	}
	if err := full.makeRoom(now); fault.CodeOf(err) != fault.LimitExceeded {
		t.Errorf("all live: %v", err)
	}
	full.Keys[3].revoke(now)
	full.Keys[7].NotAfter = now.Add(-time.Second)
	if err := full.makeRoom(now); err != nil || len(full.Keys) != maxKeys-1 {
		t.Errorf("%v, %d keys", err, len(full.Keys))
	}
	if _, there := full.Key("k3"); there {
		t.Error("the oldest dead key is still there")
	}
}
