package bench

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTally(t *testing.T) {
	for _, c := range []struct {
		name                             string
		numbers                          []uint32
		sent                             uint32
		delivered, dup, missing, reorder uint64
	}{
		{"nothing", nil, 0, 0, 0, 0, 0},
		{"all", []uint32{0, 1, 2, 3}, 4, 4, 0, 0, 0},
		{"the end is missing", []uint32{0, 1}, 4, 2, 0, 2, 0},
		{"the beginning is missing", []uint32{2, 3}, 4, 2, 0, 2, 0},
		{"nothing came", nil, 4, 0, 0, 4, 0},
		{"twice", []uint32{0, 1, 1, 0, 2}, 3, 3, 2, 0, 0},
		{"swapped", []uint32{1, 0, 2}, 3, 3, 0, 0, 1},
		{"a hole filled from its ends", []uint32{0, 5, 1, 4, 2, 3}, 6, 6, 0, 0, 4},
		{"a hole split", []uint32{0, 6, 3, 3, 6}, 7, 3, 2, 4, 1},
		{"backwards", []uint32{3, 2, 1, 0}, 4, 4, 0, 0, 3},
		{"two holes", []uint32{1, 3, 0, 0, 2, 2}, 4, 4, 2, 0, 2},
	} {
		var got tally
		for _, n := range c.numbers {
			got.take(n)
		}
		if got.delivered != c.delivered || got.duplicated != c.dup || got.missing(c.sent) != c.missing || got.reordered != c.reorder {
			t.Errorf("%s: %+v, missing %d", c.name, got, got.missing(c.sent))
		}
	}
}

// TestTallyAgainstSet compares with the obvious way to count.
func TestTallyAgainstSet(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		var got tally
		seen, highest := map[uint32]bool{}, -1
		var dup, reordered uint64
		sent := 1 + random.Uint32N(60)
		for range random.IntN(100) {
			n := random.Uint32N(sent)
			switch {
			case seen[n]:
				dup++
			case int(n) < highest:
				reordered++
			}
			if fresh := got.take(n); fresh == seen[n] {
				t.Fatalf("take(%d) = %t", n, fresh)
			}
			seen[n], highest = true, max(highest, int(n))
		}
		if got.delivered != uint64(len(seen)) || got.duplicated != dup || got.reordered != reordered || got.missing(sent) != uint64(int(sent)-len(seen)) {
			t.Fatalf("%+v, missing %d; want %d, %d, %d of %d", got, got.missing(sent), len(seen), dup, reordered, sent)
		}
	}
}

func TestLedger(t *testing.T) {
	l := newLedger(4)
	for i := range 4 {
		if n := l.send(int64(100 + i)); n != uint32(i) {
			t.Fatalf("number %d", n)
		}
	}
	if l.room() != 0 {
		t.Errorf("room for %d", l.room())
	}
	take := func(number uint32, want int64, first bool) {
		t.Helper()
		if at, ok := l.acknowledge(number); at != want || ok != first {
			t.Errorf("acknowledge(%d) = %d, %t", number, at, ok)
		}
	}
	take(1, 101, true)
	take(1, 0, false)
	if l.room() != 0 {
		t.Errorf("room for %d although the first is not acknowledged", l.room())
	}
	take(0, 100, true)
	take(0, 0, false)
	take(4, 0, false)
	if l.room() != 2 || l.duplicated != 2 || l.foreign != 1 || l.acknowledged.Load() != 2 {
		t.Errorf("room for %d, %+v", l.room(), l)
	}
	l.send(104)
	take(4, 104, true)
	take(3, 103, true)
	take(2, 102, true)
	if l.room() != 4 || l.acknowledged.Load() != 5 {
		t.Errorf("room for %d", l.room())
	}
}

func TestTemplateAndMarker(t *testing.T) {
	for _, size := range []int{0, markerLen, 40, 128, 1024, 60_000} {
		tmpl := newTemplate(0xabc, "a.b", size)
		frame := tmpl.append(nil, 0x12345, 0xdeadbee)
		frame = tmpl.append(frame, 0x12346, 7)
		for number, at := range map[uint32]uint32{0x12345: 0xdeadbee, 0x12346: 7} {
			payload, rest, ok := cutMasked(frame)
			if number == 0x12346 {
				payload, _, ok = cutMasked(rest)
			}
			name := findMarker(payload, -1)
			if !ok || name < 0 || findMarker(payload, name) != name {
				t.Fatalf("size %d: no marker in %.100s", size, payload)
			}
			if m, ok := readMarker(payload[name:]); !ok || m != (marker{0xabc, number, at}) {
				t.Errorf("size %d: %+v, %t", size, m, ok)
			}
			if s, n, ok := readName(payload[len(`{"id":"`):]); !ok || s != 0xabc || n != number {
				t.Errorf("size %d: id %x, %x in %.100s", size, s, n, payload)
			}
			content := payload[name-1 : slices.Index(payload[name:], '"')+name]
			if len(content) != max(size, markerLen) {
				t.Errorf("content of %d bytes, want %d", len(content), size)
			}
		}
	}
	for _, bad := range []string{"", `{"content":"~`, `{"content":"~00000`, strings.Repeat("x", 100)} {
		if at := findMarker([]byte(bad), 5); at != -1 {
			t.Errorf("a marker in %q", bad)
		}
	}
	if _, ok := readMarker([]byte("00000g-00000000-00000000")); ok {
		t.Error("g is no digit")
	}
}

// cutMasked takes a client's frame with a mask of zero apart.
func cutMasked(b []byte) (payload, rest []byte, ok bool) {
	f, n, err := parseFrame(b, true)
	if err != nil || n == 0 {
		return nil, nil, false
	}
	return f.payload, b[n:], true
}

func TestLatencies(t *testing.T) {
	var l latencies
	if l.summary() != nil {
		t.Error("a summary of nothing")
	}
	for i := range uint32(1000) {
		l.add((i + 1) * 100)
	}
	got := l.summary()
	for name, c := range map[string][2]float64{"p50": {got.P50, 50}, "p90": {got.P90, 90}, "p99": {got.P99, 99}, "max": {got.Max, 100}} {
		if math.Abs(c[0]-c[1]) > 0.04*c[1] {
			t.Errorf("%s is %v ms, want about %v", name, c[0], c[1])
		}
	}
	for v := uint32(1); v < 1<<31; v += 1 + v/50 {
		if got := latencyOf(latencyBucket(v)); math.Abs(got-float64(v)) > 0.04*float64(v)+0.5 {
			t.Fatalf("%d counts as %v", v, got)
		}
	}
	if micros(2*time.Hour) != uint32(maxRun/time.Microsecond) || micros(-1) != 0 {
		t.Error("micros is not bounded")
	}
}
