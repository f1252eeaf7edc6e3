package rooms

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"parley/broker"
	"parley/broker/brokertest"
	"parley/internal/fault"
)

// service connects with credentials that allow what a service may do with rooms.
func (n *node) service(account broker.AccountID) *nats.Conn {
	n.t.Helper()
	creds, _, err := n.Creds(n.t.Context(), account, broker.CredsRequest{
		Name: "desk", Publish: []string{"meet.*.do.*"}, Subscribe: []string{"meet.*.event", "_INBOX.>"},
	})
	if err != nil {
		n.t.Fatal(err)
	}
	nc, err := nats.Connect(n.ServicesURL(), nats.UserCredentialBytes(creds))
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(nc.Close)
	return nc
}

// ask has a service ask for something in a room.
func ask(t *testing.T, nc *nats.Conn, subject, body string) served {
	t.Helper()
	m, err := nc.Request(subject, []byte(body), patience)
	if err != nil {
		t.Fatalf("%s %s: %v", subject, body, err)
	}
	var answer served
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

// TestServices has a service look on, and move and remove participants.
func TestServices(t *testing.T) {
	t.Parallel()
	n := start(t, Config{MaxParticipants: 2})
	nc := n.service(n.account)
	spy := n.service(brokertest.NewAccount(t, "evil", n.Node))
	heard, err := spy.SubscribeSync("meet.*.event")
	if err != nil {
		t.Fatal(err)
	}
	events := make(chan *nats.Msg, 64)
	if _, err := nc.ChanSubscribe("meet.*.event", events); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*nats.Conn{nc, spy} {
		if err := c.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	var seen []Event
	next := func(want ...string) {
		t.Helper()
		for _, w := range want {
			select {
			case m := <-events:
				var e Event
				if err := json.Unmarshal(m.Data, &e); err != nil || e.ID == "" || e.Created.IsZero() || m.Subject != "meet."+string(e.Room)+".event" {
					t.Fatalf("%s: %s, %v", m.Subject, m.Data, err)
				}
				got := string(e.Room) + " " + string(e.Type)
				if e.Participant != nil {
					got += " " + e.Participant.Name
				}
				if e.Reason != "" {
					got += " " + string(e.Reason)
				}
				if got != w {
					t.Fatalf("got %q, want %q", got, w)
				}
				seen = append(seen, e)
			case <-time.After(patience):
				t.Fatalf("no %q", w)
			}
		}
	}

	ann := n.join("lobby", "Ann")
	next("lobby room_started", "lobby participant_joined Ann")
	bob := n.join("lobby", "Bob")
	next("lobby participant_joined Bob")
	if a := ask(t, nc, "meet.lobby.do.info", ""); !a.OK || len(a.Room.Participants) != 2 || a.Room.Participants[1].ID != bob.id() || a.Room.Max != 2 {
		t.Errorf("%+v", a)
	}
	who := `{"participant_id":"` + ann.id() + `"`
	if a := ask(t, nc, "meet.lobby.do.move", who+`,"to":"talk"}`); !a.OK {
		t.Fatalf("%+v", a.Error)
	}
	next("talk room_started", "talk participant_joined Ann", "lobby participant_left Ann moved")
	moved := ann.awaitPeer(Departed, ann.id())
	if moved.Reason != Moved || moved.To != "talk" {
		t.Errorf("Ann was told %+v", moved)
	}
	ann.await("the other room", func(told []Notice) bool {
		last := told[len(told)-1]
		return last.Kind == Welcomed && last.Room == "talk"
	})
	told := ann.notices()
	inTalk := told[len(told)-1].Welcome.Seat
	cleo := n.join("talk", "Cleo")
	next("talk participant_joined Cleo")
	if err := inTalk.Signal(cleo.id(), []byte("1")); err != nil {
		t.Error(err)
	}
	cleo.awaitSignals(1)
	for subject, tt := range map[string]struct {
		body string
		code fault.Code
	}{
		"meet.lobby.do.move":   {`{"participant_id":"` + bob.id() + `","to":"talk"}`, fault.LimitExceeded},
		"meet.lobby.do.kick":   {who + `}`, fault.NotFound},
		"meet.nowhere.do.kick": {who + `}`, fault.NotFound},
		"meet.nowhere.do.info": {``, fault.NotFound},
		"meet.lobby.do.dance":  {``, fault.InvalidFormat},
		"meet.lobby.do.close":  {`nonsense`, fault.InvalidFormat},
		"meet.talk.do.move":    {`{"participant_id":"` + ann.id() + `","to":"a.b"}`, fault.InvalidID},
	} {
		if a := ask(t, nc, subject, tt.body); a.OK || a.Error == nil || a.Error.Code != tt.code || a.Error.Message == "" {
			t.Errorf("%s %s: %+v, want %s", subject, tt.body, a.Error, tt.code)
		}
	}
	if a := ask(t, nc, "meet.talk.do.kick", who+`}`); !a.OK {
		t.Fatalf("%+v", a.Error)
	}
	next("talk participant_left Ann kicked")
	wantCode(t, "after the kick", inTalk.Signal(cleo.id(), nil), fault.NotSubscribed)
	if d := cleo.awaitPeer(Departed, ann.id()); d.Reason != Kicked {
		t.Errorf("Cleo was told %+v", d)
	}
	if a := ask(t, nc, "meet.lobby.do.close", ""); !a.OK {
		t.Fatalf("%+v", a.Error)
	}
	next("lobby participant_left Bob closed", "lobby room_finished")
	if d := bob.awaitPeer(Departed, bob.id()); d.Reason != Closed || !d.Own {
		t.Errorf("Bob was told %+v", d)
	}
	ids := make([]string, len(seen))
	for i, e := range seen {
		ids[i] = e.ID
	}
	if slices.Sort(ids); len(slices.Compact(ids)) != len(seen) {
		t.Error("two events have the same id")
	}
	if _, err := spy.Request("meet.talk.do.info", nil, patience); err == nil {
		t.Error("another tenant's service was answered")
	}
	if m, err := heard.NextMsg(time.Millisecond); err == nil {
		t.Errorf("another tenant's service heard %s", m.Data)
	}
}

// TestServicesSendNothingBetweenNodes tries to forge what nodes tell each other.
func TestServicesSendNothingBetweenNodes(t *testing.T) {
	t.Parallel()
	n := start(t, Config{})
	for _, subject := range []string{"gateway.meet.r.x", "gateway.>", "$KV.rooms.r"} {
		_, _, err := n.Creds(t.Context(), n.account, broker.CredsRequest{Name: "x", Publish: []string{subject}})
		wantCode(t, subject, err, fault.InvalidID)
	}
}

// TestManage makes, lists and closes rooms.
func TestManage(t *testing.T) {
	t.Parallel()
	n := start(t, Config{DeclaredOnly: true})
	ctx, who := t.Context(), n.principal()
	if all, total, err := n.hub.List(ctx, who, 0, 0); err != nil || total != 0 || all != nil {
		t.Errorf("%+v, %v", all, err)
	}
	_, err := n.hub.Info(ctx, who, "r")
	wantCode(t, "no rooms at all", err, fault.NotFound)
	_, err = n.try("r", Entry{Name: "Ann"})
	wantCode(t, "a room that nobody has made", err, fault.NotFound)
	info, created, err := n.hub.Create(ctx, who, Spec{ID: "r", Name: "Stand-up", Max: 3})
	if err != nil || !created || info.Max != 3 || info.Name != "Stand-up" {
		t.Fatalf("%+v, %t, %v", info, created, err)
	}
	again, created, err := n.hub.Create(ctx, who, Spec{ID: "r", Name: "Stand-up"})
	if err != nil || created || again.Created != info.Created {
		t.Errorf("%+v, %t, %v", again, created, err)
	}
	_, _, err = n.hub.Create(ctx, who, Spec{ID: "r", Name: "Other"})
	wantCode(t, "another name", err, fault.AlreadyExists)
	for name, spec := range map[string]Spec{
		"alone": {Max: 1}, "many": {Max: 100_000}, "less than none": {Max: -1}, "a long name": {Name: strings.Repeat("x", 129)},
	} {
		_, _, err := n.hub.Create(ctx, who, spec)
		wantCode(t, name, err, fault.InvalidFormat)
	}
	made, _, err := n.hub.Create(ctx, who, Spec{})
	if err != nil || made.ID == "" || made.Max != 16 {
		t.Errorf("%+v, %v", made, err)
	}
	ann := n.join("r", "Ann")
	if err := ann.seat.Leave(ctx); err != nil {
		t.Fatal(err)
	}
	page, total, err := n.hub.List(ctx, who, 1, 1)
	if err != nil || total != 2 || len(page) != 1 || page[0].ID != "r" || len(page[0].Participants) != 0 {
		t.Errorf("%+v of %d, %v", page, total, err)
	}
	if err := n.hub.Close(ctx, who, "r"); err != nil {
		t.Fatal(err)
	}
	_, err = n.hub.Info(ctx, who, "r")
	wantCode(t, "a closed room", err, fault.NotFound)
	wantCode(t, "close twice", n.hub.Close(ctx, who, "r"), fault.NotFound)
	_, err = n.try("r", Entry{Name: "Ann"})
	wantCode(t, "join a closed room", err, fault.NotFound)
	n.hub.Drop(n.account)
	if _, total, err := n.hub.List(ctx, who, 0, 0); err != nil || total != 1 {
		t.Errorf("after a drop: %d, %v", total, err)
	}
}
