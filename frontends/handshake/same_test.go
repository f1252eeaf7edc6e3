package handshake

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// requests are what must be answered the same with and without a Server before net/http's.
var requests = []string{
	handshakeTo("/"),
	handshakeTo("/refused"),
	handshakeTo("/no such path"),
	"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
	"GET / HTTP/1.1\nHost: h\nUpgrade: websocket\n\n",
	"GET / HTTP/1.1\r\nHost: h\nUpgrade: websocket\r\n\r\n",
	"GET / HTTP/1.0\r\nHost: h\r\nUpgrade: websocket\r\n\r\n",
	"GET / HTTP/2.0\r\nHost: h\r\nUpgrade: websocket\r\n\r\n",
	"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
	"GET / HTTP/1.1\r\nHost:\r\nUpgrade: websocket\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\nUpgrade: websocket\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a b\r\nUpgrade: websocket\r\n\r\n",
	"GET / HTTP/1.1\r\nHost : h\r\nUpgrade: websocket\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nBad Name: x\r\nUpgrade: websocket\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nBad: \x01\r\nUpgrade: websocket\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nName: caf\xe9\r\nUpgrade: websocket\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\n folded\r\nUpgrade: websocket\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nContent-Length: -1\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nTransfer-Encoding: gzip\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nExpect: a miracle\r\n\r\n",
	"GET http://other/path HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n",
	"GET * HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n",
	"GET /%zz HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n",
	"GET //a/../b HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nLong: " + strings.Repeat("x", 10<<10) + "\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: h\r\nLong: " + strings.Repeat("x", 10<<10) + "\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody",
	"get / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n",
	"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
	"\r\n\r\n",
	"GET\r\n\r\n",
}

func TestSameAsHTTP(t *testing.T) {
	addr, reference := start(t, New(behind())), reference(t)
	for _, request := range requests {
		want := exchange(t, reference, request, len(request))
		for _, cut := range []int{len(request), 1, len(request) / 2, len(request) - 1} {
			if got := exchange(t, addr, request, cut); got != want {
				t.Errorf("%.200q cut at %d:\ngot  %+v\nwant %+v", request, cut, got, want)
			}
		}
	}
}

// FuzzSameAsHTTP looks for a request that is answered otherwise than net/http's server alone would.
func FuzzSameAsHTTP(f *testing.F) {
	for _, r := range requests {
		f.Add(r, uint(3))
	}
	addr, reference := start(f, New(behind())), reference(f)
	f.Fuzz(func(t *testing.T, request string, cut uint) {
		want := exchange(t, reference, request, len(request))
		if got := exchange(t, addr, request, int(cut%uint(len(request)+1))); got != want {
			t.Errorf("%q:\ngot  %+v\nwant %+v", request, got, want)
		}
	})
}

// reference serves the same without a Server.
func reference(t testing.TB) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := behind()
	var served sync.WaitGroup
	served.Go(func() { _ = b.Serve(l) })
	t.Cleanup(func() { _ = b.Close(); served.Wait() })
	return l.Addr().String()
}

// answer is what matters of a response. The zero value is none.
type answer struct {
	status   int
	protocol string // that was switched to
	body     string
}

// exchange sends a request in two pieces, ends its own side and returns the first answer.
func exchange(t testing.TB, addr, request string, cut int) answer {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(time.Minute))
	_ = nc.(*net.TCPConn).SetLinger(0) // or fuzzing runs out of ports
	_, _ = io.WriteString(nc, request[:cut])
	_, _ = io.WriteString(nc, request[cut:])
	_ = nc.(*net.TCPConn).CloseWrite()
	r, err := http.ReadResponse(bufio.NewReader(nc), nil)
	if err != nil {
		return answer{}
	}
	a := answer{status: r.StatusCode, protocol: r.Header.Get("Upgrade")}
	if r.StatusCode != http.StatusSwitchingProtocols { // how much comes early is a matter of luck
		body, _ := io.ReadAll(r.Body)
		a.body = string(body)
	}
	return a
}
