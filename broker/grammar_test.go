package broker

import (
	"fmt"
	"strings"
	"testing"

	"parley/internal/fault"
)

func ExampleParseName() {
	name, _ := ParseName("orders.eu")
	fmt.Println(ChannelSubject(name), ChannelSubject(name).Live())
	_, err := ParseName("orders.*")
	fmt.Println(err)
	// Output:
	// channel.orders.eu live.channel.orders.eu
	// A channel is ids of A-Z a-z 0-9 _ and - joined by dots, at most 128 bytes.
}

func TestGrammar(t *testing.T) {
	t.Parallel()
	token := strings.Repeat("a", MaxTokenBytes)
	for _, tt := range []struct {
		text        string
		token, name bool
	}{
		{"a", true, true},
		{"A-z_09", true, true},
		{token, true, true},
		{"-", true, true},
		{"a.b", false, true},
		{"a.b.c", false, true},
		{token + "." + token[:MaxNameBytes-MaxTokenBytes-1], false, true},
		{strings.Repeat("a.", 15) + "a", false, true},
		{strings.Repeat("a.", 16) + "a", false, false},
		{token + "." + token, false, false},
		{token + "a", false, false},
		{strings.Repeat("a", 10_000), false, false},
		{"", false, false},
		{".", false, false},
		{"a.", false, false},
		{".a", false, false},
		{"a..b", false, false},
		{"*", false, false},
		{">", false, false},
		{"a.>", false, false},
		{"a.*", false, false},
		{"$JS", false, false},
		{"$JS.API.>", false, false},
		{"a b", false, false},
		{"a\tb", false, false},
		{"a\r\nPUB x 1", false, false},
		{"a\x00", false, false},
		{"\xff", false, false},
		{"é", false, false},
		{"а", false, false},
		{"ａ", false, false},
		{"a\u200b", false, false},
		{"a/b", false, false},
		{"a\\b", false, false},
		{"a:b", false, false},
		{"a=b", false, false},
		{"_INBOX.x", false, true},
		{"..", false, false},
	} {
		if _, err := ParseToken(tt.text); (err == nil) != tt.token || err != nil && fault.CodeOf(err) != fault.InvalidID {
			t.Errorf("ParseToken(%.40q): %v, want good %v", tt.text, err, tt.token)
		}
		if _, err := ParseName(tt.text); (err == nil) != tt.name || err != nil && fault.CodeOf(err) != fault.InvalidID {
			t.Errorf("ParseName(%.40q): %v, want good %v", tt.text, err, tt.name)
		}
	}
}

// FuzzName checks that what the grammar accepts is one subject below its root, and can be read back.
func FuzzName(f *testing.F) {
	for _, s := range []string{"a", "a.b", "a..b", "*", ">", "$JS.API", "é", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseName(s)
		if err != nil {
			return
		}
		subject := ChannelSubject(n)
		if strings.ContainsAny(string(subject), "*> \t\r\n\x00$") || strings.Contains(string(subject), "..") || len(subject) > MaxNameBytes+len(rootChannel) {
			t.Fatalf("subject %q", subject)
		}
		if back, ok := subject.Channel(); !ok || back != n {
			t.Fatalf("%q read back as %q, %v", n, back, ok)
		}
		if subject.Live().Stored() != subject {
			t.Fatalf("%q is not what its live copy is of", subject)
		}
	})
}
