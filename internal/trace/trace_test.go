package trace

import (
	"context"
	"strings"
	"testing"
)

const good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestParseTakesTraceparentsOnly(t *testing.T) {
	for text, want := range map[string]string{
		good:                  good,
		good[:53] + "00":      good[:53] + "00",
		"":                    "",
		good[:54]:             "",
		good + "0":            "",
		strings.ToUpper(good): "",
		"ff" + good[2:]:       "",
		"00-" + strings.Repeat("0", 32) + good[35:]: "",
		good[:36] + strings.Repeat("0", 16) + "-01": "",
		good[:53] + "\r\n":                          "",
		good[:35] + "\r\n" + good[37:]:              "",
		strings.Repeat("x", len(good)):              "",
	} {
		if got := Parse(text); got != want {
			t.Errorf("Parse(%q) = %q, want %q", text, got, want)
		}
	}
}

// TestOffCostsNothing: without a Tracer nothing is allocated, and what somebody else traces is passed on.
func TestOffCostsNothing(t *testing.T) {
	var off *Tracer
	if n := testing.AllocsPerRun(100, func() {
		s := off.Start("", Server, "publish")
		if s.Traceparent() != "" {
			t.Error("a trace begins by itself")
		}
		s.Event("x")
		s.End("")
	}); n != 0 {
		t.Errorf("a span that nobody watches allocates %v times", n)
	}
	if got := off.Start(good, Server, "publish").Traceparent(); got != good {
		t.Errorf("%q is passed on as %q", good, got)
	}
	if got := Parent(WithParent(context.Background(), good)); got != good {
		t.Errorf("the context has %q", got)
	}
}

func TestOpenRefusesWhatIsNoURL(t *testing.T) {
	for _, endpoint := range []string{"", "127.0.0.1:4318", "grpc://127.0.0.1:4317", "http://"} {
		if p, err := Open(t.Context(), Config{Endpoint: endpoint}); err == nil {
			t.Errorf("%q was taken", endpoint)
			_ = p.Shutdown(t.Context())
		}
	}
}
