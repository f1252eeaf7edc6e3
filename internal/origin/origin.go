// Package origin decides whose web pages may use something. Browsers say with each request which origin the page is of that
// sends it, as scheme://host or scheme://host:port (RFC 6454); all three must match, and nothing stands for more than itself.
package origin

import (
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"parley/internal/fault"
)

// maxBytes bounds an origin: a host name has 253 bytes at most.
const maxBytes = 300

// Parse returns an origin in its one form: in small letters, and without the port that its scheme has anyway. Errors are
// fault.InvalidFormat, and say what is wrong.
func Parse(s string) (string, error) {
	scheme, rest, ok := strings.Cut(s, "://")
	switch {
	case len(s) > maxBytes:
		return "", bad("is longer than %d bytes", maxBytes)
	case s == "null":
		return "", bad("is null, which pages of many kinds share")
	case !ok || !validScheme(scheme):
		return "", bad("does not begin with a scheme such as https://")
	}
	host, port, err := cut(strings.ToLower(rest))
	if err != nil {
		return "", err
	}
	scheme = strings.ToLower(scheme)
	if port == usualPort(scheme) {
		port = ""
	}
	if port != "" {
		host += ":" + port
	}
	return scheme + "://" + host, nil
}

func bad(format string, args ...any) *fault.Error {
	return fault.New(fault.InvalidFormat, "The origin "+format+".", args...).
		WithFix("Write it as the browser does: https://app.example.com or http://localhost:5173.")
}

func validScheme(s string) bool {
	for i, c := range []byte(strings.ToLower(s)) {
		if letter := 'a' <= c && c <= 'z'; !letter && (i == 0 || !strings.ContainsRune("0123456789+-.", rune(c))) {
			return false
		}
	}
	return s != ""
}

// cut takes what stands behind the scheme apart.
func cut(rest string) (host, port string, err error) {
	switch i := strings.IndexAny(rest, "/?#@\\ \t\r\n,*%"); {
	case i < 0:
	case rest[i] == '*':
		return "", "", bad("has a wildcard, and names one host only")
	case rest[i] == '@':
		return "", "", bad("has a user name")
	default:
		return "", "", bad("has more than a scheme, a host and a port")
	}
	host, port = rest, ""
	if i := strings.LastIndexByte(rest, ':'); i > strings.LastIndexByte(rest, ']') {
		host, port = rest[:i], rest[i+1:]
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || port[0] == '0' || port[0] == '+' {
			return "", "", bad("has a port that is no number from 1 to 65535")
		}
	}
	return host, port, checkHost(host)
}

func checkHost(host string) error {
	if host == "" {
		return bad("has no host")
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		a, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		if err != nil || !strings.HasSuffix(inner, "]") || !a.Is6() || a.Zone() != "" || a.String() != strings.TrimSuffix(inner, "]") {
			return bad("has a host that is no IPv6 address in its short form")
		}
		return nil
	}
	for _, c := range []byte(host) {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '.', c == '_':
		case c >= 0x80:
			return bad("has letters outside ASCII: write the host as the browser sends it, beginning with xn--")
		default:
			return bad("has a host with %q in it", rune(c))
		}
	}
	if strings.HasPrefix(host, ".") || strings.Contains(host, "..") {
		return bad("has a host with an empty part")
	}
	return nil
}

func usualPort(scheme string) string {
	switch scheme {
	case "http", "ws":
		return "80"
	case "https", "wss":
		return "443"
	}
	return ""
}

// Of returns the origin that a request names, "" for one that no page has sent. A request that names several is returned
// as what no origin is.
func Of(h http.Header) string { return strings.Join(h.Values("Origin"), ", ") }

// Check reports why pages of an origin (see Of) may not use what is open to those in allowed, which Parse has made; an
// empty list is open to all. nil means that they may. Errors are fault.PermissionDenied.
func Check(of string, allowed []string) error {
	if of == "" || len(allowed) == 0 {
		return nil
	}
	o, err := Parse(of)
	switch {
	case of == "null":
		return refused("Pages without an origin, such as files and sandboxed frames, may not use this tenant.")
	case strings.Contains(of, ","):
		return refused("The request has more than one Origin.")
	case err != nil:
		return refused("The request's Origin is none.")
	case !slices.Contains(allowed, o):
		return refused("Pages of %s may not use this tenant.", o)
	}
	return nil
}

func refused(format string, args ...any) *fault.Error {
	return fault.New(fault.PermissionDenied, format, args...).WithFix("The operator of the broker says which pages may.")
}
