package backup

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"parley/broker"
	"parley/internal/fault"
	"parley/tenants"
)

// file is one of an archive.
type file struct {
	name, content string
	kind          byte  // Zero means a plain file.
	size          int64 // that is claimed. Zero means its own.
}

// aRecord is a tenant's record as an archive holds it.
const aRecord = `{"format":1,"id":"acme","account":"a","state":"active","created":"2026-01-01T00:00:00Z","keys":[],"api_keys":[]}`

// aStream is a stream with two messages.
const aStream = `{"name":"CHANNELS","config":{"name":"CHANNELS","subjects":["channel.>"],"retention":"limits","storage":"file","num_replicas":1},` +
	`"messages":2,"bytes":100,"first_seq":1,"last_seq":5}`

const aMessage = `{"seq":1,"time":"2026-01-01T00:00:00Z","subject":"channel.x","data":"one"}` + "\n"

// sound is an archive that is as it should be, but for its checksums.
func sound() []file {
	return []file{
		{name: headerFile, content: `{"format":"parley-backup","version":1,"created":"2026-01-01T00:00:00Z","parley":"test","secrets":true}`},
		{name: "tenants/acme/tenant.json", content: aRecord},
		{name: "tenants/acme/streams/CHANNELS/stream.json", content: aStream},
		{name: "tenants/acme/streams/CHANNELS/messages-000001.jsonl", content: aMessage + strings.Replace(aMessage, `"seq":1`, `"seq":5`, 1)},
	}
}

// pack writes an archive. The checksums are right unless they are among the files.
func pack(t *testing.T, files []file) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	sums := ""
	put := func(f file) {
		h := &tar.Header{Typeflag: f.kind, Name: f.name, Mode: 0o600, Size: int64(len(f.content)), ModTime: time.Unix(0, 0)}
		if f.kind == 0 {
			h.Typeflag = tar.TypeReg
		} else {
			h.Size, h.Linkname = 0, "/etc/passwd"
		}
		if f.size > 0 {
			h.Size = f.size
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if f.kind == 0 {
			if _, err := io.WriteString(w, f.content); err != nil {
				t.Fatal(err)
			}
		}
	}
	summed := false
	for _, f := range files {
		put(f)
		sums += fmt.Sprintf("%x  %s\n", sha256.Sum256([]byte(f.content)), f.name)
		summed = summed || f.name == sumsFile || f.size > 0
	}
	if !summed {
		put(file{name: sumsFile, content: sums})
	}
	_ = w.Close() // fails for one whose claims are not true
	return out.Bytes()
}

func TestVerifySound(t *testing.T) {
	found, err := Verify(bytes.NewReader(pack(t, sound())))
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Tenants) != 1 || found.Tenants[0].Messages != 2 || found.Tenants[0].Streams != 1 || found.Tenants[0].Tenant != "acme" {
		t.Errorf("found %+v", found)
	}
}

// TestDamagedArchives: whatever is wrong with an archive is said exactly, and nothing is taken for granted.
func TestDamagedArchives(t *testing.T) {
	with := func(i int, old, text string) []file {
		files := sound()
		if !strings.Contains(files[i].content, old) {
			t.Fatalf("%q is not in %s", old, files[i].name)
		}
		files[i].content = strings.Replace(files[i].content, old, text, 1)
		return files
	}
	named := func(i int, name string) []file {
		files := sound()
		files[i].name = name
		return files
	}
	plus := func(more ...file) []file { return append(sound(), more...) }
	for _, c := range []struct {
		name  string
		files []file
		want  string
	}{
		{"another tar", []file{{name: "README", content: "hello"}}, `This is not a backup of parley: it begins with "README".`},
		{"another format", with(0, "parley-backup", "else"), "This is not a backup of parley: it does not begin as one."},
		{"a later version", with(0, `"version":1`, `"version":2`), "The backup has the format 2; this version of parley reads 1."},
		{"no header", sound()[1:], `This is not a backup of parley: it begins with "tenants/acme/tenant.json".`},
		{"a path upwards", named(3, "tenants/acme/streams/CHANNELS/../../../../etc/cron.d/x"), `has no place there`},
		{"an absolute path", named(2, "/tenants/acme/streams/CHANNELS/stream.json"), `has no place there`},
		{"another tenant's path", named(1, "tenants/evil/tenant.json"), `The backup is damaged: the file "tenants/evil/tenant.json" has no place there.`},
		{"a stream of a tenant that has not begun", append(sound()[:1:1], sound()[2]), `has no place there`},
		{"a stream with separators", with(2, `{"name":"CHANNELS"`, `{"name":"../x"`), `has no place there`},
		{"the same tenant twice", plus(sound()[1]), `The backup is damaged: the file "tenants/acme/tenant.json" has no place there.`},
		{"the same stream twice", plus(sound()[2]), `has no place there`},
		{"a missing file of messages", named(3, "tenants/acme/streams/CHANNELS/messages-000002.jsonl"), `has no place there`},
		{"a link", plus(file{name: "tenants/acme/streams/CHANNELS/messages-000002.jsonl", kind: tar.TypeSymlink}), `is no plain file`},
		{"a device", plus(file{name: "x", kind: tar.TypeBlock}), `The backup is damaged: "x" is no plain file.`},
		{"a huge claim", plus(file{name: "tenants/other/tenant.json", size: 1 << 40}), `claims to be 1099511627776 bytes long`},
		{"a claim that is not kept", append(sound()[:3:3], file{name: "tenants/acme/streams/CHANNELS/messages-000001.jsonl", content: aMessage, size: 4000}), "The backup is damaged: its end is missing."},
		{"wrong checksums", plus(file{name: sumsFile, content: "0000  parley-backup.json\n"}), `The backup is damaged: the checksum of "parley-backup.json" is not the one in SHA256SUMS.`},
		{"checksums of more", plus(file{name: sumsFile, content: sumsOf(plus(file{name: "more"}))}), "The backup is damaged: SHA256SUMS lists other files."},
		{"something behind the end", plus(file{name: sumsFile, content: sumsOf(sound())}, file{name: "more"}), "The backup is damaged: something follows behind its end."},
		{"one that failed", plus(file{name: failureFile, content: "tenant acme: The store is full.\n"}), "The backup was not finished: tenant acme: The store is full."},
		{"no record", with(1, `"format":1`, `"format":2`), "This is not the record of a tenant: not a record of format 1."},
		{"a record of no tenant", with(1, `"id":"acme"`, `"id":"a/b"`), "This is not the record of a tenant: A tenant's id is 1 to 64 characters of A-Z a-z 0-9 _ and -."},
		{"a stream with a mirror", with(2, `"storage":"file"`, `"storage":"file","mirror":{"name":"X"}`), "it takes its messages from elsewhere"},
		{"a configuration of another stream", with(2, `"config":{"name":"CHANNELS"`, `"config":{"name":"KV_state"`), "the configuration is one of another stream"},
		{"an unknown member of a stream", with(2, `"messages":2`, `"messages":2,"x":1`), "can't be read"},
		{"more messages than sequences", with(2, `"messages":2`, `"messages":6`), "it can't have so many messages"},
		{"sequences that can't be", with(2, `"last_seq":5`, `"last_seq":18446744073709551615`), "its sequences can't be"},
		{"a place of nobody", with(2, `"messages":2`, `"messages":2,"places":[{"config":{"durable_name":"../x"},"state":{}}]`), "a place is of nobody"},
		{"messages out of order", with(3, `"seq":5`, `"seq":1`), "message 1 is not in order"},
		{"a message behind the last", with(3, `"seq":5`, `"seq":6`), "message 6 is not in order"},
		{"a message of another stream", with(3, `"channel.x"`, `"session.x.log"`), "message 1 is not one of this stream"},
		{"a subject with wildcards", with(3, `"channel.x"`, `"channel.>"`), "message 1 has no subject that could be"},
		{"a subject with a line end", with(3, `"channel.x"`, `"channel.x\r\nPUB"`), "message 1 has no subject that could be"},
		{"no sequence", with(3, `"seq":1`, `"seq":0`), "a message has no sequence"},
		{"a time before all", with(3, "2026-01-01", "1926-01-01"), "message 1 has no time that could be"},
		{"a header that is none", with(3, `"data":"one"`, `"data":"one","header":"Evil: 1"`), "message 1 has a header that is none"},
		{"a member twice", with(3, `"seq":1`, `"seq":1,"seq":1`), "a line is no message"},
		{"the same in two ways", with(3, `"data":"one"`, `"data":"one","data64":"AAAA"`), "a line holds the same in two ways"},
		{"a line cut off", with(3, "}\n{", "}{"), "a line is no message"},
		{"no end of line", append(sound()[:3:3], file{name: sound()[3].name, content: strings.TrimSpace(aMessage)}), "ends within a message"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Verify(bytes.NewReader(pack(t, c.files)))
			if err == nil {
				t.Fatal("taken")
			}
			if code := fault.CodeOf(err); code != fault.InvalidFormat && c.files[len(c.files)-1].name != failureFile {
				t.Errorf("code %q of %v", code, err)
			}
			if !strings.Contains(fault.Message(err), c.want) {
				t.Errorf("%q, want %q", fault.Message(err), c.want)
			}
		})
	}
}

func sumsOf(files []file) (sums string) {
	for _, f := range files {
		sums += fmt.Sprintf("%x  %s\n", sha256.Sum256([]byte(f.content)), f.name)
	}
	return sums
}

// TestCutAnywhere: an archive that lacks its end is refused, wherever it was cut; so is one with a byte changed.
func TestCutAnywhere(t *testing.T) {
	whole := pack(t, sound())
	end := bytes.LastIndex(whole, []byte("stream.json\n")) // of the checksums
	for n := 0; n < end; n += 97 {
		if _, err := Verify(bytes.NewReader(whole[:n])); fault.CodeOf(err) != fault.InvalidFormat {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
	content := bytes.Index(whole, []byte(`"data":"one"`)) + 9
	changed := bytes.Clone(whole)
	changed[content] ^= 1
	if _, err := Verify(bytes.NewReader(changed)); !strings.Contains(fault.Message(err), "the checksum of") {
		t.Errorf("a byte changed: %v", err)
	}
	if _, err := Verify(strings.NewReader("")); fault.Message(err) != "This is not a backup of parley: it is no tar archive." {
		t.Errorf("nothing: %v", err)
	}
	broken := errors.New("the disk is gone")
	if _, err := Verify(io.MultiReader(bytes.NewReader(whole[:600]), failing{broken})); !errors.Is(err, broken) {
		t.Errorf("a reader that fails: %v", err)
	}
}

type failing struct{ err error }

// Read implements io.Reader.
func (f failing) Read([]byte) (int, error) { return 0, f.err }

// FuzzVerify: no archive makes it panic, or is taken whose contents it then would not give out the same way again.
func FuzzVerify(f *testing.F) {
	var out bytes.Buffer
	w, err := newWriter(&out, Header{Format: formatName, Version: formatVersion})
	if err != nil {
		f.Fatal(err)
	}
	if err := errors.Join(w.begin("acme", []byte(aRecord)), w.Message(broker.RawMessage{}), w.close()); err != nil {
		f.Fatal(err)
	}
	f.Add(out.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		first, err := Verify(bytes.NewReader(b))
		if err != nil {
			return
		}
		if again, err := Verify(bytes.NewReader(b)); err != nil || len(again.Tenants) != len(first.Tenants) {
			t.Errorf("taken once, then %v", err)
		}
		for _, found := range first.Tenants {
			if _, err := tenants.ParseID(string(found.Tenant)); err != nil {
				t.Error(err)
			}
		}
	})
}

// FuzzLine: what is read from a line is written as a line that reads the same.
func FuzzLine(f *testing.F) {
	f.Add([]byte(aMessage))
	f.Add([]byte(`{"seq":2,"time":"2026-01-01T00:00:00.123456789Z","subject":"channel.x","header":"NATS/1.0\r\nA: b\r\n\r\n","data64":"/w=="}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseLine(b)
		if err != nil {
			return
		}
		again, err := parseLine(bytes.TrimSuffix(appendLine(nil, m), []byte("\n")))
		if err != nil || again.Seq != m.Seq || !again.Time.Equal(m.Time) || again.Subject != m.Subject ||
			!bytes.Equal(again.Header, m.Header) || !bytes.Equal(again.Data, m.Data) {
			t.Errorf("%+v has become %+v, %v", m, again, err)
		}
	})
}
