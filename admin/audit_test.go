package admin

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"parley/broker"
	"parley/internal/fault"
	"parley/tenants"
)

// flaky is a journal that can be made to fail.
type flaky struct {
	Journal
	broken *atomic.Bool
}

func (f *flaky) Append(ctx context.Context, topic broker.Name, id string, entry []byte) error {
	if f.broken.Load() {
		return errors.New("the journal is broken")
	}
	return f.Journal.Append(ctx, topic, id, entry)
}

func TestActsAreRecorded(t *testing.T) {
	w := newWorld(t)
	w.As("ann@desk")
	began := time.Now().Add(-time.Second)
	w.mustCreate(t, "acme")
	const secret = "a-secret-that-nobody-else-may-ever-see"
	if _, _, err := w.AddKey(t.Context(), "acme", NewKey{Kid: "mine", Secret: []byte(secret)}); err != nil {
		t.Fatal(err)
	}
	token, err := w.IssueToken(t.Context(), "acme", NewToken{Agent: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.InspectToken(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Tenants(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.History(t.Context(), "acme", "news", "", 1)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.RevokeKey(t.Context(), "acme", "none")
	wantCode(t, "revoke what is not there", err, fault.NotFound)
	_, err = w.RemoveNode(t.Context(), "nowhere")
	if err == nil {
		t.Error("a node that is not there was removed")
	}
	code := fault.CodeOf(err)

	page, err := w.Audit(t.Context(), AuditQuery{Since: began})
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		operation string
		tenant    tenants.ID
		code      fault.Code
	}{
		{"createTenant", "acme", ""},
		{"addKey", "acme", ""},
		{"issueToken", "acme", ""},
		{"listMessages", "acme", ""},
		{"revokeKey", "acme", fault.NotFound},
		{"removeNode", "", code},
	}
	if len(page.Entries) != 2*len(want) || page.More {
		t.Fatalf("%d entries, more %t: %+v", len(page.Entries), page.More, page.Entries)
	}
	for i, wanted := range want {
		attempt, outcome := page.Entries[2*i], page.Entries[2*i+1]
		if attempt.Phase != Attempt || outcome.Phase != Outcome || attempt.ID != outcome.ID || attempt.Seq >= outcome.Seq {
			t.Errorf("%s: %+v, %+v", wanted.operation, attempt, outcome)
		}
		for _, e := range []AuditEntry{attempt, outcome} {
			if e.Operation != wanted.operation || e.Tenant != wanted.tenant || e.Key != "root" || e.Person != "ann@desk" || e.Address != "127.0.0.1" || e.Node != "here" {
				t.Errorf("%+v, want %+v", e, wanted)
			}
		}
		if attempt.Code != "" || outcome.Code != wanted.code {
			t.Errorf("%s: codes %q and %q, want %q", wanted.operation, attempt.Code, outcome.Code, wanted.code)
		}
	}
	text, err := json.Marshal(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, hidden := range []string{secret, token, w.key} {
		if strings.Contains(string(text), hidden) {
			t.Errorf("the audit log holds the secret %s", hidden)
		}
	}
}

func TestTheAuditLogIsReadInParts(t *testing.T) {
	w := newWorld(t)
	for _, id := range []tenants.ID{"acme", "evil", "third"} {
		w.mustCreate(t, id)
	}
	var seen []string
	for after, more := uint64(0), true; more; {
		page, err := w.Audit(t.Context(), AuditQuery{After: after, Limit: 2})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Entries {
			seen = append(seen, string(e.Tenant)+" "+string(e.Phase))
		}
		after, more = page.Last, page.More
	}
	if got := strings.Join(seen, ", "); got != "acme attempt, acme outcome, evil attempt, evil outcome, third attempt, third outcome" {
		t.Error(got)
	}
	page, err := w.Audit(t.Context(), AuditQuery{Tenant: "evil"})
	if err != nil || len(page.Entries) != 2 || page.Entries[0].Tenant != "evil" {
		t.Errorf("of one tenant: %+v, %v", page, err)
	}
	page, err = w.Audit(t.Context(), AuditQuery{Since: time.Now().Add(time.Hour)})
	if err != nil || len(page.Entries) != 0 {
		t.Errorf("of the future: %+v, %v", page, err)
	}
	header := http.Header{"Authorization": {"Bearer " + w.key}}
	for _, query := range []string{"after=x", "after=-1", "limit=0", "limit=501", "since=yesterday", "tenant=a.b"} {
		if status, body := w.do(t, "GET", "/admin/v1/audit?"+query, "", header); status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", query, status, body)
		}
	}
}

func TestWhatCannotBeRecordedIsNotDone(t *testing.T) {
	w := newWorld(t)
	w.mustCreate(t, "acme")
	w.unwritable.Store(true)
	_, _, err := w.CreateTenant(t.Context(), NewTenant{ID: "late"})
	wantCode(t, "create", err, fault.Unavailable)
	wantCode(t, "delete", w.DeleteTenant(t.Context(), "acme"), fault.Unavailable)
	_, err = w.History(t.Context(), "acme", "news", "", 1)
	wantCode(t, "read", err, fault.Unavailable)
	all, err := w.Tenants(t.Context())
	if err != nil || len(all) != 1 || all[0].ID != "acme" {
		t.Errorf("tenants %v, %v", all, err)
	}
	w.unwritable.Store(false)
	w.mustCreate(t, "late")
}

func TestPersonsArePrintable(t *testing.T) {
	for given, want := range map[string]string{
		"ann@desk": "ann@desk", "": "", "a\x1b[2Jb": "", "ä": "", strings.Repeat("x", 200): strings.Repeat("x", maxPersonBytes),
	} {
		r := &http.Request{Header: http.Header{PersonHeader: {given}}}
		if got := personOf(r); got != want {
			t.Errorf("%q: %q, want %q", given, got, want)
		}
	}
}
