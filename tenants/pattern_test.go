package tenants

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestMatches(t *testing.T) {
	tests := []struct {
		pattern, name string
		want          bool
	}{
		{"a", "a", true},
		{"a", "b", false},
		{"a", "a.b", false},
		{"a.b", "a", false},
		{"a.b", "a.b", true},
		{"*", "a", true},
		{"*", "a.b", false},
		{"a.*", "a.b", true},
		{"a.*", "a", false},
		{"a.*", "a.b.c", false},
		{"*.b", "a.b", true},
		{"*.b", "a.c", false},
		{">", "a", true},
		{">", "a.b.c", true},
		{"a.>", "a", false},
		{"a.>", "a.b", true},
		{"a.>", "a.b.c", true},
		{"a.>", "ab.c", false},
		{"a.*.c", "a.b.c", true},
		{"a.*.c", "a.b.d", false},
		{"*.*", "a.b", true},
		{"*.>", "a.b.c", true},
		{"*.>", "a", false},
		{"A", "a", false},
	}
	for _, tt := range tests {
		if got := matches(tt.pattern, tt.name); got != tt.want {
			t.Errorf("matches(%q, %q) = %t, want %t", tt.pattern, tt.name, got, tt.want)
		}
	}
}

func TestValidPattern(t *testing.T) {
	good := []string{"a", "*", ">", "a.b", "a.*", "a.>", "*.*.>", "A-Z_09", strings.Repeat("a", 64), strings.Repeat("a.", 15) + "a"}
	bad := []string{
		"", ".", "a.", ".a", "a..b", ">.a", "a.>.b", "a*", "*a", "a>", ">>", "**", "a b", "a\x00", "a\n", "ä", "а", "$JS", "$SYS.>",
		"a/b", "a,b", strings.Repeat("a", 65), strings.Repeat("a.", 80) + "a", strings.Repeat("a.", 17) + "a",
	}
	for _, p := range good {
		if !validPattern(p) {
			t.Errorf("validPattern(%q) = false", p)
		}
	}
	for _, p := range bad {
		if validPattern(p) {
			t.Errorf("validPattern(%q) = true", p)
		}
	}
}

func TestLiteral(t *testing.T) {
	for _, s := range []string{"a", "a.b", "channel.x-y_z"} {
		if !literal(s) {
			t.Errorf("literal(%q) = false", s)
		}
	}
	for _, s := range []string{"", ".", "a.", ".a", "a..b", "a.*", "a.>", "a b", "a\r\nb", "a\x00", "ä", "channel."} {
		if literal(s) {
			t.Errorf("literal(%q) = true", s)
		}
	}
}

// reference says the same as matches, by way of a regular expression.
func reference(pattern, name string) bool {
	expr := regexp.QuoteMeta(pattern)
	expr = strings.ReplaceAll(expr, `\*`, `[^.]+`)
	expr = strings.ReplaceAll(expr, `>`, `[^.]+(\.[^.]+)*`)
	return regexp.MustCompile(`^` + expr + `$`).MatchString(name)
}

func TestMatchesAgreesWithReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		token := rapid.SampledFrom([]string{"a", "b", "ab", "c-1", "_"})
		name := strings.Join(rapid.SliceOfN(token, 1, 5).Draw(t, "name"), ".")
		tokens := rapid.SliceOfN(rapid.OneOf(token, rapid.Just("*")), 0, 5).Draw(t, "pattern")
		if len(tokens) == 0 || rapid.Bool().Draw(t, "open") {
			tokens = append(tokens, ">")
		}
		pattern := strings.Join(tokens, ".")
		if !validPattern(pattern) {
			t.Fatalf("validPattern(%q) = false", pattern)
		}
		if got, want := matches(pattern, name), reference(pattern, name); got != want {
			t.Fatalf("matches(%q, %q) = %t, want %t", pattern, name, got, want)
		}
	})
}

func FuzzPattern(f *testing.F) {
	f.Add("a.*.>", "a.b.c")
	f.Add(">", "channel.x")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if !validPattern(pattern) || !literal(name) {
			return
		}
		if got, want := matches(pattern, name), reference(pattern, name); got != want {
			t.Errorf("matches(%q, %q) = %t, want %t", pattern, name, got, want)
		}
	})
}
