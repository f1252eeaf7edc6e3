package admin

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"parley/admin/adminkey"
	"parley/internal/fault"
	"parley/tenants"
)

// as returns a client with another key.
func (w *world) as(t *testing.T, key string) *Client {
	t.Helper()
	c, err := NewClient(w.url, key)
	if err != nil {
		t.Fatal(err)
	}
	c.http.Transport = w.Client.http.Transport
	return c
}

func (w *world) mustKey(t *testing.T, name string, spec NewNamedKey) *Client {
	t.Helper()
	made, err := w.CreateAdminKey(t.Context(), name, spec)
	if err != nil {
		t.Fatal(err)
	}
	return w.as(t, made.Text)
}

func TestAdminKeys(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.mustCreate(t, "acme")
	w.mustCreate(t, "evil")
	ann := w.mustKey(t, "ann", NewNamedKey{})
	looker := w.mustKey(t, "looker", NewNamedKey{Role: adminkey.ReadOnly, NotAfter: time.Now().Add(time.Hour)})
	agency := w.mustKey(t, "agency", NewNamedKey{Tenants: []tenants.ID{"acme"}})

	if _, err := ann.SuspendTenant(ctx, "evil"); err != nil {
		t.Error(err)
	}
	if _, err := ann.ResumeTenant(ctx, "evil"); err != nil {
		t.Error(err)
	}
	if _, err := looker.Tenants(ctx); err != nil {
		t.Error(err)
	}
	if _, err := looker.History(ctx, "evil", "news", "", 1); err != nil {
		t.Error(err)
	}
	if _, err := looker.InspectToken(ctx, "x"); err != nil {
		t.Error(err)
	}
	_, err := looker.SuspendTenant(ctx, "acme")
	wantRefusal(t, err, fault.PermissionDenied, "The admin key looker is read-only.")
	_, err = looker.CreateAdminKey(ctx, "more", NewNamedKey{})
	wantRefusal(t, err, fault.PermissionDenied, "The admin key looker is read-only.")
	_, err = looker.RevokeAdminKey(ctx, "ann")
	wantRefusal(t, err, fault.PermissionDenied, "The admin key looker is read-only.")
	if _, err := agency.Publish(ctx, "acme", "news", NewMessage{Content: jsontext.Value(`"hi"`)}); err != nil {
		t.Error(err)
	}
	if _, err := agency.Audit(ctx, AuditQuery{Tenant: "acme"}); err != nil {
		t.Error(err)
	}
	const only = "The admin key agency is only good for what concerns the tenants acme."
	for _, try := range []func() error{
		func() error { _, err := agency.Tenant(ctx, "evil"); return err },
		func() error { _, err := agency.Tenants(ctx); return err },
		func() error { _, err := agency.Audit(ctx, AuditQuery{Tenant: "evil"}); return err },
		func() error { _, err := agency.Audit(ctx, AuditQuery{}); return err },
		func() error { _, err := agency.AdminKeys(ctx); return err },
		func() error { _, err := agency.CreateAdminKey(ctx, "more", NewNamedKey{}); return err },
		func() error { return agency.DeleteTenant(ctx, "evil") },
	} {
		wantRefusal(t, try(), fault.PermissionDenied, only)
	}

	keys, err := w.AdminKeys(ctx)
	if err != nil || len(keys) != 3 || keys[2].LastUsed.IsZero() {
		t.Errorf("%+v, %v", keys, err)
	}
	if _, err := w.RevokeAdminKey(ctx, "ann"); err != nil {
		t.Fatal(err)
	}
	_, err = ann.Info(ctx)
	wantRefusal(t, err, fault.AuthFailed, "The admin key is wrong.")
	_, err = w.RevokeAdminKey(ctx, "root")
	wantRefusal(t, err, fault.NotFound, `There is no admin key "root".`)

	page, err := w.Audit(ctx, AuditQuery{})
	if err != nil {
		t.Fatal(err)
	}
	var acts []string
	for _, e := range page.Entries {
		if e.Phase == Outcome && e.Key != "root" {
			acts = append(acts, strings.TrimSpace(e.Key+" "+e.Operation+" "+string(e.Code)))
		}
	}
	want := []string{
		"ann suspendTenant", "ann resumeTenant", "looker listMessages", "looker suspendTenant PERMISSION_DENIED", "looker createAdminKey PERMISSION_DENIED",
		"looker revokeAdminKey PERMISSION_DENIED", "agency publish", "agency createAdminKey PERMISSION_DENIED", "agency deleteTenant PERMISSION_DENIED",
	}
	if !slices.Equal(acts, want) {
		t.Errorf("the audit log has %q,\nwant %q", acts, want)
	}
}

func TestTailsEndWithTheKey(t *testing.T) {
	w := newWorld(t)
	w.mustCreate(t, "acme")
	bob := w.mustKey(t, "bob", NewNamedKey{Role: adminkey.ReadOnly})
	ended := make(chan error, 1)
	heard := make(chan struct{}, 1)
	go func() {
		ended <- bob.Tail(t.Context(), "acme", "news", "0", func(jsontext.Value) error { heard <- struct{}{}; return nil })
	}()
	if _, err := w.Publish(t.Context(), "acme", "news", NewMessage{Content: jsontext.Value(`1`)}); err != nil {
		t.Fatal(err)
	}
	<-heard
	if _, err := w.RevokeAdminKey(t.Context(), "bob"); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func wantRefusal(t *testing.T, err error, code fault.Code, message string) {
	t.Helper()
	if fault.CodeOf(err) != code || fault.Message(err) != message {
		t.Errorf("%s %q, want %s %q", fault.CodeOf(err), fault.Message(err), code, message)
	}
}

func TestBadAdminKeys(t *testing.T) {
	w := newWorld(t)
	for path, refusals := range map[string]map[string]string{
		"/adminkeys/bob": {
			`{"role":"admin"}`:                     `INVALID_FORMAT An admin key has the role full or read-only.`,
			`{"role":1}`:                           `INVALID_FORMAT The request's member "/role" is unknown or not of the right type.`,
			`{"name":"bob"}`:                       `INVALID_FORMAT The request's member "/name" is unknown or not of the right type.`,
			`{"tenants":["a.b"]}`:                  `INVALID_ID A tenant's id is 1 to 64 characters of A-Z a-z 0-9 _ and -.`,
			`{"tenants":["nobody"]}`:               `NOT_FOUND There is no tenant "nobody".`,
			`{"not_after":"tomorrow"}`:             `INVALID_FORMAT The request's member "/not_after" is unknown or not of the right type.`,
			`{"not_after":"2007-01-31T12:00:00Z"}`: `INVALID_FORMAT The admin key would have expired already.`,
			``:                                     `INVALID_FORMAT The request is not a JSON object as this endpoint takes it.`,
			`[]`:                                   `INVALID_FORMAT The request is not a JSON object as this endpoint takes it.`,
		},
		"/adminkeys/root":  {`{}`: `INVALID_ID The name root is that of the key in the data directory.`},
		"/adminkeys/a%2Fb": {`{}`: `INVALID_ID An admin key's name is 1 to 64 characters of A-Z a-z 0-9 _ and -.`},
		"/adminkeys/a.b":   {`{}`: `INVALID_ID An admin key's name is 1 to 64 characters of A-Z a-z 0-9 _ and -.`},
	} {
		for body, want := range refusals {
			var got Problem
			_, answer := w.do(t, "POST", prefix+path, body, w.bearer())
			if err := json.Unmarshal([]byte(answer), &got); err != nil || string(got.Code)+" "+got.Message != want {
				t.Errorf("%s %s: %s, want %s", path, body, answer, want)
			}
		}
	}
}

// What keys that are not for everything may do of all that there is.
func TestWhatKeysMay(t *testing.T) {
	looker := caller{key: adminkey.Key{Name: "looker", Role: adminkey.ReadOnly}}
	agency := caller{key: adminkey.Key{Name: "agency", Role: adminkey.Full, Tenants: []tenants.ID{"acme"}}}
	harmless := []string{"inspectToken"}
	secret := []string{"backup"}
	common := []string{"getInfo", "getOpenAPI"}
	for _, rt := range (&Server{}).table() {
		for tenant, ours := range map[string]bool{"acme": true, "evil": false} {
			r, err := http.NewRequestWithContext(t.Context(), rt.method, "http://h/?tenant="+tenant, nil)
			if err != nil {
				t.Fatal(err)
			}
			named := strings.Contains(rt.path, "{tenant}")
			if named {
				r.SetPathValue("tenant", tenant)
			}
			reads := rt.method == http.MethodGet && !slices.Contains(secret, rt.id) || slices.Contains(harmless, rt.id)
			if err := looker.may(rt, r); (err == nil) != reads {
				t.Errorf("%s with a key that may read: %v", rt.id, err)
			}
			allowed := ours && (named || rt.method == http.MethodGet) || slices.Contains(common, rt.id)
			if err := agency.may(rt, r); (err == nil) != allowed {
				t.Errorf("%s for %s with a key of acme: %v", rt.id, tenant, err)
			}
		}
	}
}
