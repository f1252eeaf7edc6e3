package bench

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"parley/admin"
)

func TestReadPage(t *testing.T) {
	message := func(number, seq int) string {
		return fmt.Sprintf(`{"id":"000003-%08x","seq":%d,"content":"~000003-%08x-00000000xxx"}`, number, seq, number)
	}
	p, err := readPage([]byte(`{"type":"ACK","message_id":"ask","messages":[` + message(7, 70) + "," + message(8, 80) + `]}`))
	if err != nil || !slices.Equal(p.numbers, []uint32{7, 8}) || p.first != 70 || p.last != 80 {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err := readPage([]byte(`{"type":"ACK","message_id":"ask","messages":[]}`)); err != nil || p.numbers != nil || p.first != 0 {
		t.Errorf("%+v, %v", p, err)
	}
	for _, bad := range []string{
		``, `{"messages":[{"seq":1,"content":"hello"}]}`, `{"messages":[{"seq":1,"content":"` + strings.Repeat("~", markerLen) + `"}]}`,
	} {
		if p, err := readPage([]byte(bad)); err == nil {
			t.Errorf("%s: %+v", bad, p)
		}
	}
}

func TestProbeChecks(t *testing.T) {
	for name, c := range map[string]struct {
		got                   []uint32
		dup, missing, reorder uint64
	}{
		"all":                {[]uint32{10, 11, 12}, 0, 0, 0},
		"nothing":            {nil, 0, 3, 0},
		"one is missing":     {[]uint32{10, 12}, 0, 1, 0},
		"the end is missing": {[]uint32{10, 11}, 0, 1, 0},
		"twice":              {[]uint32{10, 11, 11, 12}, 1, 0, 0},
		"swapped":            {[]uint32{10, 12, 11}, 0, 0, 1},
		"one too old":        {[]uint32{9, 10, 11, 12}, 1, 0, 0},
	} {
		p := &probe{}
		p.check(c.got, 10, 3)
		if p.checks.Expected != 3 || p.checks.Duplicated != c.dup || p.checks.Missing != c.missing || p.checks.Reordered != c.reorder {
			t.Errorf("%s: %+v", name, p.checks)
		}
	}
}

// TestQuestion: an answer is whole when the ACK and the messages that were asked for are there, whichever comes first.
func TestQuestion(t *testing.T) {
	const ack = `{"type":"ACK","message_id":"ask","seq":9}`
	first := delivery(7, "000000-00000001", "")
	second := delivery(8, "000000-00000002", "")
	for name, c := range map[string]struct {
		want     int
		comes    []string
		answered bool
	}{
		"an ACK":                      {0, []string{ack}, true},
		"an ACK, then messages":       {2, []string{ack, first, second}, true},
		"messages, then an ACK":       {2, []string{first, second, ack}, true},
		"an ACK without the messages": {1, []string{ack}, false},
		"messages without an ACK":     {1, []string{first}, false},
		"an ERROR":                    {2, []string{`{"type":"ERROR","error":"no","message_id":"ask"}`}, true},
	} {
		f := &flow{}
		p, q := &probe{flow: f}, &question{want: c.want, answered: make(chan struct{})}
		p.asked = q
		r, _ := newReader(&heard{})
		r.to = p
		for _, frame := range c.comes {
			if err := r.consume([]byte(served(textFrame, frame))); err != nil {
				t.Fatal(err)
			}
		}
		select {
		case <-q.answered:
			if !c.answered {
				t.Errorf("%s: answered", name)
			}
			p.other([]byte("more"))
			if f.foreign.Load() != 1 {
				t.Errorf("%s: what nobody asked for is not counted", name)
			}
		default:
			if c.answered {
				t.Errorf("%s: not answered", name)
			}
		}
	}
}

func TestBundle(t *testing.T) {
	f := &flow{streams: 3, subscribers: 2, size: 64, rate: 1}
	s := &Session{tenants: []*tenant{{id: "bench-1", secret: []byte("secret")}}}
	if err := f.build(s); err != nil {
		t.Fatal(err)
	}
	if err := f.bundleUp(2); err != nil {
		t.Fatal(err)
	}
	for i, b := range f.bundles {
		if len(b.takers) != 3 {
			t.Errorf("bundle %d has %d of 3 streams", i, len(b.takers))
		}
	}
	f.all[1].ledger.send(0)
	b := f.bundles[0]
	r, _ := newReader(&heard{})
	r.to = b
	frames := served(textFrame, delivery(7, "000001-00000000", "")) + served(textFrame, delivery(8, "000009-00000000", ""))
	if err := r.consume([]byte(frames)); err != nil {
		t.Fatal(err)
	}
	if f.delivered.Load() != 1 || f.foreign.Load() != 1 || b.takers[1].tally.delivered != 1 || len(b.touched) != 0 {
		t.Errorf("%d delivered, %d foreign, %+v", f.delivered.Load(), f.foreign.Load(), b.takers[1].tally)
	}
	b.done = make(chan struct{})
	b.left.Store(1)
	b.acknowledged(0, 0)
	<-b.done
	if b.acknowledged(0, 0); f.foreign.Load() != 2 {
		t.Error("a confirmation too many is not counted")
	}
}

func TestRefusals(t *testing.T) {
	for answer, again := range map[string]bool{
		"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno": true,
		"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n":          false,
		"hello\r\n\r\n": false,
	} {
		if err := refusedBy([]byte(answer)); errors.Is(err, errNotNow) != again {
			t.Errorf("%q: %v", answer, err)
		}
	}
}

func TestUnsettled(t *testing.T) {
	f := &flow{}
	p := &publisher{flow: f}
	for payload, again := range map[string]bool{
		`{"type":"ERROR","error":"?","code":"OUTCOME_UNKNOWN","message_id":"000001-0000000a"}`: true,
		`{"type":"ERROR","error":"?","code":"UNAVAILABLE","message_id":"000001-0000000a"}`:     true,
		`{"type":"ERROR","error":"?","code":"UNAVAILABLE"}`:                                    false,
		`{"type":"ERROR","error":"?","code":"INVALID_FORMAT","message_id":"000001-0000000a"}`:  false,
	} {
		p.other([]byte(payload))
		names := p.unsettled.take()
		if again != (len(names) == 1) {
			t.Errorf("%s: %d are sent again", payload, len(names))
			continue
		}
		if again && string(names[0][:]) != "000001-0000000a" {
			t.Errorf("%s: %s is sent again", payload, names[0])
		}
	}
	if f.trouble.refused != 2 || p.unsettled.take() != nil {
		t.Errorf("%d refused", f.trouble.refused)
	}
}

func TestCountsAddUp(t *testing.T) {
	one := Counts{Sent: 1, Acknowledged: 1, AckedTwice: 1, Refused: 1, Expected: 1, Delivered: 1, Duplicated: 1, Missing: 1, Reordered: 1, Foreign: 1, Disconnects: 1, Retried: 1, Resent: 1}
	two := one
	two.Reason = "why"
	want := Counts{Sent: 2, Acknowledged: 2, AckedTwice: 2, Refused: 2, Expected: 2, Delivered: 2, Duplicated: 2, Missing: 2, Reordered: 2, Foreign: 2, Disconnects: 2, Retried: 2, Resent: 2, Reason: "why"}
	if got := one.plus(two); got != want {
		t.Errorf("%+v", got)
	}
}

// processes are readings of nodes: seconds of CPU time, then bytes of memory, of each.
func processes(figures ...uint64) (all []*admin.Process) {
	for i := 0; i < len(figures); i += 2 {
		all = append(all, &admin.Process{UserSeconds: float64(figures[i]), RSS: figures[i+1]})
	}
	return all
}

func TestCostOfACluster(t *testing.T) {
	from, to := reading{nodes: processes(1, 100, 2, 200)}, reading{nodes: processes(2, 150, 5, 250)}
	to.at = from.at.Add(4e9)
	cost, spent := costOf(from, to, 1000)
	if spent != 4 || cost.CPUMicros != 4000 || cost.CPUCores != 1 || cost.RSS != 400 || len(cost.Nodes) != 2 || cost.Nodes[1] != (Node{0.75, 250}) {
		t.Errorf("%+v, %v", cost, spent)
	}
	if cost, _ := costOf(from, reading{}, 1); cost != nil {
		t.Errorf("a cost that nobody knows: %+v", cost)
	}
	one, _ := costOf(reading{nodes: processes(1, 100)}, reading{at: to.at, nodes: processes(2, 100)}, 0)
	if one.Nodes != nil || one.CPUMicros != 0 {
		t.Errorf("%+v", one)
	}
}
