package test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"parley/test/rig"
)

// TestBackupUnderLoad backs a tenant up while agents write, and restores it on a cluster and on external servers. Whatever
// was acknowledged before is there; every message has its bytes, its sequence and its time; agents go on by sequence and
// sessions by index, with the tokens and API keys they had.
func TestBackupUnderLoad(t *testing.T) {
	t.Parallel()
	const writers, acksBefore = 3, 500
	demo, server := demo(t)
	key := demo.apiKey()
	bobs := demo.newChat(key, "bob")
	ann := userToken(server, "ann")
	page := talkers["assistant"].open(t, server, "ann")
	page.Send(talkers["assistant"].say("shared", "said before the backup"))
	if text, _ := talkers["assistant"].listen(t, page, -1); text != "said before the backup" {
		t.Errorf("answered %q", text)
	}
	page.Close()

	load, stop := writeWhile(t, demo, writers, acksBefore)
	acked := make([]map[string]uint64, writers)
	for i, w := range load {
		w.mu.Lock()
		acked[i] = maps.Clone(w.acked)
		w.mu.Unlock()
	}
	file := filepath.Join(t.TempDir(), "demo.tar")
	demo.MustCLI("backup", "--tenant", "demo", "--out", file)
	stop()
	if mode := fileMode(t, file); mode != 0o600 {
		t.Errorf("the backup has the mode %o", mode)
	}
	original := archived(t, file)

	session := demo.MustCLI("session", "show", "--tenant", "demo", "shared", "--json")
	for name, start := range map[string]func() *rig.Server{
		"a cluster":        func() *rig.Server { return parley.StartCluster(t, 3)[0] },
		"external servers": func() *rig.Server { return parley.Start(t, parley.StartNATS(t, 1).Options(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			there := tenant{Server: start(), t: t, id: "demo"}
			there.MustCLI("restore", file)
			again := filepath.Join(t.TempDir(), "again.tar")
			there.MustCLI("backup", "--tenant", "demo", "--out", again)
			restored := archived(t, again)
			for name, content := range original {
				if !strings.HasSuffix(name, ".jsonl") || strings.Contains(name, "KV_state") { // presence is not restored
					continue
				}
				if !bytes.Equal(restored[name], content) {
					t.Errorf("%s is not what it was: %d bytes have become %d", name, len(content), len(restored[name]))
				}
			}
			for i, w := range load {
				checkRestored(t, there, w, acked[i])
			}
			if got := there.MustCLI("session", "show", "--tenant", "demo", "shared", "--json"); got != session {
				t.Errorf("the session is\n%s\nand was\n%s", got, session)
			}
			if id := there.newChat(key, "bob"); id == bobs { // with the API key of before
				t.Errorf("the new chat is the old one")
			}
			s := rig.Dial(t, there.Addr(), "/?session_id=shared&token="+ann) // the user goes on, with the token of before
			if f := s.Next(); f.Type() != "connection" || f.Text("session_id") != "shared" {
				t.Errorf("greeted with %s", f)
			}
			s.Close()
		})
	}
}

// writeWhile has agents write until stop is called. It returns when they have had so many ACKs.
func writeWhile(t *testing.T, n tenant, writers, acks int) (load []*writer, stop func()) {
	t.Helper()
	var writing sync.WaitGroup
	var sockets []*rig.Socket
	var mu sync.Mutex
	total, enough := 0, make(chan struct{})
	for i := range writers {
		agent := fmt.Sprint("writer-", i)
		w := &writer{agent: agent, token: n.token(agent), channel: fmt.Sprint("busy-", i), acked: map[string]uint64{}}
		s := n.dial(w.token, w.channel, "echo", "false")
		load, sockets = append(load, w), append(sockets, s)
		underWay := make(chan struct{}, window)
		writing.Go(func() { w.write(s, underWay) })
		writing.Go(func() {
			w.readAnswers(t, s, underWay, func() {
				mu.Lock()
				defer mu.Unlock()
				if total++; total == acks {
					close(enough)
				}
			})
		})
	}
	<-enough
	return load, func() {
		for _, s := range sockets {
			s.Close()
		}
		writing.Wait()
	}
}

// checkRestored checks that a channel has what was acknowledged before the backup, at the same sequences, and that an agent
// goes on where it was.
func checkRestored(t *testing.T, there tenant, w *writer, acked map[string]uint64) {
	t.Helper()
	found := map[string]uint64{}
	all := history(t, there, w.channel)
	for _, f := range all {
		found[f.Text("id")] = f.Seq()
	}
	for id, seq := range acked {
		if found[id] != seq {
			t.Errorf("%s was acknowledged with %d before the backup, and has %d", id, seq, found[id])
		}
	}
	if len(all) < 3 {
		t.Fatalf("%d messages in %s", len(all), w.channel)
	}
	last := all[len(all)-1].Seq()
	s := there.dial(w.token, w.channel, "since", fmt.Sprint(all[len(all)-3].Seq()))
	defer s.Close()
	for _, want := range all[len(all)-2:] {
		if f := s.Message(); f.Seq() != want.Seq() || f.Text("id") != want.Text("id") {
			t.Errorf("resumed with %s, want %s", f, want)
		}
	}
	s.Send(rig.Frame{"id": "after", "type": "message", "content": "after"})
	if ack := s.Answer("after"); ack.Type() != "ACK" || ack.Seq() <= last {
		t.Errorf("the next message has the sequence %d, behind %d", ack.Seq(), last)
	}
}

// archived returns the files of an archive.
func archived(t *testing.T, file string) map[string][]byte {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all := map[string][]byte{}
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if all[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

func fileMode(t *testing.T, file string) os.FileMode {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}
