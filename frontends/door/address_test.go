package door

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func TestClientAddress(t *testing.T) {
	var trusted []netip.Prefix
	for _, s := range []string{"10.0.0.0/8", "192.0.2.7/32", "fd00::/8", "2001:db8:ffff::/48"} {
		trusted = append(trusted, netip.MustParsePrefix(s))
	}
	const xff, fwd = "X-Forwarded-For: ", "Forwarded: "
	for _, c := range []struct {
		name, peer string
		headers    []string
		want       string
	}{
		{"nobody between", "198.51.100.9:4711", nil, "198.51.100.9"},
		{"IPv4 in IPv6", "[::ffff:198.51.100.9]:4711", nil, "198.51.100.9"},
		{"IPv6 counts by /64", "[2001:db8:1:2:3:4:5:6]:4711", nil, "2001:db8:1:2::"},
		{"the same /64", "[2001:db8:1:2:ffff::1]:4711", nil, "2001:db8:1:2::"},
		{"the next /64", "[2001:db8:1:3::1]:4711", nil, "2001:db8:1:3::"},
		{"a zone", "[fe80::1%eth0]:4711", nil, "fe80::"},
		{"loopback", "[::1]:4711", nil, "::"},
		{"no address", "@", nil, "invalid IP"},
		{"no address, with a header", "@", []string{xff + "203.0.113.5"}, "invalid IP"},

		{"spoofed by a stranger", "198.51.100.9:1", []string{xff + "203.0.113.5"}, "198.51.100.9"},
		{"spoofed as a trusted proxy", "198.51.100.9:1", []string{xff + "203.0.113.5, 10.0.0.1"}, "198.51.100.9"},
		{"spoofed with the other header", "198.51.100.9:1", []string{fwd + "for=203.0.113.5"}, "198.51.100.9"},
		{"just outside of the range", "11.0.0.1:1", []string{xff + "203.0.113.5"}, "11.0.0.1"},
		{"just outside of one address", "192.0.2.8:1", []string{xff + "203.0.113.5"}, "192.0.2.8"},

		{"a proxy", "10.1.2.3:1", []string{xff + "203.0.113.5"}, "203.0.113.5"},
		{"a proxy that is one address", "192.0.2.7:1", []string{xff + "203.0.113.5"}, "203.0.113.5"},
		{"a proxy on IPv6", "[fd00::1]:1", []string{xff + "2001:db8:1:2:3:4:5:6"}, "2001:db8:1:2::"},
		{"a proxy on IPv4 in IPv6", "[::ffff:10.1.2.3]:1", []string{xff + "203.0.113.5"}, "203.0.113.5"},
		{"a proxy that says nothing", "10.1.2.3:1", nil, "10.1.2.3"},
		{"two proxies", "10.1.2.3:1", []string{xff + "203.0.113.5, 10.9.9.9"}, "203.0.113.5"},
		{"two proxies, two headers", "10.1.2.3:1", []string{xff + "203.0.113.5", xff + "10.9.9.9"}, "203.0.113.5"},
		{"what the client claims comes first", "10.1.2.3:1", []string{xff + "1.1.1.1, 203.0.113.5"}, "203.0.113.5"},
		{"a client that claims to be a proxy", "10.1.2.3:1", []string{xff + "1.1.1.1, 10.5.5.5, 203.0.113.5"}, "203.0.113.5"},
		{"all are trusted", "10.1.2.3:1", []string{xff + "10.4.4.4, 10.5.5.5"}, "10.4.4.4"},
		{"nonsense at the end", "10.1.2.3:1", []string{xff + "203.0.113.5, unknown"}, "10.1.2.3"},
		{"nonsense behind the client", "10.1.2.3:1", []string{xff + "nonsense, 203.0.113.5"}, "203.0.113.5"},
		{"nonsense between proxies", "10.1.2.3:1", []string{xff + "203.0.113.5, _hidden, 10.5.5.5"}, "10.5.5.5"},
		{"an empty header", "10.1.2.3:1", []string{xff}, "10.1.2.3"},
		{"an empty element", "10.1.2.3:1", []string{xff + "203.0.113.5,"}, "10.1.2.3"},
		{"with a port", "10.1.2.3:1", []string{xff + "203.0.113.5:8080"}, "203.0.113.5"},
		{"IPv6 in brackets", "10.1.2.3:1", []string{xff + "[2001:db8:1:2::9]"}, "2001:db8:1:2::"},
		{"IPv6 with a port", "10.1.2.3:1", []string{xff + "[2001:db8:1:2::9]:8080"}, "2001:db8:1:2::"},
		{"IPv4 in IPv6 in a header", "10.1.2.3:1", []string{xff + "::ffff:203.0.113.5"}, "203.0.113.5"},
		{"a trusted IPv6 proxy in the chain", "10.1.2.3:1", []string{xff + "203.0.113.5, 2001:db8:ffff::7"}, "203.0.113.5"},

		{"Forwarded", "10.1.2.3:1", []string{fwd + "for=203.0.113.5"}, "203.0.113.5"},
		{"Forwarded, in full", "10.1.2.3:1", []string{fwd + `for="203.0.113.5:80";proto=https;by=10.1.2.3`}, "203.0.113.5"},
		{"Forwarded, IPv6", "10.1.2.3:1", []string{fwd + `proto=http; For="[2001:db8:1:2::9]:80"`}, "2001:db8:1:2::"},
		{"Forwarded, two proxies", "10.1.2.3:1", []string{fwd + "for=1.1.1.1, for=203.0.113.5, for=10.9.9.9"}, "203.0.113.5"},
		{"Forwarded, hidden", "10.1.2.3:1", []string{fwd + "for=_hidden"}, "10.1.2.3"},
		{"Forwarded, without for", "10.1.2.3:1", []string{fwd + "proto=https"}, "10.1.2.3"},
		{"both headers agree", "10.1.2.3:1", []string{xff + "203.0.113.5", fwd + "for=203.0.113.5"}, "203.0.113.5"},
		{"both agree in the end", "10.1.2.3:1", []string{xff + "9.9.9.9, 203.0.113.5", fwd + "for=203.0.113.5"}, "203.0.113.5"},
		{"one was left as the client sent it", "10.1.2.3:1", []string{xff + "203.0.113.5", fwd + "for=1.1.1.1"}, "10.1.2.3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &http.Request{RemoteAddr: c.peer, Header: http.Header{}}
			for _, h := range c.headers {
				name, value, _ := strings.Cut(h, ": ")
				r.Header.Add(name, value)
			}
			if got := client(r, trusted).String(); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			if len(c.headers) > 0 && c.peer != "@" {
				want := client(&http.Request{RemoteAddr: c.peer}, nil)
				if got := client(r, nil); got != want {
					t.Errorf("without trusted proxies it is %s, want %s", got, want)
				}
			}
		})
	}
}
