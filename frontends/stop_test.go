package frontends

import (
	"testing"

	"parley/sessions"
	"parley/tenants"
)

// TestStopOverREST ends answers for clients that have no socket at hand.
func TestStopOverREST(t *testing.T) {
	w := newWorld(t)
	ai := w.worker(t, "acme", "ai")
	tenant, err := w.registry.Get("acme")
	if err != nil {
		t.Fatal(err)
	}
	ann := sessions.Principal{Tenant: tenant.ID, Account: tenant.Account, User: "ann"}
	token := []string{"Authorization", "Bearer " + w.token(t, tenants.TokenSpec{Tenant: "acme", User: "ann"})}
	for _, path := range []string{"/api/sessions/", "/api/v1/chats/"} {
		info, _, err := w.talks.Create(t.Context(), ann, sessions.Spec{})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := w.talks.Say(t.Context(), ann, info.ID, sessions.Utterance{Text: "go"}); err != nil {
			t.Fatal(err)
		}
		ai.take().chunks("half an ")
		if status, f := w.do(t, "POST", path+info.ID+"/stop", "", token...); status != 204 {
			t.Fatalf("%s: %d %v", path, status, f)
		}
		page, _, err := w.talks.History(t.Context(), ann, info.ID, 0, 1, true)
		if err != nil || page[0].Status != sessions.Stopped || page[0].Text != "half an " {
			t.Errorf("%s: %+v %v", path, page, err)
		}
		if status, _ := w.do(t, "GET", "/api/v1/chats/user/stop", "", "Authorization", "Bearer "+w.token(t, tenants.TokenSpec{Tenant: "acme", User: "stop"})); status != 200 {
			t.Errorf("a user called stop: %d", status)
		}
		if status, _ := w.do(t, "POST", path+"nobodys/stop", "", token...); status != 404 {
			t.Errorf("%s: stopping what is not there: %d", path, status)
		}
	}
}
