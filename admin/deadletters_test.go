package admin

import (
	"context"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"parley/channels"
	"parley/internal/fault"
)

// deaf is a channels.Sink that takes what it is given and never says so.
type deaf struct{}

func (deaf) Send([]byte) error                       { return nil }
func (deaf) AwaitBacklog(context.Context, int) error { return nil }
func (deaf) Gap(channels.Address, channels.Gap)      {}

// giveUp makes n messages of acme's channel jobs dead letters of the durable pool. The store gives a message up only while
// somebody asks for more, so the pool stays open until the test ends.
func giveUp(t *testing.T, w *world, n int) {
	t.Helper()
	tenant, err := w.Tenant(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	space, err := w.hub.Open(t.Context(), "acme", tenant.Account)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(space.Release)
	opts := channels.ConsumeOptions{Agent: "bob", Durable: "pool", MaxDeliveries: 1, Since: channels.Since{Set: true}}
	for i := range n {
		if _, err := w.Publish(t.Context(), "acme", "jobs", NewMessage{ID: "m" + strconv.Itoa(i), Content: jsontext.Value(strconv.Itoa(i))}); err != nil {
			t.Fatal(err)
		}
	}
	place, err := space.Consume(t.Context(), channels.Address{Tenant: "acme", Channel: "jobs"}, opts, deaf{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(place.Close)
	if err := place.Start(); err != nil {
		t.Fatal(err)
	}
	for given := 0; given < n; {
		for i := range n {
			if ok, err := place.Nack("m"+strconv.Itoa(i), 0, 0); err != nil {
				t.Fatal(err)
			} else if ok {
				given++
			}
		}
	}
}

func TestDeadLetters(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.mustCreate(t, "acme")
	w.mustCreate(t, "other")
	giveUp(t, w, 3)
	var page DeadLetters
	for len(page.DeadLetters) < 3 { // the store gives a message up in its own time
		var err error
		if page, err = w.DeadLetters(ctx, "acme", 0, 100); err != nil {
			t.Fatal(err)
		}
	}
	first := page.DeadLetters[0]
	if page.More || first.Place != "durable pool" || first.Channel != "jobs" || first.Target != "" || first.Deliveries != 1 || first.Time.IsZero() ||
		!strings.Contains(string(first.Message), `"id":"m`) {
		t.Errorf("%+v", page)
	}
	part, err := w.DeadLetters(ctx, "acme", 0, 2)
	if err != nil || len(part.DeadLetters) != 2 || !part.More || part.Last != part.DeadLetters[1].Number {
		t.Errorf("%+v, %v", part, err)
	}
	if part, err = w.DeadLetters(ctx, "acme", part.Last, 2); err != nil || len(part.DeadLetters) != 1 || part.More {
		t.Errorf("%+v, %v", part, err)
	}

	// Another tenant neither sees nor touches them.
	if page, err := w.DeadLetters(ctx, "other", 0, 100); err != nil || len(page.DeadLetters) != 0 {
		t.Errorf("the other tenant's: %+v, %v", page, err)
	}
	wantCode(t, "another tenant's replay", w.ReplayDeadLetter(ctx, "other", first.Number), fault.NotFound)
	wantCode(t, "another tenant's drop", w.DropDeadLetter(ctx, "other", first.Number), fault.NotFound)

	for _, do := range []func(context.Context, string, uint64) error{w.ReplayDeadLetter, w.DropDeadLetter} {
		if page, err = w.DeadLetters(ctx, "acme", 0, 100); err != nil {
			t.Fatal(err)
		}
		n := page.DeadLetters[0].Number
		if err := do(ctx, "acme", n); err != nil {
			t.Error(err)
		}
		wantCode(t, "again", do(ctx, "acme", n), fault.NotFound)
		wantCode(t, "none", do(ctx, "acme", 1000), fault.NotFound)
		wantCode(t, "zero", do(ctx, "acme", 0), fault.InvalidFormat)
		wantCode(t, "nobody's", do(ctx, "nobody", 1), fault.NotFound)
	}
	if page, err = w.DeadLetters(ctx, "acme", 0, 100); err != nil || len(page.DeadLetters) != 1 {
		t.Errorf("left: %+v, %v", page, err)
	}
	for _, query := range []string{"after=x", "after=-1", "limit=0", "limit=1000"} {
		if status, body := w.do(t, "GET", "/admin/v1/tenants/acme/deadletters?"+query, "", w.bearer()); status != 400 {
			t.Errorf("%s: %d %s", query, status, body)
		}
	}
}
