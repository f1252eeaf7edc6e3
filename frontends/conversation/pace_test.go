package conversation

import (
	"testing"
	"time"
)

// TestPace sends at different speeds for ten seconds and counts what is let through.
func TestPace(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name           string
		every          time.Duration
		passed, tooFst int
		flood          bool
	}{
		{"as fast as allowed", 100 * time.Millisecond, 100, 0, false},
		{"twice as fast", 50 * time.Millisecond, 109, 91, false}, // ten at once, then ten a second
		{"a flood", 5 * time.Millisecond, 0, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPace(Limits{FramesPerSecond: 10, Burst: 10})
			got := map[verdict]int{}
			for at := time.Duration(0); at < 10*time.Second; at += c.every {
				got[p.take(start.Add(at))]++
			}
			if c.flood != (got[flood] > 0) {
				t.Errorf("flood seen %d times", got[flood])
			}
			if !c.flood && (got[inTime] != c.passed || got[tooFast] != c.tooFst) {
				t.Errorf("%d passed, %d were too fast; want %d, %d", got[inTime], got[tooFast], c.passed, c.tooFst)
			}
		})
	}
}

// TestPaceAfterAPause lets a burst through, but not more than one.
func TestPaceAfterAPause(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	p := newPace(Limits{FramesPerSecond: 10, Burst: 20})
	for range 3 {
		now = now.Add(time.Hour)
		passed := 0
		for range 50 {
			if p.take(now) == inTime {
				passed++
			}
		}
		if passed != 20 {
			t.Errorf("%d passed at once, want 20", passed)
		}
	}
}
