package tenants

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"parley/broker"
	"parley/broker/brokertest"
	"parley/internal/fault"
)

func mustEngine(t *testing.T, dir, listen string) *broker.Engine {
	t.Helper()
	return brokertest.Start(t, broker.Config{DataDir: dir, Listen: listen}).Engine
}

// mustRegistry opens a registry and runs it until the test ends.
func mustRegistry(t *testing.T, e engine) *Registry {
	t.Helper()
	return mustRegistryWith(t, e, Config{})
}

func mustRegistryWith(t *testing.T, e engine, cfg Config) *Registry {
	t.Helper()
	r, err := open(t.Context(), e, cfg, nil)
	if err != nil {
		t.Fatalf("open the registry: %v", err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() {
		if err := r.Run(ctx); err != nil {
			t.Errorf("run the registry: %v", err)
		}
	})
	t.Cleanup(func() { stop(); running.Wait() })
	return r
}

func mustCreate(t *testing.T, r *Registry, id ID) Tenant {
	t.Helper()
	tenant, created, err := r.Create(t.Context(), Spec{ID: id})
	if err != nil || !created {
		t.Fatalf("create %s: created %t, %v", id, created, err)
	}
	return tenant
}

func mustIssue(t *testing.T, r *Registry, spec TokenSpec) string {
	t.Helper()
	token, err := r.IssueToken(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func wantCode(t *testing.T, what string, err error, code fault.Code) {
	t.Helper()
	if fault.CodeOf(err) != code {
		t.Errorf("%s: %q (%v), want %q", what, fault.CodeOf(err), err, code)
	}
}

func TestCreateGetList(t *testing.T) {
	r := mustRegistry(t, mustEngine(t, t.TempDir(), broker.ListenOff))
	ctx := t.Context()
	acme := mustCreate(t, r, "acme")
	if acme.State != Active || len(acme.Keys) != 1 || !acme.Keys[0].CanSign || acme.Account == "" {
		t.Errorf("created %+v", acme)
	}
	if got, err := r.Get("acme"); err != nil || got.Revision != acme.Revision {
		t.Errorf("not there when Create returned: %+v, %v", got, err)
	}
	again, created, err := r.Create(ctx, Spec{ID: "acme"})
	if err != nil || created || again.Account != acme.Account {
		t.Errorf("created again: %t, %+v, %v", created, again, err)
	}
	_, _, err = r.Create(ctx, Spec{ID: "acme", Name: "Another"})
	wantCode(t, "another name", err, fault.AlreadyExists)
	for _, bad := range []ID{"", "a.b", "*", ">", "$SYS", "a b", "a/b", "ä", "a\x00", ID(strings.Repeat("a", 65)), ID(strings.Repeat("a", 10<<10))} {
		_, _, err := r.Create(ctx, Spec{ID: bad})
		wantCode(t, fmt.Sprintf("%.20q", bad), err, fault.InvalidID)
	}
	_, _, err = r.Create(ctx, Spec{ID: "x", Name: strings.Repeat("n", 257)})
	wantCode(t, "long name", err, fault.InvalidFormat)
	mustCreate(t, r, "aaa")
	if list := r.List(); len(list) != 2 || list[0].ID != "aaa" || list[1].ID != "acme" {
		t.Errorf("listed %v", list)
	}
	_, err = r.Get("nobody")
	wantCode(t, "unknown", err, fault.NotFound)
}

func TestTokensOfARegistry(t *testing.T) {
	r := mustRegistry(t, mustEngine(t, t.TempDir(), broker.ListenOff))
	ctx := t.Context()
	acme := mustCreate(t, r, "acme")
	mustCreate(t, r, "evil")
	token := mustIssue(t, r, TokenSpec{Tenant: "acme", Agent: "bot"})
	g, err := r.Verify(ctx, token)
	if err != nil || g.Tenant != "acme" || g.Account != acme.Account || g.Agent != "bot" {
		t.Fatalf("%+v, %v", g, err)
	}
	// The hostile tenant makes a key of the same id, and gets nowhere near acme.
	_, _, err = r.AddKey(ctx, "evil", KeySpec{Kid: g.Kid})
	wantCode(t, "a key of the same id", err, "")
	forged := mustIssue(t, r, TokenSpec{Tenant: "evil", Agent: "bot", Kid: g.Kid})
	if eg, err := r.Verify(ctx, forged); err != nil || eg.Tenant != "evil" || eg.Account == acme.Account {
		t.Errorf("the hostile tenant's own token: %+v, %v", eg, err)
	}
	_, err = r.IssueToken(ctx, TokenSpec{Tenant: "nobody", Agent: "a"})
	wantCode(t, "token of nobody", err, fault.NotFound)
	if report := r.Explain(ctx, token); !report.Valid {
		t.Errorf("%+v", report)
	}
}

func TestKeysOfARegistry(t *testing.T) {
	r := mustRegistry(t, mustEngine(t, t.TempDir(), broker.ListenOff))
	ctx := t.Context()
	mustCreate(t, r, "acme")
	secret := []byte(strings.Repeat("s", 32))
	spec := KeySpec{Kid: "mine", Secret: secret}
	k, added, err := r.AddKey(ctx, "acme", spec)
	if err != nil || !added || k.Kid != "mine" {
		t.Fatalf("%+v, %t, %v", k, added, err)
	}
	if _, added, err := r.AddKey(ctx, "acme", spec); err != nil || added {
		t.Errorf("the same again: %t, %v", added, err)
	}
	_, _, err = r.AddKey(ctx, "acme", KeySpec{Kid: "mine", Secret: []byte(strings.Repeat("x", 32))})
	wantCode(t, "another secret", err, fault.AlreadyExists)
	_, _, err = r.AddKey(ctx, "acme", KeySpec{Kid: "mine", Alg: ES256})
	wantCode(t, "another algorithm", err, fault.AlreadyExists)
	_, _, err = r.AddKey(ctx, "nobody", spec)
	wantCode(t, "of nobody", err, fault.NotFound)

	g, err := r.Verify(ctx, mustIssue(t, r, TokenSpec{Tenant: "acme", Agent: "bot"}))
	if err != nil || g.Kid != "mine" || r.Recheck(g) != nil {
		t.Fatalf("%+v, %v", g, err)
	}
	revoked, err := r.RevokeKey(ctx, "acme", "mine")
	if err != nil || revoked.Revoked.IsZero() || revoked.material != nil {
		t.Errorf("%+v, %v", revoked, err)
	}
	wantCode(t, "recheck", r.Recheck(g), fault.AuthFailed)
	if _, err := r.RevokeKey(ctx, "acme", "mine"); err != nil {
		t.Errorf("revoked twice: %v", err)
	}
	_, _, err = r.AddKey(ctx, "acme", spec)
	wantCode(t, "a revoked id again", err, fault.AlreadyExists)
	_, err = r.RevokeKey(ctx, "acme", "nobody")
	wantCode(t, "unknown key", err, fault.NotFound)

	for tenant, _ := r.Get("acme"); len(tenant.Keys) < maxKeys; tenant, _ = r.Get("acme") {
		if _, _, err := r.AddKey(ctx, "acme", KeySpec{}); err != nil {
			t.Fatal(err)
		}
	}
	_, _, err = r.AddKey(ctx, "acme", KeySpec{})
	wantCode(t, "one too many", err, fault.LimitExceeded)
}

func TestSuspendResume(t *testing.T) {
	e := mustEngine(t, t.TempDir(), "127.0.0.1:0")
	r := mustRegistry(t, e)
	ctx := t.Context()
	acme := mustCreate(t, r, "acme")
	mustCreate(t, r, "other")
	token := mustIssue(t, r, TokenSpec{Tenant: "acme", Agent: "bot"})
	g, err := r.Verify(ctx, token)
	if err != nil {
		t.Fatal(err)
	}
	creds, _, err := e.Creds(t.Context(), acme.Account, broker.CredsRequest{Name: "svc", Publish: []string{"channel.>"}, Subscribe: []string{"channel.>"}})
	if err != nil {
		t.Fatal(err)
	}
	connect := func() (*nats.Conn, error) {
		return nats.Connect(e.ServicesURL(), nats.UserCredentialBytes(creds), nats.NoReconnect())
	}
	service, err := connect()
	if err != nil {
		t.Fatal(err)
	}
	defer service.Close()
	closed := service.StatusChanged(nats.CLOSED)

	for range 2 { // twice is once
		if s, err := r.Suspend(ctx, "acme"); err != nil || s.State != Suspended {
			t.Fatalf("%+v, %v", s, err)
		}
	}
	<-closed
	if nc, err := connect(); err == nil {
		nc.Close()
		t.Error("a service of a suspended tenant can connect")
	}
	_, err = r.Verify(ctx, token)
	wantCode(t, "verify", err, fault.TenantSuspended)
	wantCode(t, "recheck", r.Recheck(g), fault.TenantSuspended)
	_, err = r.IssueToken(ctx, TokenSpec{Tenant: "acme", Agent: "bot"})
	wantCode(t, "issue", err, fault.TenantSuspended)
	if _, err := r.Verify(ctx, mustIssue(t, r, TokenSpec{Tenant: "other", Agent: "bot"})); err != nil {
		t.Errorf("the other tenant suffers: %v", err)
	}

	for range 2 {
		if s, err := r.Resume(ctx, "acme"); err != nil || s.State != Active {
			t.Fatalf("%+v, %v", s, err)
		}
	}
	if _, err := r.Verify(ctx, token); err != nil || r.Recheck(g) != nil {
		t.Errorf("after resume: %v", err)
	}
	nc, err := connect()
	if err != nil {
		t.Fatalf("after resume: %v", err)
	}
	nc.Close()
	_, err = r.Suspend(ctx, "nobody")
	wantCode(t, "suspend nobody", err, fault.NotFound)
	_, err = r.Resume(ctx, "nobody")
	wantCode(t, "resume nobody", err, fault.NotFound)
}

func TestDeleteIsForGood(t *testing.T) {
	e := mustEngine(t, t.TempDir(), broker.ListenOff)
	r := mustRegistry(t, e)
	ctx := t.Context()
	acme := mustCreate(t, r, "acme")
	token := mustIssue(t, r, TokenSpec{Tenant: "acme", Agent: "bot"})
	g, err := r.Verify(ctx, token)
	if err != nil {
		t.Fatal(err)
	}
	c, err := e.Acquire(ctx, acme.Account)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.JetStream().CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: "data"}); err != nil {
		t.Fatal(err)
	}
	c.Release()
	if err := r.Delete(ctx, "acme"); err != nil {
		t.Fatal(err)
	}
	_, err = r.Get("acme")
	wantCode(t, "get", err, fault.NotFound)
	wantCode(t, "delete again", r.Delete(ctx, "acme"), fault.NotFound)
	_, err = r.Verify(ctx, token)
	wantCode(t, "verify", err, fault.AuthFailed)
	wantCode(t, "recheck", r.Recheck(g), fault.AuthFailed)

	// Its name may be used again, and brings nothing back.
	next := mustCreate(t, r, "acme")
	if next.Account == acme.Account {
		t.Error("the account is used again")
	}
	_, err = r.Verify(ctx, token)
	wantCode(t, "an old token for the new tenant", err, fault.AuthFailed)
	wantCode(t, "an old grant for the new tenant", r.Recheck(g), fault.AuthFailed)
	c, err = e.Acquire(ctx, next.Account)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Release()
	if _, err := c.JetStream().KeyValue(ctx, "data"); !errors.Is(err, jetstream.ErrBucketNotFound) {
		t.Errorf("the old data: %v", err)
	}
}

func TestRegistrySurvivesRestart(t *testing.T) {
	dir := t.TempDir()
	ctx := t.Context()
	var token string
	t.Run("before", func(t *testing.T) {
		r := mustRegistry(t, mustEngine(t, dir, broker.ListenOff))
		mustCreate(t, r, "acme")
		mustCreate(t, r, "asleep")
		mustCreate(t, r, "gone")
		token = mustIssue(t, r, TokenSpec{Tenant: "acme", Agent: "bot"})
		if _, err := r.Suspend(ctx, "asleep"); err != nil {
			t.Fatal(err)
		}
		if err := r.Delete(ctx, "gone"); err != nil {
			t.Fatal(err)
		}
	})
	r := mustRegistry(t, mustEngine(t, dir, broker.ListenOff))
	if _, err := r.Verify(ctx, token); err != nil {
		t.Error(err)
	}
	if list := r.List(); len(list) != 2 || list[1].State != Suspended {
		t.Errorf("%v", list)
	}
}

// Two registries on one bucket are what two nodes are.
func TestOtherNodesSeeChanges(t *testing.T) {
	e := mustEngine(t, t.TempDir(), broker.ListenOff)
	here, there := mustRegistry(t, e), mustRegistry(t, e)
	ctx := t.Context()
	seen := make(chan Tenant, 100)
	stop := there.Changes(func(t Tenant) { seen <- t })
	next := func(id ID, state State) {
		t.Helper()
		for tenant := range seen {
			if tenant.ID == id && tenant.State == state {
				return
			}
		}
	}
	mustCreate(t, here, "acme")
	next("acme", Active)
	g, err := there.Verify(ctx, mustIssue(t, here, TokenSpec{Tenant: "acme", Agent: "bot"}))
	if err != nil {
		t.Fatal(err)
	}
	key, text := mustAPIKey(t, here, "acme", APIKeySpec{})
	next("acme", Active)
	byKey, err := there.VerifyAPIKey(text)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := here.RevokeAPIKey(ctx, "acme", key.ID); err != nil {
		t.Fatal(err)
	}
	next("acme", Active)
	wantCode(t, "an API key there", there.Recheck(byKey), fault.AuthFailed)
	leaked, err := there.Verify(ctx, mustIssue(t, here, TokenSpec{Tenant: "acme", Agent: "bot"}))
	if err != nil {
		t.Fatal(err)
	}
	opened := mustAcme(t, there).Revision
	mustRevoke(t, here, RevocationSpec{JTI: leaked.JTI})
	next("acme", Active)
	wantCode(t, "a revoked token there", there.Recheck(leaked), fault.AuthFailed)
	if _, err := here.Kick(ctx, "acme", "bot", false); err != nil {
		t.Fatal(err)
	}
	next("acme", Active)
	if acme := mustAcme(t, there); !acme.Kicked("bot", opened) || acme.Kicked("bot", acme.Revision) {
		t.Errorf("kicked there: %+v", acme.Kicks)
	}
	mustCreds(t, here, "backend")
	next("acme", Active)
	if _, err := there.RevokeCreds(ctx, "acme", CredsSelector{Name: "backend"}); err != nil {
		t.Fatal(err)
	}
	next("acme", Updating)
	next("acme", Active)
	if _, err := here.Suspend(ctx, "acme"); err != nil {
		t.Fatal(err)
	}
	next("acme", Suspended)
	wantCode(t, "there", there.Recheck(g), fault.TenantSuspended)
	if err := there.Delete(ctx, "acme"); err != nil {
		t.Fatal(err)
	}
	next("acme", Deleting)
	stop()
	mustCreate(t, there, "later")
	for len(seen) > 0 {
		if tenant := <-seen; tenant.ID == "later" {
			t.Error("told after unregister")
		}
	}
}

// Whoever changes a tenant at the same time as others loses nothing of theirs.
func TestConcurrentMutations(t *testing.T) {
	e := mustEngine(t, t.TempDir(), broker.ListenOff)
	nodes := []*Registry{mustRegistry(t, e), mustRegistry(t, e)}
	ctx := t.Context()
	var all sync.WaitGroup
	var mu sync.Mutex
	created := 0
	for i := range 16 {
		all.Go(func() {
			r := nodes[i%2]
			_, isNew, err := r.Create(ctx, Spec{ID: "acme"})
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			if isNew {
				created++
			}
			mu.Unlock()
			if _, _, err := r.AddKey(ctx, "acme", KeySpec{Kid: fmt.Sprint("k", i)}); err != nil {
				t.Error(err)
			}
			if i%4 == 0 {
				if _, err := r.Suspend(ctx, "acme"); err != nil {
					t.Error(err)
				}
				if _, err := r.Resume(ctx, "acme"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if created != 1 {
		t.Errorf("created %d times", created)
	}
	tenant, err := nodes[0].read(ctx, "acme")
	if err != nil || len(tenant.Keys) != 17 || !tenant.State.settled() {
		t.Fatalf("%d keys, %s, %v", len(tenant.Keys), tenant.State, err)
	}
	// What the record says is what the engine does.
	if _, err := nodes[0].Resume(ctx, "acme"); err != nil {
		t.Fatal(err)
	}
	c, err := e.Acquire(ctx, tenant.Account)
	if err != nil {
		t.Fatalf("active, but: %v", err)
	}
	c.Release()
}

// failing stands in for the process dying: the engine's step fails as long as broken is set.
type failing struct {
	engine
	before, after bool // fail before the step is done, or when it is
}

var errDied = errors.New("died")

func (f *failing) PutAccount(ctx context.Context, a broker.Account) error {
	if f.before {
		return errDied
	}
	if err := f.engine.PutAccount(ctx, a); err != nil || !f.after {
		return err
	}
	return errDied
}

func (f *failing) EraseAccount(ctx context.Context, a broker.AccountID) error {
	if f.before {
		return errDied
	}
	if err := f.engine.EraseAccount(ctx, a); err != nil || !f.after {
		return err
	}
	return errDied
}

func TestInterruptedStepsAreFinished(t *testing.T) {
	steps := []struct {
		name    string
		prepare func(*Registry) error
		do      func(*Registry) error
		want    State // "" when the tenant must be gone
	}{
		{
			name:    "create",
			prepare: func(*Registry) error { return nil },
			do:      func(r *Registry) error { _, _, err := r.Create(t.Context(), Spec{ID: "acme"}); return err },
			want:    Active,
		},
		{name: "suspend", do: func(r *Registry) error { _, err := r.Suspend(t.Context(), "acme"); return err }, want: Suspended},
		{
			name: "resume",
			prepare: func(r *Registry) error {
				if _, _, err := r.Create(t.Context(), Spec{ID: "acme"}); err != nil {
					return err
				}
				_, err := r.Suspend(t.Context(), "acme")
				return err
			},
			do: func(r *Registry) error { _, err := r.Resume(t.Context(), "acme"); return err }, want: Active,
		},
		{name: "delete", do: func(r *Registry) error { return r.Delete(t.Context(), "acme") }},
	}
	create := func(r *Registry) error { _, _, err := r.Create(t.Context(), Spec{ID: "acme"}); return err }
	for _, step := range steps {
		for _, when := range []string{"before", "after"} {
			t.Run(step.name+" "+when, func(t *testing.T) {
				e := mustEngine(t, t.TempDir(), broker.ListenOff)
				broken := &failing{engine: e}
				r := mustRegistry(t, broken)
				prepare := step.prepare
				if prepare == nil {
					prepare = create
				}
				if err := prepare(r); err != nil {
					t.Fatal(err)
				}
				broken.before, broken.after = when == "before", when == "after"
				if err := step.do(r); !errors.Is(err, errDied) {
					t.Fatalf("did not die: %v", err)
				}
				wantPending(t, r, step.want)
				wantSettled(t, e, step.want)
			})
		}
	}
}

// wantPending checks that nobody takes a half-done tenant for a whole one.
func wantPending(t *testing.T, r *Registry, want State) {
	t.Helper()
	stored, err := r.read(t.Context(), "acme")
	if err != nil || stored.State.settled() {
		t.Fatalf("stored as %s, %v", stored.State, err)
	}
	if err := r.awaitRevision(t.Context(), stored); err != nil {
		t.Fatal(err)
	}
	got, err := r.Get("acme")
	if err == nil && !got.Suspended() {
		t.Errorf("a tenant that is %s is in use", got.State)
	}
	if want == "" || stored.State == Creating {
		wantCode(t, "get", err, fault.NotFound)
	}
}

// wantSettled opens the registry anew, as the next start does.
func wantSettled(t *testing.T, e *broker.Engine, want State) {
	t.Helper()
	r := mustRegistry(t, e)
	got, err := r.Get("acme")
	if want == "" {
		wantCode(t, "after restart", err, fault.NotFound)
		mustCreate(t, r, "acme")
		return
	}
	if err != nil || got.State != want {
		t.Fatalf("after restart: %s, %v", got.State, err)
	}
	c, err := e.Acquire(t.Context(), got.Account)
	if (err == nil) != (want == Active) {
		t.Errorf("%s, and its account: %v", want, err)
	}
	if err == nil {
		c.Release()
	}
}

// A change can also be finished by whoever needs the tenant next.
func TestInterruptedStepsAreFinishedByTheNextChange(t *testing.T) {
	e := mustEngine(t, t.TempDir(), broker.ListenOff)
	broken := &failing{engine: e}
	r := mustRegistry(t, broken)
	mustCreate(t, r, "acme")
	first, _ := r.Get("acme")
	broken.before = true
	if err := r.Delete(t.Context(), "acme"); !errors.Is(err, errDied) {
		t.Fatal(err)
	}
	broken.before = false
	again := mustCreate(t, r, "acme")
	if again.Account == first.Account {
		t.Error("a half-deleted tenant came back")
	}
	broken.after = true
	if _, err := r.Suspend(t.Context(), "acme"); !errors.Is(err, errDied) {
		t.Fatal(err)
	}
	broken.after = false
	if _, _, err := r.AddKey(t.Context(), "acme", KeySpec{Kid: "k"}); err != nil {
		t.Fatal(err)
	}
	if got, err := r.Get("acme"); err != nil || got.State != Suspended {
		t.Errorf("%s, %v", got.State, err)
	}
}

func TestDamagedRecordHarmsNobodyElse(t *testing.T) {
	e := mustEngine(t, t.TempDir(), broker.ListenOff)
	r := mustRegistry(t, e)
	mustCreate(t, r, "acme")
	// These two have no accounts: of a tenant that has one, losing the record stops the next start.
	if _, err := r.bucket.Put(t.Context(), "broken", []byte(`{"format":1`)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.bucket.Put(t.Context(), "alias", []byte(`{"format":1,"id":"acme","account":"x"}`)); err != nil {
		t.Fatal(err)
	}
	mustCreate(t, r, "later")
	ids := func(r *Registry) (ids []ID) {
		for _, t := range r.List() {
			ids = append(ids, t.ID)
		}
		return ids
	}
	for _, r := range []*Registry{r, mustRegistry(t, e)} {
		if got := ids(r); !slices.Equal(got, []ID{"acme", "later"}) {
			t.Errorf("%v", got)
		}
	}
}

func TestLostRecordStopsTheStart(t *testing.T) {
	e := mustEngine(t, t.TempDir(), broker.ListenOff)
	r := mustRegistry(t, e)
	mustCreate(t, r, "acme")
	mustCreate(t, r, "other")
	if err := r.bucket.Purge(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	_, err := open(t.Context(), e, Config{}, nil)
	wantCode(t, "open", err, fault.Unavailable)
}

func TestMutationWithoutRunSaysSo(t *testing.T) {
	r, err := open(t.Context(), mustEngine(t, t.TempDir(), broker.ListenOff), Config{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, _, err = r.Create(ctx, Spec{ID: "acme"})
	wantCode(t, "create", err, fault.OutcomeUnknown)
}

func TestConfigIsChecked(t *testing.T) {
	for _, cfg := range []Config{{Leeway: time.Minute}, {Leeway: -1}, {MaxTokenLife: time.Second}} {
		if _, err := cfg.withDefaults(); fault.CodeOf(err) != fault.Usage {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}
