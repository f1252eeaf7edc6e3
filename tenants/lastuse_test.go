package tenants

import (
	"testing"
	"time"

	"parley/broker"
	"parley/internal/fault"
)

// TestLastUses asks for the last uses of API keys on the node that saw them, on another one, and after both have ended.
func TestLastUses(t *testing.T) {
	e := mustEngine(t, t.TempDir(), broker.ListenOff)
	var used, unused APIKey
	at := time.Now().UTC().Truncate(time.Second)
	want := func(on string, r *Registry) {
		t.Helper()
		keys, err := r.APIKeys(t.Context(), "acme")
		if err != nil || len(keys) != 2 || !keys[0].LastUsed.Equal(at) || !keys[1].LastUsed.IsZero() {
			t.Errorf("%s: %+v, %v; want %s used at %s, and %s never", on, keys, err, used.ID, at, unused.ID)
		}
	}
	t.Run("running", func(t *testing.T) {
		r := mustRegistryWith(t, e, Config{Now: func() time.Time { return at }})
		mustCreate(t, r, "acme")
		var text string
		used, text = mustAPIKey(t, r, "acme", APIKeySpec{})
		unused, _ = mustAPIKey(t, r, "acme", APIKeySpec{})
		if _, err := r.VerifyAPIKey(text); err != nil {
			t.Fatal(err)
		}
		if _, err := r.VerifyAPIKey(unused.Prefix + "_0123"); err == nil {
			t.Fatal("a bad key is good")
		}
		want("here", r)
		want("there", mustRegistry(t, e))
		if _, err := r.APIKeys(t.Context(), "nobody"); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("of nobody: %v", err)
		}
		at = at.Add(time.Minute)
		if _, err := r.VerifyAPIKey(text); err != nil {
			t.Fatal(err)
		}
	})
	want("after the end", mustRegistry(t, e)) // which has written the last one
}
