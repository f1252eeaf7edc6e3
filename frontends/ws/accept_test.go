package ws_test

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/coder/websocket"

	"parley/frontends/ws"
)

func TestAcceptRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(*http.Request)
		want  int
	}{
		"a plain request": {func(r *http.Request) { r.Header = http.Header{} }, http.StatusUpgradeRequired},
		"another method":  {func(r *http.Request) { r.Method = http.MethodPost }, http.StatusMethodNotAllowed},
		"another version": {func(r *http.Request) { r.Header.Set("Sec-WebSocket-Version", "8") }, http.StatusBadRequest},
		"an old version":  {func(r *http.Request) { r.ProtoMinor = 0 }, http.StatusUpgradeRequired},
		"another upgrade": {func(r *http.Request) { r.Header.Set("Upgrade", "h2c, websockets") }, http.StatusUpgradeRequired},
		"no key":          {func(r *http.Request) { r.Header.Del("Sec-WebSocket-Key") }, http.StatusBadRequest},
		"two keys":        {func(r *http.Request) { r.Header.Add("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==") }, http.StatusBadRequest},
		"a short key":     {func(r *http.Request) { r.Header.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZQ==") }, http.StatusBadRequest},
		"no base64":       {func(r *http.Request) { r.Header.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZ!==") }, http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header = http.Header{
				"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
				"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
			}
			tt.spoil(r)
			w := httptest.NewRecorder()
			set := ws.NewSet(ws.Config{})
			err := set.Accept(w, r, ws.Options{}, func(*ws.Conn) { t.Error("handled") })
			refusal, ok := errors.AsType[*ws.HandshakeError](err)
			if !ok || refusal.Status != tt.want || refusal.Reason == "" {
				t.Fatalf("got %v, want status %d", err, tt.want)
			}
			if w.Body.Len() != 0 {
				t.Errorf("wrote %q", w.Body)
			}
			if err := set.Close(t.Context(), ws.Normal, ""); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestClosedSetAcceptsNobody(t *testing.T) {
	e := newEdge(t, edgeConfig{})
	if err := e.set.Close(t.Context(), ws.GoingAway, ""); err != nil {
		t.Fatal(err)
	}
	_, res, err := websocket.Dial(t.Context(), e.URL, nil)
	if err == nil || res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("got %v, %v", res, err)
	}
}

func TestSubprotocolIsChosenOnlyIfOffered(t *testing.T) {
	for _, tt := range []struct {
		offer []string
		want  string
	}{
		{nil, ""},
		{[]string{"base64url.bearer.parley.secret"}, ""},
		{[]string{"base64url.bearer.parley.secret", "agents.v1"}, "agents.v1"},
	} {
		e := newEdge(t, edgeConfig{Options: ws.Options{Subprotocol: "agents.v1"}})
		client, _, err := websocket.Dial(t.Context(), e.URL, &websocket.DialOptions{Subprotocols: tt.offer})
		if err != nil {
			t.Fatal(err)
		}
		if client.Subprotocol() != tt.want {
			t.Errorf("offered %q: client has %q", tt.offer, client.Subprotocol())
		}
		_ = client.CloseNow()
	}
}

func TestTLS(t *testing.T) {
	e := newEdge(t, edgeConfig{tls: true, handle: echo})
	client, _, err := websocket.Dial(t.Context(), e.URL, &websocket.DialOptions{HTTPClient: e.Client()})
	if err != nil {
		t.Fatal(err)
	}
	client.SetReadLimit(-1)
	for _, size := range []int{0, 1, 1000, 64 << 10} {
		want := make([]byte, size)
		if err := client.Write(t.Context(), websocket.MessageText, want); err != nil {
			t.Fatal(err)
		}
		if _, got, err := client.Read(t.Context()); err != nil || len(got) != size {
			t.Fatalf("echo of %d bytes: %d, %v", size, len(got), err)
		}
	}
	if err := client.Close(websocket.StatusNormalClosure, "bye"); err != nil {
		t.Error(err)
	}
	why, ok := errors.AsType[*ws.CloseError](receive(t, e.ended))
	if !ok || why.Code != ws.Normal || !why.ByPeer {
		t.Errorf("handler got %v", why)
	}
}

// dialAny is dial, over TLS if the edge wants it.
func (e *edge) dialAny(t testing.TB, overTLS bool) *peer {
	t.Helper()
	if !overTLS {
		return e.dialSmall(t, 64<<10)
	}
	nc, err := (&tls.Dialer{Config: e.Client().Transport.(*http.Transport).TLSClientConfig}).DialContext(t.Context(), "tcp", e.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return upgrade(t, nc, nil)
}
