package worker

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestTextWaitsForMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newOutbox(&Request{}, 25*time.Millisecond)
		taken := func() string { return textOf(t, b.take(time.Now())) }
		b.putText("one ")
		if got := taken(); got != "one |" {
			t.Errorf("the first text was held back: %q", got)
		}
		b.putText("two ")
		time.Sleep(24 * time.Millisecond) //nolint:forbidigo // the bubble's clock jumps
		b.putText("three ")
		if got := taken(); got != "" {
			t.Errorf("sent too early: %q", got)
		}
		time.Sleep(time.Millisecond) //nolint:forbidigo // the bubble's clock jumps
		if got := taken(); got != "two three |" {
			t.Errorf("after its time: %q", got)
		}
		b.putText("four")
		b.finish(&message{Type: typeEnd}, errOver)
		if got := taken(); got != "four||" {
			t.Errorf("at the end: %q", got)
		}
	})
}

// textOf returns the texts of messages, each followed by a bar.
func textOf(t testing.TB, all []encoded) string {
	t.Helper()
	var texts strings.Builder
	for _, e := range all {
		var m message
		if err := json.Unmarshal(e.data, &m); err != nil || m.N != e.n {
			t.Fatalf("%s: %v", e.data, err)
		}
		texts.WriteString(m.Text + "|")
	}
	return texts.String()
}

func TestWindowAndRoomAreBounded(t *testing.T) {
	b := newOutbox(&Request{}, 0)
	sent := 0
	for {
		full, err := b.putText(strings.Repeat("x", 1000))
		if err != nil {
			t.Fatal(err)
		}
		if full != nil {
			break
		}
		sent += len(b.take(time.Now()))
	}
	if sent != window {
		t.Errorf("%d messages are under way, want %d", sent, window)
	}
	if b.bytes < maxWaiting || b.bytes > maxWaiting+1000 {
		t.Errorf("%d bytes wait", b.bytes)
	}
	full, _ := b.putText("more")
	if b.confirm(10); len(b.take(time.Now())) != 10 {
		t.Error("what was confirmed makes no room")
	}
	<-full
	for _, e := range b.unconfirmed() {
		if len(e.data) > maxChunk+200 {
			t.Errorf("a message has %d bytes", len(e.data))
		}
	}
	full, _ = b.putText(strings.Repeat("y", 2*maxWaiting))
	if full != nil {
		t.Fatal("no room")
	}
	full, _ = b.putText("z")
	b.abandon(ErrGone)
	<-full
	if _, err := b.putText("z"); !errors.Is(err, ErrGone) {
		t.Errorf("an abandoned box says %v", err)
	}
	if b.finish(&message{Type: typeEnd}, errOver); b.finished {
		t.Error("an abandoned box was finished")
	}
}

func TestPiecesOfText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		b := newOutbox(&Request{}, 0)
		for rest := text; rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "bytes")
			b.putText(rest[:n])
			rest = rest[n:]
		}
		b.finish(&message{Type: typeEnd}, errOver)
		var all strings.Builder
		for _, e := range b.take(time.Now()) {
			var m message
			if err := json.Unmarshal(e.data, &m); err != nil {
				t.Fatal(err)
			}
			all.WriteString(m.Text)
		}
		if all.String() != strings.ToValidUTF8(text, "\uFFFD") {
			t.Fatalf("%q became %q", text, all.String())
		}
	})
}

func TestLongTextIsCut(t *testing.T) {
	text := strings.Repeat("x", maxChunk-1) + "€" + strings.Repeat("y", maxChunk)
	b := newOutbox(&Request{}, 0)
	b.putText(text)
	all := textOf(t, b.take(time.Now()))
	if strings.ReplaceAll(all, "|", "") != text || strings.Count(all, "|") != 3 || !utf8.ValidString(all) {
		t.Errorf("cut into %d pieces", strings.Count(all, "|"))
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add([]byte(`{"session":"s","run":"r","attempt":1,"reply_to":"session.s.run","control":"session.s.control","history":[{"role":"user","text":"x"}]}`))
	f.Add([]byte(`{"attempt":-1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRequest(b)
		if err != nil {
			return
		}
		again, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := parseRequest(again); err != nil || back.Run != r.Run || back.Attempt != r.Attempt {
			t.Fatalf("%s became %s: %v", b, again, err)
		}
	})
}
