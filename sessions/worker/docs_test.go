package worker

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestPageIsRight reads what docs/workers.md shows as the SDK reads and writes it.
func TestPageIsRight(t *testing.T) {
	page, err := os.ReadFile("../../docs/workers.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```json\n(.*?)```").FindSubmatch(page)
	if block == nil {
		t.Fatal("the page has no request")
	}
	r, err := parseRequest(block[1])
	if err != nil {
		t.Fatal(err)
	}
	if last := r.History[len(r.History)-1]; last.Text != r.Text || r.User == "" || r.About == nil || r.Claims == nil || r.Metadata == nil || r.Deadline.IsZero() {
		t.Errorf("the request is %+v", r)
	}
	said := regexp.MustCompile(`(?m)^> (\{.*\})`).FindAllSubmatch(page, -1)
	if len(said) < 5 {
		t.Errorf("the example says only %d things", len(said))
	}
	for _, line := range said {
		d := json.NewDecoder(strings.NewReader(string(line[1])))
		d.DisallowUnknownFields()
		var m message
		if err := d.Decode(&m); err != nil || m.Run != "m1" || m.N == 0 {
			t.Errorf("%s: %v", line[1], err)
		}
	}
	for _, line := range regexp.MustCompile(`(?m)^< (\{\S*\})`).FindAllSubmatch(page, -1) {
		if _, err := parseVerdict(line[1]); err != nil {
			t.Errorf("%s: %v", line[1], err)
		}
	}
	for _, kind := range []string{typeAccept, typeHeartbeat, typeChunk, typeToolCall, typeToolResult, typeFollowUps, typeEnd, typeError} {
		if !strings.Contains(string(page), "\n| `"+kind+"` |") {
			t.Errorf("the page does not explain %s", kind)
		}
	}
	for _, code := range []string{codeGone, codeOutOfOrder, codeUnavailable, codeDraining, codeOutcomeUnknown, codeStorageFull} {
		if !strings.Contains(string(page), "\""+code+"\"") {
			t.Errorf("the page does not explain %s", code)
		}
	}
}
