package rooms

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/internal/fault"
)

// TestRoom has three people in a room from the first joining to the last leaving.
func TestRoom(t *testing.T) {
	t.Parallel()
	n := start(t, Config{ICE: func(id string) []ICEServer { return []ICEServer{{URLs: []string{"stun:x"}, Username: id}} }})
	ann := n.join("r", "Ann")
	bob := n.join("r", "<b>Bob</b>")
	if w := bob.welcome(); len(w.Others) != 1 || w.Others[0].ID != ann.id() || !w.Others[0].Polite || w.Self.Name != "<b>Bob</b>" || w.ICE[0].Username != bob.id() {
		t.Errorf("Bob is welcomed with %+v", w)
	}
	if e := ann.awaitPeer(Entered, bob.id()); e.Polite || e.Participant.Name != "<b>Bob</b>" {
		t.Errorf("Ann is told %+v", e)
	}
	cleo := n.join("r", "Cleo")
	ann.signal(bob, "1")
	bob.signal(ann, "2")
	ann.signal(bob, "3")
	if got := bob.awaitSignals(2); !slices.Equal(got, []string{ann.id() + ":1", ann.id() + ":3"}) {
		t.Errorf("Bob got %v", got)
	}
	ann.awaitSignals(1)
	for _, told := range ann.notices() {
		if told.Kind == Signaled && told.Polite {
			t.Error("both ends are polite")
		}
	}
	if err := bob.seat.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, g := range []*guest{ann, bob, cleo} {
		if d := g.awaitPeer(Departed, bob.id()); d.Reason != Left || d.Own != (g == bob) {
			t.Errorf("%s is told %+v", g.name, d)
		}
	}
	wantCode(t, "leave twice", bob.seat.Leave(t.Context()), fault.NotSubscribed)
	wantCode(t, "signal after leaving", bob.seat.Signal(ann.id(), nil), fault.NotSubscribed)
	wantCode(t, "signal to one who has left", ann.seat.Signal(bob.id(), nil), fault.NotFound)
	wantCode(t, "signal to oneself", ann.seat.Signal(ann.id(), nil), fault.InvalidFormat)
	if len(signals(cleo.notices())) > 0 {
		t.Error("Cleo got what was not for her")
	}
	info, err := n.hub.Info(t.Context(), n.principal(), "r")
	if err != nil || len(info.Participants) != 2 || info.Participants[0].Name != "Ann" || info.Max != 16 {
		t.Errorf("%+v, %v", info, err)
	}
	for _, g := range []*guest{ann, cleo} {
		if err := g.seat.Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	_, err = n.hub.Info(t.Context(), n.principal(), "r")
	wantCode(t, "an empty room", err, fault.NotFound)
	n.join("r", "Ann again")
}

func TestBadEntries(t *testing.T) {
	t.Parallel()
	n := start(t, Config{MaxParticipants: 2})
	ann := n.join("r", "Ann")
	other := n.join("other", "Otto")
	w := ann.welcome()
	for name, tt := range map[string]struct {
		room string
		e    Entry
		code fault.Code
	}{
		"no name":                {"r", Entry{}, fault.InvalidFormat},
		"a name of 10 KB":        {"r", Entry{Name: strings.Repeat("x", 10_000)}, fault.InvalidFormat},
		"a name with a newline":  {"r", Entry{Name: "a\nb"}, fault.InvalidFormat},
		"a name that is no text": {"r", Entry{Name: "\xff"}, fault.InvalidFormat},
		"no room":                {"", Entry{Name: "x"}, fault.InvalidID},
		"a wildcard":             {"*", Entry{Name: "x"}, fault.InvalidID},
		"two tokens":             {"a.b", Entry{Name: "x"}, fault.InvalidID},
		"half a proof":           {"r", Entry{Name: "x", Participant: ann.id()}, fault.InvalidFormat},
		"a wrong proof":          {"r", Entry{Participant: ann.id(), Resume: other.welcome().Resume}, fault.PermissionDenied},
		"another room's proof":   {"other", Entry{Participant: ann.id(), Resume: w.Resume}, fault.PermissionDenied},
	} {
		_, err := n.try(tt.room, tt.e)
		wantCode(t, name, err, tt.code)
	}
	n.join("r", "Bob")
	_, err := n.try("r", Entry{Name: "Cleo"})
	wantCode(t, "a full room", err, fault.LimitExceeded)
	wantCode(t, "foreign room", other.seat.Signal(ann.id(), []byte("x")), fault.NotFound)
	if err := ann.seat.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = n.try("r", Entry{Participant: w.Self.ID, Resume: w.Resume})
	wantCode(t, "one who has left", err, fault.Gone)
}

// TestResume loses a connection, and comes back to what was sent meanwhile.
func TestResume(t *testing.T) {
	t.Parallel()
	n := start(t, Config{})
	ann, bob := n.join("r", "Ann"), n.join("r", "Bob")
	ann.signal(bob, "0")
	bob.awaitSignals(1)
	bob.seat.Drop()
	var want []string
	for i := range 20 {
		ann.signal(bob, fmt.Sprint("s", i))
		want = append(want, fmt.Sprint(ann.id(), ":s", i))
	}
	again := bob.back(n, nil)
	if got := again.awaitSignals(20); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if w := again.welcome(); !w.Resumed || w.Self != bob.welcome().Self || len(w.Others) != 1 {
		t.Errorf("welcomed with %+v", w)
	}
	ann.signal(again, "last")
	again.awaitSignals(21)
	// The client knows that the last two did not reach it, although they were sent.
	last := uint64(20)
	third := again.back(n, &last)
	again.await("to be superseded", func(told []Notice) bool { return told[len(told)-1].Kind == Superseded })
	if got := third.awaitSignals(2); !slices.Equal(got, []string{ann.id() + ":s19", ann.id() + ":last"}) {
		t.Errorf("got %v", got)
	}
	wantCode(t, "the old connection", again.seat.Signal(ann.id(), nil), fault.NotSubscribed)
	again.seat.Drop() // does nothing
	third.signal(ann, "still here")
	ann.awaitSignals(1)
	for _, told := range ann.notices() {
		if told.Kind == Departed {
			t.Errorf("Ann was told %+v", told)
		}
	}
}

// TestStorm cuts all connections at once and has all come back at the same time; then nobody comes back.
func TestStorm(t *testing.T) {
	t.Parallel()
	const inRooms, each = 20, 10
	n := start(t, Config{Grace: 8 * time.Second})
	var all [inRooms * each]*guest
	everybody := func(f func(i int)) {
		var running sync.WaitGroup
		for i := range all {
			running.Go(func() { f(i) })
		}
		running.Wait()
	}
	everybody(func(i int) { all[i] = n.join(fmt.Sprint("r", i%inRooms), fmt.Sprint("p", i)) })
	everybody(func(i int) { all[i].seat.Drop() })
	everybody(func(i int) { all[i] = all[i].back(n, nil) })
	infos, total, err := n.hub.List(t.Context(), n.principal(), 0, 0)
	if err != nil || total != inRooms {
		t.Fatalf("%d rooms, %v", total, err)
	}
	for _, info := range infos {
		if len(info.Participants) != each {
			t.Errorf("%s has %d participants", info.ID, len(info.Participants))
		}
	}
	everybody(func(i int) { all[i].signal(all[(i+inRooms)%len(all)], fmt.Sprint(i)) })
	everybody(func(i int) { all[i].awaitSignals(1) })
	everybody(func(i int) { all[i].seat.Drop() })
	for deadline := time.Now().Add(patience); total > 0; <-time.After(50 * time.Millisecond) {
		if _, total, err = n.hub.List(t.Context(), n.principal(), 0, 0); err != nil || time.Now().After(deadline) {
			t.Fatalf("%d rooms are left, %v", total, err)
		}
	}
}

// TestTimeout loses a connection for good.
func TestTimeout(t *testing.T) {
	t.Parallel()
	n := start(t, Config{Grace: 50 * time.Millisecond})
	ann, bob := n.join("r", "Ann"), n.join("r", "Bob")
	bob.seat.Drop()
	if d := ann.awaitPeer(Departed, bob.id()); d.Reason != Timeout {
		t.Errorf("Ann was told %+v", d)
	}
	_, err := n.try("r", Entry{Participant: bob.id(), Resume: bob.welcome().Resume})
	wantCode(t, "too late", err, fault.Gone)
}

// TestPatience fills what may wait for a participant.
func TestPatience(t *testing.T) {
	t.Parallel()
	n := start(t, Config{})
	ann, bob := n.join("r", "Ann"), n.join("r", "Bob")
	bob.seat.Drop()
	taken := 0
	for ann.seat.Signal(bob.id(), []byte(fmt.Sprint(taken))) == nil {
		taken++
	}
	if taken != maxPending {
		t.Errorf("%d signals were taken", taken)
	}
	wantCode(t, "one too many", ann.seat.Signal(bob.id(), nil), fault.LimitExceeded)
	got := bob.back(n, nil).awaitSignals(taken)
	for i, s := range got {
		if s != fmt.Sprint(ann.id(), ":", i) {
			t.Fatalf("signal %d is %s", i, s)
		}
	}
}

// TestRestart ends the node and starts it again on the same data: who comes back in time has his place, and who does not
// has left.
func TestRestart(t *testing.T) {
	t.Parallel()
	const grace = 8 * time.Second
	dir := t.TempDir()
	n := startOn(t, dir, Config{Grace: grace})
	ann, bob := n.join("r", "Ann"), n.join("r", "Bob")
	n.Stop()
	again := startAgain(t, dir, Config{Grace: grace}, n)
	ann = ann.back(again, nil)
	if w := ann.welcome(); !w.Resumed || len(w.Others) != 1 || w.Others[0].ID != bob.id() || w.Others[0].Polite {
		t.Errorf("Ann is welcomed with %+v", w)
	}
	if d := ann.awaitPeer(Departed, bob.id()); d.Reason != Timeout {
		t.Errorf("Ann was told %+v", d)
	}
}

// TestNoGhosts starts a node anew long after everybody has gone.
func TestNoGhosts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n := startOn(t, dir, Config{})
	n.join("r", "Ann")
	n.Stop()
	again := startAgain(t, dir, Config{Grace: time.Nanosecond}, n)
	if all, total, err := again.hub.List(t.Context(), again.principal(), 0, 0); err != nil || total != 0 {
		t.Errorf("%+v, %d, %v", all, total, err)
	}
}
