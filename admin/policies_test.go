package admin

import (
	"strings"
	"testing"

	"parley/broker"
	"parley/internal/fault"
	"parley/tenants"
)

func TestPoliciesAreSetListedAndRemoved(t *testing.T) {
	w := newWorld(t)
	w.mustCreate(t, "acme")
	w.mustCreate(t, "evil")
	policy := tenants.Policy{Pattern: "logs.*", MaxAge: 60, Publishers: []broker.Token{"ann"}}
	for range 2 { // setting it again is no error
		if p, err := w.SetPolicy(t.Context(), "acme", policy); err != nil || !p.Equal(policy) {
			t.Fatalf("%+v, %v", p, err)
		}
	}
	all, err := w.Policies(t.Context(), "acme")
	if err != nil || len(all) != 1 || !all[0].Equal(policy) {
		t.Errorf("%+v, %v", all, err)
	}
	if all, err := w.Policies(t.Context(), "evil"); err != nil || len(all) != 0 {
		t.Errorf("another tenant has %+v, %v", all, err)
	}
	_, err = w.SetPolicy(t.Context(), "acme", tenants.Policy{Pattern: "a..b"})
	wantCode(t, "no pattern", err, fault.InvalidFormat)
	_, err = w.SetPolicy(t.Context(), "nobody", policy)
	wantCode(t, "no tenant", err, fault.NotFound)
	wantCode(t, "another tenant's", w.RemovePolicy(t.Context(), "evil", "logs.*"), fault.NotFound)
	if err := w.RemovePolicy(t.Context(), "acme", "logs.*"); err != nil {
		t.Error(err)
	}
}

func TestAChannelIsShownAndPurged(t *testing.T) {
	w := newWorld(t)
	w.mustCreate(t, "acme")
	w.mustCreate(t, "evil")
	for range 3 {
		if r, err := w.Publish(t.Context(), "acme", "news", NewMessage{Content: []byte(`"hello"`)}); err != nil || !r.Stored {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	shown, err := w.Channel(t.Context(), "acme", "news")
	if err != nil || shown.ID != "news" || shown.Messages != 3 || shown.Policy != nil || len(shown.Agents) != 0 {
		t.Errorf("%+v, %v", shown, err)
	}
	_, err = w.Channel(t.Context(), "evil", "news")
	wantCode(t, "another tenant's", err, fault.NotFound)
	if purged, err := w.PurgeChannel(t.Context(), "evil", "news"); err != nil || purged.Messages != 0 {
		t.Errorf("%+v, %v", purged, err)
	}
	if purged, err := w.PurgeChannel(t.Context(), "acme", "news"); err != nil || purged.Messages != 3 {
		t.Errorf("%+v, %v", purged, err)
	}
	page, err := w.History(t.Context(), "acme", "news", "0", 10)
	if err != nil || strings.Contains(string(joinPage(page)), "hello") {
		t.Errorf("%s, %v", joinPage(page), err)
	}
}

func joinPage(p Page) (b []byte) {
	for _, m := range p.Messages {
		b = append(b, m...)
	}
	return b
}
