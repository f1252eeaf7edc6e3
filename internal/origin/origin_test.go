package origin_test

import (
	"net/http"
	"strings"
	"testing"

	"parley/internal/fault"
	"parley/internal/origin"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct{ in, want, problem string }{
		{"https://app.example.com", "https://app.example.com", ""},
		{"HTTPS://App.Example.COM:443", "https://app.example.com", ""},
		{"http://localhost:5173", "http://localhost:5173", ""},
		{"http://127.0.0.1:80", "http://127.0.0.1", ""},
		{"https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443", ""},
		{"https://xn--bcher-kva.example", "https://xn--bcher-kva.example", ""},
		{"capacitor://localhost", "capacitor://localhost", ""},
		{"chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop", ""},
		{"https://my_app.internal", "https://my_app.internal", ""},
		{"https://app.example.com.", "https://app.example.com.", ""}, // another host to a browser
		{"", "", "does not begin with a scheme"},
		{"null", "", "is null"},
		{"*", "", "does not begin with a scheme"},
		{"app.example.com", "", "does not begin with a scheme"},
		{"://app.example.com", "", "does not begin with a scheme"},
		{"1https://app.example.com", "", "does not begin with a scheme"},
		{"https://", "", "has no host"},
		{"https://:443", "", "has no host"},
		{"https://*.example.com", "", "has a wildcard"},
		{"https://ann@app.example.com", "", "has a user name"},
		{"https://app.example.com/", "", "has more than"},
		{"https://app.example.com?x", "", "has more than"},
		{"https://app.example.com#x", "", "has more than"},
		{"https://app.example.com https://b.example", "", "has more than"},
		{"https://app.example.com,https://b.example", "", "has more than"},
		{"https://app.example.com:", "", "has a port"},
		{"https://app.example.com:0", "", "has a port"},
		{"https://app.example.com:65536", "", "has a port"},
		{"https://app.example.com:0443", "", "has a port"},
		{"https://app.example.com:+443", "", "has a port"},
		{"https://app.example.com:https", "", "has a port"},
		{"https://[::1", "", "has a host that is no IPv6 address"},
		{"https://[0:0:0:0:0:0:0:1]", "", "has a host that is no IPv6 address"},
		{"https://[fe80::1%25eth0]", "", "has more than"},
		{"https://::1", "", "has a host with ':'"},
		{"https://bücher.example", "", "has letters outside ASCII"},
		{"https://app..example", "", "has a host with an empty part"},
		{"https://.example", "", "has a host with an empty part"},
		{"https://app(1).example", "", "has a host with '('"},
		{"https://" + strings.Repeat("a", 300), "", "is longer than 300 bytes"},
	} {
		got, err := origin.Parse(tt.in)
		if got != tt.want || (err == nil) != (tt.problem == "") || err != nil && (fault.CodeOf(err) != fault.InvalidFormat || !strings.Contains(err.Error(), tt.problem)) {
			t.Errorf("%q: %q, %v", tt.in, got, err)
		}
		if again, err := origin.Parse(got); got != "" && (again != got || err != nil) {
			t.Errorf("%q is not in its one form: %q, %v", got, again, err)
		}
	}
}

func TestOf(t *testing.T) {
	for _, tt := range []struct {
		values []string
		want   string
	}{{nil, ""}, {[]string{"https://a.example"}, "https://a.example"}, {[]string{"https://a.example", "https://b.example"}, "https://a.example, https://b.example"}} {
		if got := origin.Of(http.Header{"Origin": tt.values}); got != tt.want {
			t.Errorf("%q: %q", tt.values, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"https://app.example.com:443", "https://[::1]:1", "null", "a://b:c", "https://@"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := origin.Parse(s)
		if err != nil {
			return
		}
		if again, err := origin.Parse(got); err != nil || again != got {
			t.Errorf("%q: %q, then %q, %v", s, got, again, err)
		}
		if origin.Check(s, []string{got}) != nil || origin.Check(s, []string{got + "0"}) == nil {
			t.Errorf("%q does not stand for itself alone", s)
		}
	})
}
