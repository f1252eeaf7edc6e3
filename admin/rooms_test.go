package admin

import (
	"net/http"
	"strings"
	"testing"

	"parley/internal/fault"
	"parley/rooms"
)

// guest is a participant who only looks at why it has left.
type guest struct {
	welcomed chan *rooms.Welcome
	left     chan rooms.Reason
}

// Deliver implements rooms.Listener.
func (g *guest) Deliver(batch []rooms.Notice) {
	for _, n := range batch {
		switch {
		case n.Kind == rooms.Welcomed:
			g.welcomed <- n.Welcome
		case n.Kind == rooms.Departed && n.Own:
			g.left <- n.Reason
		}
	}
}

// call has somebody join a room of acme's, and returns its id there.
func (w *world) call(t *testing.T, room, name string) (id string, g *guest) {
	t.Helper()
	about, err := w.registry.Get("acme")
	if err != nil {
		t.Fatal(err)
	}
	g = &guest{make(chan *rooms.Welcome, 2), make(chan rooms.Reason, 2)}
	p := rooms.Principal{Tenant: "acme", Account: about.Account}
	if _, err := w.meetings.Join(t.Context(), p, room, rooms.Entry{Name: name}, g); err != nil {
		t.Fatal(err)
	}
	return (<-g.welcomed).Self.ID, g
}

func TestRooms(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	w.mustCreate(t, "acme")
	if all, err := w.Rooms(ctx, "acme", 0, 10); err != nil || all.Total != 0 || all.Rooms == nil {
		t.Fatalf("the rooms before there are any: %+v, %v", all, err)
	}
	ann, annCalls := w.call(t, "tea", "Ann")
	bob, bobCalls := w.call(t, "tea", "Bob")
	_, cleoCalls := w.call(t, "work", "Cleo")
	for _, c := range []struct{ offset, limit, want int }{{0, 10, 2}, {1, 10, 1}, {0, 1, 1}, {0, 0, 0}, {2, 10, 0}} {
		if all, err := w.Rooms(ctx, "acme", c.offset, c.limit); err != nil || all.Total != 2 || len(all.Rooms) != c.want {
			t.Errorf("rooms from %d, at most %d: %+v, %v", c.offset, c.limit, all, err)
		}
	}
	tea, err := w.Room(ctx, "acme", "tea")
	if err != nil || len(tea.Participants) != 2 || tea.Participants[0].Name != "Ann" || tea.Participants[1].ID != bob {
		t.Fatalf("the room: %+v, %v", tea, err)
	}
	if work, err := w.Move(ctx, "acme", "tea", ann, Transfer{To: "work"}); err != nil || len(work.Participants) != 2 || <-annCalls.left != rooms.Moved {
		t.Errorf("after the move: %+v, %v", work, err)
	}
	if err := w.Kick(ctx, "acme", "tea", bob); err != nil || <-bobCalls.left != rooms.Kicked {
		t.Error(err)
	}
	_, err = w.Room(ctx, "acme", "tea")
	wantCode(t, "an empty room", err, fault.NotFound)
	if err := w.CloseRoom(ctx, "acme", "work"); err != nil || <-cleoCalls.left != rooms.Closed {
		t.Error(err)
	}
	for what, err := range map[string]error{
		"a kick out of an empty room":   w.Kick(ctx, "acme", "tea", bob),
		"a room that is closed already": w.CloseRoom(ctx, "acme", "work"),
	} {
		wantCode(t, what, err, fault.NotFound)
	}
}

// TestRoomsOfOthers: one tenant's room does not exist in another.
func TestRoomsOfOthers(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	w.mustCreate(t, "acme")
	w.mustCreate(t, "evil")
	ann, _ := w.call(t, "tea", "Ann")
	for name, ask := range map[string]func() error{
		"show":  func() error { _, err := w.Room(ctx, "evil", "tea"); return err },
		"kick":  func() error { return w.Kick(ctx, "evil", "tea", ann) },
		"move":  func() error { _, err := w.Move(ctx, "evil", "tea", ann, Transfer{To: "work"}); return err },
		"close": func() error { return w.CloseRoom(ctx, "evil", "tea") },
	} {
		wantCode(t, name, ask(), fault.NotFound)
	}
	if all, err := w.Rooms(ctx, "evil", 0, 10); err != nil || all.Total != 0 {
		t.Errorf("evil lists %+v, %v", all, err)
	}
	if _, err := w.SuspendTenant(ctx, "acme"); err != nil {
		t.Fatal(err)
	}
	_, err := w.Room(ctx, "acme", "tea")
	wantCode(t, "a suspended tenant's room", err, fault.TenantSuspended)
}

func TestBadRoomRequests(t *testing.T) {
	w := newWorld(t)
	w.mustCreate(t, "acme")
	ann, _ := w.call(t, "tea", "Ann")
	base := "/admin/v1/tenants/acme/rooms"
	header := http.Header{"Authorization": {"Bearer " + w.key}}
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", base + "?limit=101", "", 400},
		{"GET", base + "/a..b", "", 400},
		{"GET", base + "/nowhere", "", 404},
		{"DELETE", base + "/nowhere", "", 404},
		{"DELETE", base + "/tea/participants/nobody", "", 404},
		{"POST", base + "/tea/participants/" + ann + "/move", `{"to":"tea"}`, 400},
		{"POST", base + "/tea/participants/" + ann + "/move", `{"to":"a b"}`, 400},
		{"POST", base + "/tea/participants/" + ann + "/move", `{}`, 400},
		{"POST", base + "/tea/participants/" + ann + "/move", `{"to":"work","more":1}`, 400},
		{"POST", base + "/tea/participants/nobody/move", `{"to":"work"}`, 404},
	} {
		if status, body := w.do(t, c.method, c.path, c.body, header); status != c.status || !strings.Contains(body, `"code":`) {
			t.Errorf("%s %s %s: %d %s", c.method, c.path, c.body, status, body)
		}
	}
}
