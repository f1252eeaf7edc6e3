package ws

import (
	"net/url"
	"slices"
	"strings"
)

// originAllowed reports whether a request with this Origin header may connect.
func originAllowed(origin string, allowed []string) bool {
	if allowed == nil || origin == "" {
		return true
	}
	o, ok := canonicalOrigin(origin)
	return ok && slices.ContainsFunc(allowed, func(a string) bool {
		a, ok := canonicalOrigin(a)
		return ok && a == o
	})
}

// canonicalOrigin returns scheme, host and port in one form, and false for what is no such thing, "null" for one.
func canonicalOrigin(origin string) (string, bool) {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme == "" || u.Host == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", false
	}
	port := u.Port()
	if port == "" {
		switch u.Scheme {
		case "http":
			port = "80"
		case "https":
			port = "443"
		}
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port, true
}
