// Package page serves the broker's pages for people: each is one document with everything in it, which talks to the broker
// that it came from as any client does, in the dialect that it is a page of. It needs no build and fetches nothing from
// anywhere else.
//
// A Page may be used concurrently.
package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"net/http"
	"regexp"
	"strings"
	"time"
)

//go:embed *.html *.css *.js
var files embed.FS

// Page is an http.Handler for a page, wherever it stands.
type Page struct {
	document []byte
	policy   string // what the browser lets the page do, but for where it may connect
	features string // what the browser lets it use of the machine
	tag      string
}

// Chat returns the page to chat with, which speaks the chat dialect.
func Chat() *Page {
	return compose("camera=(), microphone=(), display-capture=()", "chat.html", "base.css", "chat.css", "link.js", "thread.js", "chat.js")
}

// Meet returns the page for calls, which speaks the meet dialect.
func Meet() *Page {
	return compose("camera=(self), microphone=(self), display-capture=()",
		"meet.html", "base.css", "meet.css", "link.js", "devices.js", "peer.js", "call.js", "tiles.js", "meet.js")
}

// compose puts a page together from the names of its frame, its styles and its scripts.
func compose(features, frame string, parts ...string) *Page {
	var styles, scripts []string
	for _, name := range parts {
		if strings.HasSuffix(name, ".css") {
			styles = append(styles, text(name))
		} else {
			scripts = append(scripts, text(name))
		}
	}
	style, script := strings.Join(styles, "\n"), "\n\"use strict\";\n"+strings.Join(scripts, "\n")
	document := strings.NewReplacer("/* style */", style, "/* script */", script).Replace(text(frame))
	sum := sha256.Sum256([]byte(document))
	return &Page{
		document: []byte(document),
		policy: "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; img-src data:; " +
			"require-trusted-types-for 'script'; trusted-types 'none'; style-src " + source(style) + "; script-src " + source(script),
		features: features,
		tag:      `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`,
	}
}

// text returns an embedded file, which a page can't be without.
func text(name string) string {
	b, err := files.ReadFile(name)
	if err != nil {
		panic(err) // a name that is not in this directory: the first test finds it
	}
	return string(b)
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
	h.Set("Permissions-Policy", p.features)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", p.tag)
	http.ServeContent(w, r, "page.html", time.Time{}, bytes.NewReader(p.document))
}
