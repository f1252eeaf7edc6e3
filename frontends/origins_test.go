package frontends

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/coder/websocket"

	"parley/tenants"
)

// allowOnly lets pages of these origins alone use a tenant.
func (w *world) allowOnly(t *testing.T, id tenants.ID, origins ...string) {
	t.Helper()
	if _, err := w.registry.Update(t.Context(), id, tenants.Change{Origins: &origins}); err != nil {
		t.Fatal(err)
	}
}

// Why an origin is refused.
const (
	refusedNull  = "Pages without an origin, such as files and sandboxed frames, may not use this tenant."
	refusedTwo   = "The request has more than one Origin."
	refusedNone  = "The request's Origin is none."
	refusedOther = "" // that it is another one; the message names it
)

// origins is who comes to a tenant that is open to https://app.example.com, http://localhost:5173,
// https://xn--bcher-kva.example and capacitor://localhost.
var origins = []struct {
	values []string
	ok     bool
	why    string
}{
	{values: nil, ok: true}, // no page
	{values: []string{""}, ok: true},
	{values: []string{"https://app.example.com"}, ok: true},
	{values: []string{"https://app.example.com:443"}, ok: true},
	{values: []string{"https://APP.example.com"}, ok: true},
	{values: []string{"HTTPS://app.example.com"}, ok: true},
	{values: []string{"http://localhost:5173"}, ok: true},
	{values: []string{"https://xn--bcher-kva.example"}, ok: true},
	{values: []string{"capacitor://localhost"}, ok: true},

	{values: []string{"null"}, why: refusedNull},
	{values: []string{"https://app.example.com", "https://app.example.com"}, why: refusedTwo},
	{values: []string{"https://evil.example", "https://app.example.com"}, why: refusedTwo},
	{values: []string{"https://app.example.com", "https://evil.example"}, why: refusedTwo},
	{values: []string{"https://app.example.com", "null"}, why: refusedTwo},
	{values: []string{"https://app.example.com, https://evil.example"}, why: refusedTwo},
	{values: []string{"https://app.example.com,"}, why: refusedTwo},
	{values: []string{"https://app.example.com https://evil.example"}, why: refusedNone},
	{values: []string{"NULL"}, why: refusedNone},
	{values: []string{"undefined"}, why: refusedNone},
	{values: []string{"*"}, why: refusedNone},
	{values: []string{"https://*"}, why: refusedNone},
	{values: []string{"https://*.example.com"}, why: refusedNone},
	{values: []string{"app.example.com"}, why: refusedNone},
	{values: []string{"//app.example.com"}, why: refusedNone},
	{values: []string{"://app.example.com"}, why: refusedNone},
	{values: []string{"https:app.example.com"}, why: refusedNone},
	{values: []string{"https:/app.example.com"}, why: refusedNone},
	{values: []string{"https:///app.example.com"}, why: refusedNone},
	{values: []string{"https://"}, why: refusedNone},
	{values: []string{"https://app.example.com/"}, why: refusedNone},
	{values: []string{"https://app.example.com/app"}, why: refusedNone},
	{values: []string{"https://app.example.com?a=b"}, why: refusedNone},
	{values: []string{"https://app.example.com#top"}, why: refusedNone},
	{values: []string{"https://ann@app.example.com"}, why: refusedNone},
	{values: []string{"https://app.example.com@evil.example"}, why: refusedNone},
	{values: []string{"https://app.example.com:443@evil.example"}, why: refusedNone},
	{values: []string{`https://evil.example\app.example.com`}, why: refusedNone},
	{values: []string{`https://app.example.com\.evil.example`}, why: refusedNone},
	{values: []string{"https://app.example.com%2eevil.example"}, why: refusedNone},
	{values: []string{"https://app.example.com%00.evil.example"}, why: refusedNone},
	{values: []string{"https://app.example.com:"}, why: refusedNone},
	{values: []string{"https://app.example.com:0"}, why: refusedNone},
	{values: []string{"https://app.example.com:99999"}, why: refusedNone},
	{values: []string{"https://app.example.com:443:443"}, why: refusedNone},
	{values: []string{"https://app.example.com:0443"}, why: refusedNone},
	{values: []string{"https://app.example.com:evil"}, why: refusedNone},
	{values: []string{"https://bücher.example"}, why: refusedNone},       // browsers send xn--bcher-kva
	{values: []string{"https://аpp.example.com"}, why: refusedNone},      // a Cyrillic а
	{values: []string{"https://app.example.com。evil"}, why: refusedNone}, // an ideographic full stop
	{values: []string{"https://app..example.com"}, why: refusedNone},
	{values: []string{"https://.app.example.com"}, why: refusedNone},
	{values: []string{"https://[::1"}, why: refusedNone},
	{values: []string{"javascript:alert(1)"}, why: refusedNone},

	{values: []string{"http://app.example.com"}, why: refusedOther}, // without TLS anybody on the way is that page
	{values: []string{"https://app.example.com:8443"}, why: refusedOther},
	{values: []string{"https://app.example.com:80"}, why: refusedOther},
	{values: []string{"wss://app.example.com"}, why: refusedOther},
	{values: []string{"https://app.example.com."}, why: refusedOther},
	{values: []string{"https://example.com"}, why: refusedOther},
	{values: []string{"https://www.app.example.com"}, why: refusedOther},
	{values: []string{"https://evil-app.example.com"}, why: refusedOther},
	{values: []string{"https://evilapp.example.com"}, why: refusedOther},
	{values: []string{"https://app.example.com.evil.example"}, why: refusedOther},
	{values: []string{"https://app-example.com"}, why: refusedOther},
	{values: []string{"https://app.example.co"}, why: refusedOther},
	{values: []string{"https://app.example.comm"}, why: refusedOther},
	{values: []string{"https://appxexample.com"}, why: refusedOther},
	{values: []string{"https://xn--pp-7cd.example.com"}, why: refusedOther}, // the Cyrillic one, as browsers send it
	{values: []string{"http://localhost"}, why: refusedOther},
	{values: []string{"http://localhost:5174"}, why: refusedOther},
	{values: []string{"https://localhost:5173"}, why: refusedOther},
	{values: []string{"http://127.0.0.1:5173"}, why: refusedOther},
	{values: []string{"http://[::1]:5173"}, why: refusedOther},
	{values: []string{"http://0x7f000001:5173"}, why: refusedOther},
	{values: []string{"capacitor://localhost:80"}, why: refusedOther},
	{values: []string{"ionic://localhost"}, why: refusedOther},
	{values: []string{"file://localhost"}, why: refusedOther},
	{values: []string{"chrome-extension://abcdefghijklmnopabcdefghijklmnop"}, why: refusedOther},
	{values: []string{"https://evil.example"}, why: refusedOther},
}

// TestOrigins has pages of all these come to every door of two tenants, one with a list and one without.
func TestOrigins(t *testing.T) {
	w := newWorld(t)
	_, key := w.apiKey(t, "acme", tenants.APIKeySpec{})
	chat := w.newChat(t, key, "ann")
	w.allowOnly(t, "acme", "https://app.example.com", "http://localhost:5173", "https://xn--bcher-kva.example", "capacitor://localhost")
	token := w.token(t, tenants.TokenSpec{Tenant: "acme", User: "ann"})
	open := w.token(t, tenants.TokenSpec{Tenant: "evil", User: "ann"})
	for _, o := range origins {
		header := http.Header{}
		if o.values != nil {
			header["Origin"] = o.values
		}
		for _, path := range []string{"/v1/ws?token=" + token, "/?token=" + token, "/websocket/ws?access_token=" + token} {
			conn, resp, err := websocket.Dial(t.Context(), "ws://"+w.url+path, &websocket.DialOptions{HTTPHeader: header})
			if err == nil {
				_ = conn.CloseNow()
			}
			if (err == nil) != o.ok {
				t.Errorf("%q at %.6s: let in: %t", o.values, path, err == nil)
				continue
			}
			if err != nil {
				checkRefusedOrigin(t, o.values, o.why, resp)
			}
		}
		// Who may be refused on the open connection only is told so there.
		for _, path := range []string{"/ws?token=" + token, "/ws/chat?api_key=" + key + "&user_id=ann&chat_id=" + chat} {
			p := w.dial(t, path, &websocket.DialOptions{HTTPHeader: header})
			if o.ok {
				p.send(`{"type":"ping"}`)
				p.next()
			} else if code := p.closed(); code.Code != websocket.StatusPolicyViolation {
				t.Errorf("%q at %.6s: closed with %d", o.values, path, code.Code)
			}
			_ = p.conn.CloseNow()
		}
		w.checkCORS(t, token, o.values, o.ok, o.why)
		if conn, _, err := websocket.Dial(t.Context(), "ws://"+w.url+"/v1/ws?token="+open, &websocket.DialOptions{HTTPHeader: header}); err != nil {
			t.Errorf("%q: a tenant without a list: %v", o.values, err)
		} else {
			_ = conn.CloseNow()
		}
	}
	if n := len(origins); n < 60 {
		t.Errorf("only %d origins", n)
	}
}

// checkRefusedOrigin expects a refusal that says why, and that no page can read.
func checkRefusedOrigin(t *testing.T, values []string, why string, resp *http.Response) {
	t.Helper()
	var p struct{ Code, Message string }
	if err := json.NewDecoder(resp.Body).Decode(&p); err != nil {
		t.Fatal(err)
	}
	if why == refusedOther {
		why = "Pages of " + values[0] + " may not use this tenant."
	}
	if resp.StatusCode != http.StatusForbidden || p.Code != "PERMISSION_DENIED" || p.Message != why || resp.Header.Get(allowOrigin) != "" {
		t.Errorf("%q: %d %+v, %q", values, resp.StatusCode, p, resp.Header)
	}
}

// checkCORS expects that only allowed pages are answered over REST, and can read the answer.
func (w *world) checkCORS(t *testing.T, token string, values []string, ok bool, why string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+w.url+"/v1/agents", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{"Authorization": {"Bearer " + token}, "Origin": values}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.Header.Get("Vary") != "Origin" {
		t.Errorf("%q: a cache may give the answer to another page: %q", values, resp.Header)
	}
	if !ok {
		checkRefusedOrigin(t, values, why, resp)
		return
	}
	want := ""
	if values != nil {
		want = values[0]
	}
	if resp.StatusCode != http.StatusOK || resp.Header.Get(allowOrigin) != want {
		t.Errorf("%q: %d, %q", values, resp.StatusCode, resp.Header)
	}
}

// TestOriginsActOnOpenSockets: pages that are not allowed any more are cut off, in every dialect, and nobody else.
func TestOriginsActOnOpenSockets(t *testing.T) {
	w := newWorld(t)
	_, key := w.apiKey(t, "acme", tenants.APIKeySpec{})
	chat := w.newChat(t, key, "ann")
	token := w.token(t, tenants.TokenSpec{Tenant: "acme", User: "ann"})
	dial := func(path, origin string) *peer {
		return w.dial(t, path, &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {origin}}})
	}
	for _, path := range []string{
		"/v1/ws?token=" + token, "/?token=" + token, "/websocket/ws?access_token=" + token, "/ws?token=" + token,
		"/ws/chat?api_key=" + key + "&user_id=ann&chat_id=" + chat,
	} {
		w.allowOnly(t, "acme")
		stays, goes, none := dial(path, "https://app.example.com"), dial(path, "https://old.example"), w.dial(t, path, nil)
		for _, p := range []*peer{stays, goes, none} { // the grant is known
			p.send(`{"type":"ping"}`)
			p.next()
		}
		w.allowOnly(t, "acme", "https://app.example.com")
		if c := goes.closed(); c.Code != websocket.StatusPolicyViolation {
			t.Errorf("%.6s: closed with %d", path, c.Code)
		}
		for _, p := range []*peer{stays, none} {
			p.send(`{"type":"ping"}`)
			p.next()
		}
	}
}

// TestBadOriginsAreNotStored: what no browser would send is refused with a reason.
func TestBadOriginsAreNotStored(t *testing.T) {
	w := newWorld(t)
	for _, o := range []string{"*", "null", "app.example.com", "https://app.example.com/", "https://*.example.com", "https://bücher.example", ""} {
		if _, err := w.registry.Update(t.Context(), "acme", tenants.Change{Origins: &[]string{o}}); err == nil {
			t.Errorf("%q is stored", o)
		}
	}
}
