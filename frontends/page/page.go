// Package page serves the chat page: one document with everything in it, which talks to the broker that it came from
// in the chat dialect. It needs no build and fetches nothing from anywhere else.
//
// A Page may be used concurrently.
package page

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"net/http"
	"regexp"
	"strings"
	"time"
)

var (
	//go:embed page.html
	frame string
	//go:embed page.css
	style string
	//go:embed link.js
	linkScript string
	//go:embed thread.js
	threadScript string
	//go:embed page.js
	pageScript string
)

// Page is an http.Handler for the page, wherever it stands.
type Page struct {
	document []byte
	policy   string // what the browser lets the page do, but for where it may connect
	tag      string
}

// New puts the page together.
func New() *Page {
	script := "\n\"use strict\";\n" + strings.Join([]string{linkScript, threadScript, pageScript}, "\n")
	document := strings.NewReplacer("/* page.css */", style, "/* page.js */", script).Replace(frame)
	sum := sha256.Sum256([]byte(document))
	return &Page{
		document: []byte(document),
		policy: "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; img-src data:; " +
			"require-trusted-types-for 'script'; trusted-types 'none'; style-src " + source(style) + "; script-src " + source(script),
		tag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`,
	}
}

// source names an inline text in a policy by its sum, so that no other one counts.
func source(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// plainHost is a host that may stand in a policy as it is.
var plainHost = regexp.MustCompile(`^[A-Za-z0-9.\-]+(:[0-9]+)?$|^\[[0-9a-fA-F:]+\](:[0-9]+)?$`)

// ServeHTTP implements http.Handler.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	connect := "; connect-src 'self'"
	if plainHost.MatchString(r.Host) { // for browsers whose 'self' leaves WebSockets out
		connect += " ws://" + r.Host + " wss://" + r.Host
	}
	h := w.Header()
	h.Set("Content-Security-Policy", p.policy+connect)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", p.tag)
	http.ServeContent(w, r, "page.html", time.Time{}, bytes.NewReader(p.document))
}
