package conversation_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"parley/frontends/conversation"
	"parley/sessions"
)

// TestProgress delivers an answer in every kind of disorder: what is shown is its text.
func TestProgress(t *testing.T) {
	const text = "Grüße, wörld ✓ and so on and on."
	rng := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		var p conversation.Progress
		var shown strings.Builder
		if from := rng.IntN(len(text)); rng.IntN(2) == 0 {
			p.Resume(&sessions.Answer{ID: "a", Text: text[:from]})
			shown.WriteString(text[:from])
		} else {
			p.Start(&sessions.Event{Kind: sessions.Started, ID: "a"})
		}
		for range rng.IntN(20) {
			from := rng.IntN(len(text))
			to := from + rng.IntN(len(text)-from)
			shown.WriteString(p.Piece(&sessions.Event{Kind: sessions.Chunk, ID: "a", Offset: from, Text: text[from:to]}))
			if got := p.Piece(&sessions.Event{Kind: sessions.Chunk, ID: "other", Text: text}); got != "" {
				t.Fatalf("showed %q of another answer", got)
			}
		}
		rest, begun := p.End(&sessions.Event{Kind: sessions.Ended, ID: "a", Text: text})
		if shown.WriteString(rest); !begun || shown.String() != text {
			t.Fatalf("begun %t, showed %q, want %q", begun, shown.String(), text)
		}
	}
}

// TestProgressNeverBegun ends an answer that nobody has seen begin.
func TestProgressNeverBegun(t *testing.T) {
	var p conversation.Progress
	for _, id := range []string{"", "a"} {
		if rest, begun := p.End(&sessions.Event{Kind: sessions.Ended, ID: id, Text: "x"}); begun || rest != "" {
			t.Errorf("id %q: begun %t, rest %q", id, begun, rest)
		}
	}
}
