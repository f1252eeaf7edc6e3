package adminkey

import (
	"bytes"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/broker"
	"parley/broker/brokertest"
	"parley/internal/fault"
	"parley/tenants"
)

// start is what the clock of the tests begins with.
var start = time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC)

// nodes returns two stores over one broker, as on two nodes, with one clock, and where the broker has its data.
func nodes(t *testing.T) (one, two *Store, clock *time.Time, dir string) {
	t.Helper()
	dir = t.TempDir()
	e := brokertest.Start(t, broker.Config{DataDir: dir, Listen: broker.ListenOff}).Engine
	now := start
	open := func() *Store {
		s, err := Open(t.Context(), e, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		s.now = func() time.Time { return now }
		return s
	}
	return open(), open(), &now, dir
}

func wantFault(t *testing.T, what string, err error, code fault.Code, message string) {
	t.Helper()
	if fault.CodeOf(err) != code || fault.Message(err) != message {
		t.Errorf("%s: %s %q, want %s %q", what, fault.CodeOf(err), fault.Message(err), code, message)
	}
}

func TestKeysHoldOnAllNodesUntilTheyEnd(t *testing.T) {
	one, two, clock, dir := nodes(t)
	ctx := t.Context()
	if all, err := one.List(ctx); err != nil || len(all) != 0 {
		t.Errorf("at first: %v, %v", all, err)
	}
	ann, annText, err := one.Create(ctx, Spec{Name: "ann_1"})
	if err != nil || ann.Role != Full || ann.Prefix != "parleyadmin_ann_1" || !ann.GoodFor("acme") || !ann.GoodFor("") {
		t.Fatalf("%+v, %v", ann, err)
	}
	ci, ciText, err := two.Create(ctx, Spec{Name: "ci", Role: ReadOnly, Tenants: []tenants.ID{"acme", "acme"}, NotAfter: start.Add(time.Hour)})
	if err != nil || ci.Role != ReadOnly || len(ci.Tenants) != 1 || !ci.GoodFor("acme") || ci.GoodFor("evil") || ci.GoodFor("") {
		t.Fatalf("%+v, %v", ci, err)
	}
	for _, s := range []*Store{one, two} {
		for text, want := range map[string]string{annText: "ann_1", ciText: "ci"} {
			if got, err := s.Verify(ctx, text); err != nil || got.Name != want {
				t.Errorf("%s: %+v, %v", want, got, err)
			}
		}
	}
	secret := annText[len(ann.Prefix)+1:]
	for what, text := range map[string]string{
		"nothing": "", "no key": "x", "only the name": ann.Prefix, "no secret": ann.Prefix + "_", "cut off": annText[:len(annText)-1], "longer": annText + "0",
		"another's name": ci.Prefix + "_" + secret, "nobody's name": mark + "bob_" + secret, "another mark": "parley_ann_1_" + secret,
		"upper case": strings.ToUpper(annText), "endless": mark + strings.Repeat("a", maxKeyBytes) + "_" + secret,
	} {
		_, err := two.Verify(ctx, text)
		wantFault(t, what, err, fault.AuthFailed, "The admin key is wrong.")
	}

	*clock = start.Add(time.Hour)
	_, err = one.Verify(ctx, ciText)
	wantFault(t, "when it has ended", err, fault.TokenExpired, "The admin key ci expired at 2027-01-31T13:00:00Z.")
	revoked, err := two.Revoke(ctx, "ann_1")
	if err != nil || !revoked.Revoked.Equal(*clock) {
		t.Errorf("%+v, %v", revoked, err)
	}
	for _, s := range []*Store{one, two} {
		_, err = s.Verify(ctx, annText)
		wantFault(t, "revoked", err, fault.AuthFailed, "The admin key is wrong.")
	}
	*clock = start.Add(2 * time.Hour)
	if again, err := one.Revoke(ctx, "ann_1"); err != nil || !again.Revoked.Equal(revoked.Revoked) {
		t.Errorf("revoked again: %+v, %v", again, err)
	}
	all, err := two.List(ctx)
	if err != nil || len(all) != 2 || all[0].Name != "ann_1" || !all[0].LastUsed.Equal(start) || !all[1].LastUsed.Equal(start) {
		t.Errorf("%+v, %v", all, err)
	}

	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, text := range []string{annText, ciText} {
			if bytes.Contains(b, []byte(text[strings.LastIndex(text, "_")+1:])) {
				t.Errorf("%s holds the secret of %s", path, text)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestWhatCannotBeAKey(t *testing.T) {
	s, _, clock, _ := nodes(t)
	ctx := t.Context()
	mustCreate := func(spec Spec) {
		t.Helper()
		if _, _, err := s.Create(ctx, spec); err != nil {
			t.Fatal(err)
		}
	}
	mustCreate(Spec{Name: "ann"})
	mustCreate(Spec{Name: "old"})
	if _, err := s.Revoke(ctx, "old"); err != nil {
		t.Fatal(err)
	}
	const names, ids = "An admin key's name is 1 to 64 characters of A-Z a-z 0-9 _ and -.", "A tenant's id is 1 to 64 characters of A-Z a-z 0-9 _ and -."
	for what, c := range map[string]struct {
		spec    Spec
		code    fault.Code
		message string
	}{
		"no name":           {Spec{}, fault.InvalidID, names},
		"a dot":             {Spec{Name: "a.b"}, fault.InvalidID, names},
		"a space":           {Spec{Name: "a b"}, fault.InvalidID, names},
		"a line":            {Spec{Name: "a\nb"}, fault.InvalidID, names},
		"a slash":           {Spec{Name: "../a"}, fault.InvalidID, names},
		"a wildcard":        {Spec{Name: "*"}, fault.InvalidID, names},
		"not ASCII":         {Spec{Name: "änn"}, fault.InvalidID, names},
		"too long":          {Spec{Name: strings.Repeat("a", 65)}, fault.InvalidID, names},
		"root":              {Spec{Name: "root"}, fault.InvalidID, "The name root is that of the key in the data directory."},
		"root in capitals":  {Spec{Name: "ROOT"}, fault.InvalidID, "The name root is that of the key in the data directory."},
		"an unknown role":   {Spec{Name: "bob", Role: "admin"}, fault.InvalidFormat, "An admin key has the role full or read-only."},
		"a role in capital": {Spec{Name: "bob", Role: "Full"}, fault.InvalidFormat, "An admin key has the role full or read-only."},
		"ended":             {Spec{Name: "bob", NotAfter: *clock}, fault.InvalidFormat, "The admin key would have expired already."},
		"no tenant's id":    {Spec{Name: "bob", Tenants: []tenants.ID{"acme", "a.b"}}, fault.InvalidID, ids},
		"an empty id":       {Spec{Name: "bob", Tenants: []tenants.ID{""}}, fault.InvalidID, ids},
		"too many tenants":  {Spec{Name: "bob", Tenants: make([]tenants.ID, maxTenants+1)}, fault.InvalidFormat, "An admin key names at most 100 tenants."},
		"taken":             {Spec{Name: "ann"}, fault.AlreadyExists, "There is an admin key ann already."},
		"of a dead one":     {Spec{Name: "old"}, fault.AlreadyExists, "There was an admin key old, and the audit log knows it by that name."},
	} {
		_, text, err := s.Create(ctx, c.spec)
		wantFault(t, what, err, c.code, c.message)
		if text != "" {
			t.Errorf("%s: a key was made", what)
		}
	}
	_, err := s.Revoke(ctx, "bob")
	wantFault(t, "revoke what is not there", err, fault.NotFound, `There is no admin key "bob".`)
}

func TestManyKeys(t *testing.T) {
	one, two, _, _ := nodes(t)
	ctx := t.Context()
	var making sync.WaitGroup
	for i := range 10 { // on both nodes at once, so that they take turns
		making.Go(func() {
			s := []*Store{one, two}[i%2]
			if _, _, err := s.Create(ctx, Spec{Name: fmt.Sprint("key-", i)}); err != nil {
				t.Error(err)
			}
		})
	}
	making.Wait()
	if err := one.change(ctx, func(all []record) ([]record, error) {
		for i := len(all); i < maxKeys; i++ {
			r, _, err := newKey(Spec{Name: fmt.Sprint("key-", i)}, start)
			if err != nil {
				return nil, err
			}
			all = append(all, r)
		}
		return all, nil
	}); err != nil {
		t.Fatal(err)
	}
	_, _, err := one.Create(ctx, Spec{Name: "late"})
	wantFault(t, "one too many", err, fault.LimitExceeded, "There are at most 100 admin keys.")
	if _, err := two.Revoke(ctx, "key-50"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := one.Create(ctx, Spec{Name: "late"}); err != nil {
		t.Error(err)
	}
	all, err := two.List(ctx)
	has := func(name string) bool { return slices.ContainsFunc(all, func(k Key) bool { return k.Name == name }) }
	if err != nil || len(all) != maxKeys || has("key-50") || !has("late") || !has("key-9") {
		t.Errorf("%d keys, %v", len(all), err)
	}
}
