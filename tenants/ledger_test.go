package tenants

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"parley/broker"
)

// TestLedgerAddsUpRunsAndDays has two runs of a node write about two accounts around midnight, and reads what a third finds.
func TestLedgerAddsUpRunsAndDays(t *testing.T) {
	e := mustEngine(t, t.TempDir(), broker.ListenOff)
	now := time.Date(2027, 1, 31, 23, 0, 0, 0, time.UTC)
	run := func(node broker.Token) (*Ledger, *Meters) {
		m := &Meters{}
		l, err := OpenLedger(t.Context(), e, node, m, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		l.now = func() time.Time { return now }
		return l, m
	}
	write := func(l *Ledger) {
		t.Helper()
		if err := l.Write(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	a, countA := run("node-1")
	settled := 0
	countA.OnRead(func() { settled++ })
	countA.Of("x").Sent.Add(3)
	countA.Of("idle")
	write(a)
	countA.Of("x").Sent.Add(4)
	countA.Of("y").OutputTokens.Add(5)
	write(a)
	now = now.Add(2 * time.Hour)
	countA.Of("x").Sent.Add(10)
	write(a)
	b, countB := run("node-2") // the first has died; whatever it had written is there
	countB.Of("x").Sent.Add(100)
	write(b)
	if settled != 3 {
		t.Errorf("the meters were brought up to date %d times, want 3", settled)
	}

	third, _ := run("node-3")
	day := func(d int) time.Time { return time.Date(2027, 1, d, 12, 0, 0, 0, time.UTC) }
	entry := func(day string, account broker.AccountID, u Usage) Entry { return Entry{day, account, u} }
	first := []Entry{entry("2027-01-31", "x", Usage{Sent: 7}), entry("2027-01-31", "y", Usage{OutputTokens: 5})}
	second := entry("2027-02-01", "x", Usage{Sent: 110})
	for _, c := range []struct {
		name        string
		from, until time.Time
		only        broker.AccountID
		want        []Entry
	}{
		{"a day", day(31), day(31), "", first},
		{"both days", day(31), day(32), "", append(slices.Clone(first), second)},
		{"one account", day(1), day(40), "x", []Entry{first[0], second}},
		{"later", day(33), day(40), "", []Entry{}},
		{"nobody's", day(1), day(40), "z", []Entry{}},
	} {
		got, err := third.Read(t.Context(), c.from, c.until, c.only)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v %v, want %v", c.name, got, err, c.want)
		}
	}
}
