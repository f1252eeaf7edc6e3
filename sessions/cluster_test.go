package sessions

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/broker/brokertest"
)

// startCluster runs three nodes with one tenant.
func startCluster(t *testing.T, cfg Config) (all []*bench) {
	t.Helper()
	nodes := brokertest.StartCluster(t, 3)
	account := brokertest.NewAccount(t, "acme", nodes...)
	for _, n := range nodes {
		all = append(all, newBench(t, n, cfg, account))
	}
	return all
}

// TestNodes has one conversation on three nodes: said on one, answered through another, watched on the third, with the
// writer's node lost in mid-answer.
func TestNodes(t *testing.T) {
	t.Parallel()
	all := startCluster(t, Config{WorkerSilence: 5 * time.Second})
	id := all[0].session()
	r, f := all[2].follow(id)
	defer f.Close()
	all[0].say(id, "go") // so that this node writes
	if err := all[1].hub.Escalate(t.Context(), all[1].user, id, ""); err != nil {
		t.Fatal(err)
	}
	for _, b := range all {
		b.awaitWaiting(1)
	}
	w := all[1].worker("w")
	j := w.take()
	j.accept()
	var want strings.Builder
	for i := range 20 {
		if i == 10 {
			all[0].Stop()
		}
		word := fmt.Sprint(i, " ")
		want.WriteString(word)
		j.patiently("chunk", map[string]any{"text": word})
	}
	j.patiently("end", nil)
	end := r.await(t, Ended, 1)
	if end.Text != want.String() || r.text() != end.Text {
		t.Errorf("end  %q\ntold %q\nwant %q", end.Text, r.text(), want.String())
	}
	if got := script(r.copied()); strings.Count(got, "start assistant") != 1 {
		t.Errorf("more than one answer:\n%s", got)
	}
	if err := all[1].hub.Stop(t.Context(), all[1].user, id, ""); err != nil {
		t.Error(err)
	}
	if err := all[2].hub.Claim(t.Context(), all[2].operator("otto"), id); err != nil {
		t.Error(err)
	}
	all[1].awaitWaiting(0)
	if _, total, err := all[1].hub.History(t.Context(), all[1].user, id, 0, 10, false); err != nil || total != 2 {
		t.Errorf("history: %d %v", total, err)
	}
}

// TestTwoWriters has all nodes talk in one session at the same time: its log must be one, whoever writes it.
func TestTwoWriters(t *testing.T) {
	t.Parallel()
	all := startCluster(t, Config{})
	id := all[0].session()
	op := func(b *bench) Principal {
		return Principal{Tenant: "acme", Account: b.account, User: "otto", Operator: true}
	}
	var readers []*reader
	for _, b := range all {
		r, f := b.follow(id)
		defer f.Close()
		readers = append(readers, r)
	}
	if err := all[0].hub.Claim(t.Context(), op(all[0]), id); err != nil {
		t.Fatal(err)
	}
	const each = 20
	var talking sync.WaitGroup
	for i, b := range all {
		talking.Go(func() {
			for n := range each {
				if _, _, err := b.hub.Say(t.Context(), b.user, id, Utterance{ID: fmt.Sprint(i, "-", n), Text: fmt.Sprint(i, " ", n)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	talking.Wait()
	for i, r := range readers {
		r.await(t, Said, each*len(all))
		for n, e := range r.copied() {
			if e.Index != uint64(n+1) && r.begin.Index == 0 {
				t.Fatalf("reader %d: event %d has index %d", i, n, e.Index)
			}
		}
	}
	first := readers[0].lines()
	for i, r := range readers {
		if got := r.lines(); got != first {
			t.Errorf("reader %d saw another log:\n%s\nthan the first:\n%s", i, got, first)
		}
	}
}
