package rooms

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestNodes has three people in a room on three nodes: they see each other alike, their signals arrive once and in order,
// and one comes back through another node, once with the node before alive and once with it dead.
func TestNodes(t *testing.T) {
	t.Parallel()
	all := startCluster(t, Config{Grace: time.Minute})
	ann, bob, cleo := all[0].join("r", "Ann"), all[1].join("r", "Bob"), all[2].join("r", "Cleo")
	for _, g := range []*guest{ann, bob} {
		g.awaitPeer(Entered, cleo.id())
	}
	ann.awaitPeer(Entered, bob.id())
	if w := cleo.welcome(); len(w.Others) != 2 || w.Others[0].ID != ann.id() || w.Others[1].ID != bob.id() || !w.Others[0].Polite {
		t.Errorf("Cleo is welcomed with %+v", w)
	}
	const each = 200
	send := func(from, to *guest, first, n int) (want []string) {
		for i := range n {
			from.signal(to, fmt.Sprint(first+i))
			want = append(want, fmt.Sprint(from.id(), ":", first+i))
		}
		return want
	}
	of := func(got []string, from *guest) (of []string) {
		for _, s := range got {
			if s[:len(from.id())] == from.id() {
				of = append(of, s)
			}
		}
		return of
	}
	wantA, wantB := send(ann, cleo, 0, each), send(bob, cleo, 0, each)
	got := cleo.awaitSignals(2 * each)
	if !slices.Equal(of(got, ann), wantA) || !slices.Equal(of(got, bob), wantB) {
		t.Errorf("Cleo got %v", got)
	}

	// Away: what is sent meanwhile waits, on both nodes, and comes where she comes back.
	cleo.seat.Drop()
	wantA, wantB = send(ann, cleo, each, each), send(bob, cleo, each, each)
	again := cleo.back(all[0], nil)
	got = again.awaitSignals(2 * each)
	if !slices.Equal(of(got, ann), wantA) || !slices.Equal(of(got, bob), wantB) {
		t.Errorf("Cleo got %v on another node", got)
	}
	again.signal(bob, "hello")
	if got := bob.awaitSignals(1); got[0] != cleo.id()+":hello" {
		t.Errorf("Bob got %v", got)
	}

	// Bob is on a node that dies without a word. Cleo is where Ann is now.
	ann.signal(bob, "before")
	bob.awaitSignals(2)
	all[1].Stop()
	ann.signal(bob, "meanwhile 1")
	ann.signal(bob, "meanwhile 2")
	back := bob.back(all[2], nil)
	if got := back.awaitSignals(2); !slices.Equal(got[len(got)-2:], []string{ann.id() + ":meanwhile 1", ann.id() + ":meanwhile 2"}) {
		t.Errorf("Bob got %v on another node", got)
	}
	ann.signal(back, "after")
	back.awaitSignals(3)
	for _, g := range []*guest{ann, again} {
		for _, n := range g.notices() {
			if n.Kind == Departed {
				t.Errorf("%s was told %+v", g.name, n)
			}
		}
	}
	for _, n := range []*node{all[0], all[2]} {
		info, err := n.hub.Info(t.Context(), n.principal(), "r")
		if err != nil || len(info.Participants) != 3 {
			t.Errorf("%+v, %v", info, err)
		}
	}
}

// TestGhosts ends a node with its participants: who does not come back has left on all others.
func TestGhosts(t *testing.T) {
	t.Parallel()
	all := startCluster(t, Config{Grace: 500 * time.Millisecond})
	ann, bob, cleo := all[0].join("r", "Ann"), all[1].join("r", "Bob"), all[2].join("r", "Cleo")
	all[1].join("alone", "Dora")
	for _, g := range []*guest{ann, bob} {
		g.awaitPeer(Entered, cleo.id())
	}
	if err := all[2].hub.Move(t.Context(), all[2].principal(), "r", ann.id(), "s"); err != nil {
		t.Fatal(err)
	}
	// Ann's connection is on another node than the one that has moved her.
	if d := ann.awaitPeer(Departed, ann.id()); d.Reason != Moved || d.To != "s" {
		t.Errorf("Ann was told %+v", d)
	}
	ann.await("the other room", func(told []Notice) bool {
		last := told[len(told)-1]
		return last.Kind == Welcomed && last.Room == "s" && last.Welcome.Self.ID == ann.id()
	})
	all[1].Stop()
	if d := cleo.awaitPeer(Departed, bob.id()); d.Reason != Timeout {
		t.Errorf("Cleo was told %+v", d)
	}
	deadline := time.Now().Add(patience)
	for _, n := range []*node{all[0], all[2]} {
		for {
			infos, _, err := n.hub.List(t.Context(), n.principal(), 0, 0)
			if err == nil && len(infos) == 2 && len(infos[0].Participants)+len(infos[1].Participants) == 2 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%+v, %v", infos, err)
			}
		}
	}
}
