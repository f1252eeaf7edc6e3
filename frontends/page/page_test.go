package page

import (
	"fmt"
	"math"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestContrast holds the colours to what WCAG 2 asks for at level AA: 4.5 for words, 3 for what else has to be seen.
func TestContrast(t *testing.T) {
	light, dark, ok := strings.Cut(text("base.css"), "prefers-color-scheme: dark")
	if !ok {
		t.Fatal("there are no colours for the dark")
	}
	for scheme, rules := range map[string]string{"light": light, "dark": dark} {
		colours := coloursOf(rules)
		for _, c := range []struct {
			what, behind string
			least        float64
		}{
			{"ink", "ground", 4.5},
			{"ink", "paper", 4.5},
			{"ink", "mine", 4.5},
			{"ink", "human", 4.5},
			{"soft", "ground", 4.5},
			{"soft", "paper", 4.5},
			{"strong", "paper", 4.5},
			{"strong-ink", "strong", 4.5},
			{"strong-ink", "strong-over", 4.5},
			{"bad", "bad-ground", 4.5},
			{"bad", "ground", 4.5},
			{"edge", "paper", 3},
			{"edge", "ground", 3},
			{"strong", "ground", 3},
			{"good", "paper", 3},
			{"wait", "paper", 3},
			{"human-edge", "ground", 3},
		} {
			if got := contrast(t, colours[c.what], colours[c.behind]); got < c.least {
				t.Errorf("%s: %s on %s has a contrast of %.2f, want %.1f", scheme, c.what, c.behind, got, c.least)
			}
		}
	}
}

// TestContrastOfCalls is TestContrast for what is the same in the light and in the dark.
func TestContrastOfCalls(t *testing.T) {
	colours := coloursOf(text("meet.css"))
	for what, behind := range map[string]string{
		"scene-ink": "scene", "scene-soft": "scene", "scene-bad": "scene", "end-ink": "end", "end-over": "end-ink",
	} {
		if got := contrast(t, colours[what], colours[behind]); got < 4.5 {
			t.Errorf("%s on %s has a contrast of %.2f, want 4.5", what, behind, got)
		}
	}
}

func coloursOf(rules string) map[string]string {
	colours := map[string]string{}
	for _, m := range regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]+)`).FindAllStringSubmatch(rules, -1) {
		colours[m[1]] = m[2]
	}
	return colours
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	la, lb := luminance(t, a), luminance(t, b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func luminance(t *testing.T, colour string) (sum float64) {
	t.Helper()
	digits := strings.TrimPrefix(colour, "#")
	if len(digits) == 3 {
		digits = fmt.Sprintf("%[1]c%[1]c%[2]c%[2]c%[3]c%[3]c", digits[0], digits[1], digits[2])
	}
	if len(digits) != 6 {
		t.Fatalf("%q is no colour", colour)
	}
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(digits[2*i:2*i+2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

// TestPages: both pages are put together from all their parts, and set nothing as markup that others have said.
func TestPages(t *testing.T) {
	for name, p := range map[string]*Page{"class Thread": Chat(), "class Peer": Meet()} {
		body := string(p.document)
		for _, part := range []string{"class Link", name, "color-scheme: light dark", "\n\"use strict\";\n"} {
			if strings.Count(body, part) != 1 {
				t.Errorf("the page with %s has %q %d times", name, part, strings.Count(body, part))
			}
		}
		for _, bad := range []string{"/* style */", "/* script */", "innerHTML", "eval("} {
			if strings.Contains(body, bad) {
				t.Errorf("the page with %s contains %s", name, bad)
			}
		}
	}
}

// TestPolicy: a host that a client made up does not get into the policy.
func TestPolicy(t *testing.T) {
	p := Chat()
	for host, want := range map[string]string{
		"chat.example:8080":           "connect-src 'self' ws://chat.example:8080 wss://chat.example:8080",
		"[::1]:8080":                  "connect-src 'self' ws://[::1]:8080 wss://[::1]:8080",
		"x; script-src *":             "connect-src 'self'",
		"evil.example https:":         "connect-src 'self'",
		"a,b":                         "connect-src 'self'",
		"user@evil.example:80":        "connect-src 'self'",
		"evil.example/path":           "connect-src 'self'",
		"*":                           "connect-src 'self'",
		strings.Repeat("a", 3) + "\r": "connect-src 'self'",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		policy := w.Header().Get("Content-Security-Policy")
		if _, got, _ := strings.Cut(policy, "; connect-src"); "connect-src"+got != want {
			t.Errorf("%q: %s", host, policy)
		}
	}
}
