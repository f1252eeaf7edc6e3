package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"parley/internal/fault"
	"parley/sessions"
)

// patience bounds what a test waits for that must come.
const patience = 30 * time.Second

// talk makes a session of ann's in the tenant acme.
func (w *world) talk(t *testing.T) (ann sessions.Principal, id string) {
	t.Helper()
	about, err := w.registry.Get("acme")
	if err != nil {
		t.Fatal(err)
	}
	ann = sessions.Principal{Tenant: "acme", Account: about.Account, User: "ann"}
	info, _, err := w.talks.Create(t.Context(), ann, sessions.Spec{Title: "Shoes"})
	if err != nil {
		t.Fatal(err)
	}
	return ann, info.ID
}

// tailing follows a session and hands out what comes, one line an event, until "closed".
func (w *world) tailing(t *testing.T, tenant, id string, from uint64) (next func() string) {
	t.Helper()
	lines, ended := make(chan string, 100), make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(func() { cancel(); <-ended })
	go func() {
		ended <- w.TailSession(ctx, tenant, id, from, func(line jsontext.Value) error {
			var e sessions.Event
			err := json.Unmarshal(line, &e)
			lines <- fmt.Sprintf("%d %s %s %s", e.Index, e.Kind, e.From, e.Text)
			return err
		})
		close(ended)
	}()
	return func() string {
		t.Helper()
		select {
		case line := <-lines:
			return line
		case err := <-ended:
			t.Fatalf("the tail ended: %v", err)
		case <-time.After(patience):
			t.Fatal("no event came")
		}
		return ""
	}
}

func TestHandOff(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	w.mustCreate(t, "acme")
	ann, id := w.talk(t)
	if _, _, err := w.talks.Say(ctx, ann, id, sessions.Utterance{Text: "Hello?"}); err != nil {
		t.Fatal(err)
	}
	if waiting, err := w.Queue(ctx, "acme"); err != nil || len(waiting) != 0 {
		t.Fatalf("the queue has %v, %v before anybody waits", waiting, err)
	}
	if o, err := w.Escalate(ctx, "acme", id, Order{Text: "too slow"}); err != nil || o.State.Mode != sessions.Waiting {
		t.Fatalf("escalate: %+v, %v", o, err)
	}
	waiting, err := w.Queue(ctx, "acme")
	if err != nil || len(waiting) != 1 || waiting[0].ID != id || waiting[0].User != "ann" || waiting[0].Title != "Shoes" {
		t.Fatalf("the queue: %+v, %v", waiting, err)
	}
	_, err = w.Reply(ctx, "acme", id, Order{Operator: "otto", Text: "Hi"})
	wantCode(t, "a reply before the claim", err, fault.PermissionDenied)
	_, err = w.Claim(ctx, "acme", id, Order{})
	wantCode(t, "a claim by nobody", err, fault.PermissionDenied)
	_, err = w.Claim(ctx, "acme", id, Order{Operator: "a\nb"})
	wantCode(t, "a claim by a name that can't be printed", err, fault.InvalidID)
	if o, err := w.Claim(ctx, "acme", id, Order{Operator: "otto"}); err != nil || o.State.Operator != "otto" || o.State.Epoch != 1 {
		t.Fatalf("claim: %+v, %v", o, err)
	}
	_, err = w.Claim(ctx, "acme", id, Order{Operator: "eve"})
	wantCode(t, "a second claim", err, fault.AlreadyExists)
	_, err = w.Reply(ctx, "acme", id, Order{Operator: "eve", Text: "Hi"})
	wantCode(t, "a reply by another operator", err, fault.PermissionDenied)
	for _, duplicate := range []bool{false, true} {
		if r, err := w.Reply(ctx, "acme", id, Order{Operator: "otto", ID: "r1", Text: "Hi Ann"}); err != nil || r != (Reply{"r1", duplicate}) {
			t.Fatalf("reply: %+v, %v", r, err)
		}
	}
	if o, err := w.Release(ctx, "acme", id, Order{Operator: "otto"}); err != nil || o.State.Mode != sessions.ByAI || o.State.Epoch != 2 {
		t.Fatalf("release: %+v, %v", o, err)
	}
	if waiting, err := w.Queue(ctx, "acme"); err != nil || len(waiting) != 0 {
		t.Errorf("the queue has %v, %v after all", waiting, err)
	}
	said, err := w.Said(ctx, "acme", id, 1, 1)
	if err != nil || said.Total != 2 || len(said.Messages) != 1 || said.Messages[0].Text != "Hi Ann" {
		t.Errorf("what was said: %+v, %v", said, err)
	}
	if o, err := w.CloseSession(ctx, "acme", id, Order{Operator: "otto", Text: "done"}); err != nil || !o.State.Closed {
		t.Fatalf("close: %+v, %v", o, err)
	}
	_, err = w.Stop(ctx, "acme", id, Order{})
	wantCode(t, "a stop when it is closed", err, fault.SessionClosed)
}

func TestSessionTail(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	w.mustCreate(t, "acme")
	ann, id := w.talk(t)
	say := func(text string) {
		t.Helper()
		if _, _, err := w.talks.Say(ctx, ann, id, sessions.Utterance{Text: text}); err != nil {
			t.Fatal(err)
		}
	}
	want := func(next func() string, lines ...string) {
		t.Helper()
		for _, line := range lines {
			if got := next(); got != line {
				t.Fatalf("tailed %q, want %q", got, line)
			}
		}
	}
	if _, err := w.Claim(ctx, "acme", id, Order{Operator: "otto"}); err != nil {
		t.Fatal(err)
	}
	say("one")
	all := w.tailing(t, "acme", id, 1)
	want(all, "1 created ann ", "2 claimed otto ", "3 message ann one")
	later := w.tailing(t, "acme", id, 3)
	want(later, "3 message ann one")
	say("two")
	want(all, "4 message ann two")
	want(later, "4 message ann two")
	if _, err := w.SuspendTenant(ctx, "acme"); err != nil {
		t.Fatal(err)
	}
	_, err := w.Session(ctx, "acme", id)
	wantCode(t, "a suspended tenant's session", err, fault.TenantSuspended)
	if _, err := w.ResumeTenant(ctx, "acme"); err != nil {
		t.Fatal(err)
	}
	want(w.tailing(t, "acme", id, 4), "4 message ann two")
	ended := w.TailSession(ctx, "acme", id, 1, func(jsontext.Value) error { return errors.New("unexpected") })
	wantCode(t, "a tail that the reader ends", ended, fault.Internal)
}

// TestSessionsOfOthers: one tenant's session does not exist in another.
func TestSessionsOfOthers(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	w.mustCreate(t, "acme")
	w.mustCreate(t, "evil")
	_, id := w.talk(t)
	for name, ask := range map[string]func() error{
		"show":  func() error { _, err := w.Session(ctx, "evil", id); return err },
		"said":  func() error { _, err := w.Said(ctx, "evil", id, 0, 10); return err },
		"tail":  func() error { return w.TailSession(ctx, "evil", id, 1, nil) },
		"claim": func() error { _, err := w.Claim(ctx, "evil", id, Order{Operator: "eve"}); return err },
		"close": func() error { _, err := w.CloseSession(ctx, "evil", id, Order{}); return err },
	} {
		wantCode(t, name, ask(), fault.NotFound)
	}
	if all, err := w.Sessions(ctx, "evil", "", 0, 10); err != nil || all.Total != 0 {
		t.Errorf("evil lists %+v, %v", all, err)
	}
	if all, err := w.Sessions(ctx, "acme", "ann", 0, 10); err != nil || all.Total != 1 || all.Sessions[0].ID != id {
		t.Errorf("acme lists %+v, %v", all, err)
	}
}

func TestBadSessionRequests(t *testing.T) {
	w := newWorld(t)
	w.mustCreate(t, "acme")
	_, id := w.talk(t)
	base := "/admin/v1/tenants/acme/sessions"
	header := http.Header{"Authorization": {"Bearer " + w.key}}
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", base + "?limit=101", "", 400},
		{"GET", base + "?offset=-1", "", 400},
		{"GET", base + "?limit=ten", "", 400},
		{"GET", base + "/" + id + "/tail?from=0", "", 400},
		{"GET", base + "/a..b", "", 400},
		{"GET", base + "/nobody", "", 404},
		{"POST", base + "/" + id + "/explode", "{}", 404},
		{"POST", base + "/" + id + "/claim", "", 400},
		{"POST", base + "/" + id + "/claim", `{"operator":"otto","more":1}`, 400},
		{"POST", base + "/" + id + "/reply", `{"operator":"otto"}`, 400},
	} {
		if status, body := w.do(t, c.method, c.path, c.body, header); status != c.status || !strings.Contains(body, `"code":`) {
			t.Errorf("%s %s %s: %d %s", c.method, c.path, c.body, status, body)
		}
	}
}
