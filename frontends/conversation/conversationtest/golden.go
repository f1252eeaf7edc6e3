// Package conversationtest tests the Encoders of the dialects of chat: all of them play one script, and what each one makes
// of it is kept in golden files.
package conversationtest

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"parley/frontends/conversation"
	"parley/sessions"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Golden plays every Scene to an Encoder of its own and compares what it writes with testdata/<scene>.golden, which
// -update writes.
func Golden(t *testing.T, encoder func() conversation.Encoder) {
	t.Helper()
	for _, s := range Scenes() {
		t.Run(s.Name, func(t *testing.T) {
			got := play(t, s, encoder())
			path := filepath.Join("testdata", s.Name+".golden")
			if *update {
				if err := os.MkdirAll("testdata", 0o750); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, got, 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s\n got:\n%s\nwant:\n%s", path, got, want)
			}
		})
	}
}

// play returns what the Encoder makes of a scene: a line for each event, followed by one for each frame.
func play(t *testing.T, s Scene, enc conversation.Encoder) []byte {
	t.Helper()
	var out bytes.Buffer
	out.WriteString("# begin\n")
	write(t, &out, enc.Begin(nil, s.Begin))
	for _, e := range s.Event {
		fmt.Fprintln(&out, "#", describe(e))
		write(t, &out, enc.Event(nil, e))
	}
	return out.Bytes()
}

func describe(e *sessions.Event) string {
	words := []string{string(e.Kind)}
	for _, w := range []string{string(e.Role), string(e.Status), e.Origin} {
		if w != "" {
			words = append(words, w)
		}
	}
	if e.Text != "" {
		words = append(words, fmt.Sprintf("%q", e.Text))
	}
	return strings.Join(words, " ")
}

func write(t *testing.T, out *bytes.Buffer, frames []byte) {
	t.Helper()
	for _, payload := range Payloads(t, frames) {
		fmt.Fprintf(out, "%s\n", payload)
	}
}

// Payloads takes WebSocket text frames of a server apart. Each must be JSON.
func Payloads(t testing.TB, frames []byte) (all [][]byte) {
	t.Helper()
	for len(frames) > 0 {
		if frames[0] != 0x81 || len(frames) < 2 {
			t.Fatalf("not a text frame: %.40q", frames)
		}
		n, head := int(frames[1]), 2
		switch n {
		case 126:
			n, head = int(binary.BigEndian.Uint16(frames[2:])), 4
		case 127:
			n, head = int(binary.BigEndian.Uint64(frames[2:])), 10
		}
		payload := frames[head : head+n]
		if !jsontext.Value(payload).IsValid() {
			t.Errorf("not JSON: %s", payload)
		}
		all = append(all, payload)
		frames = frames[head+n:]
	}
	return all
}
