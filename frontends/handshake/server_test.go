package handshake

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait")) // for half a second, and Close does not wait
}

// behind returns a server whose handler takes handshakes over, refuses those to /refused and answers all else.
func behind() *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("/panics", func(http.ResponseWriter, *http.Request) { panic("as it should") })
	mux.HandleFunc("/refused", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"code":"AUTH_REQUIRED"}`)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
			w.Header().Set("Content-Type", "text/plain")
			fmt.Fprintf(w, "%s %s of %s", r.Method, r.URL.Path, r.Host)
			return
		}
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "Upgrade")
		w.WriteHeader(http.StatusSwitchingProtocols)
		nc, brw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer nc.Close()
		early, _ := brw.Reader.Peek(brw.Reader.Buffered())
		fmt.Fprintf(nc, "%s for %s, then %q", r.URL, r.Header.Get("X-Client"), early)
	})
	return &http.Server{
		Handler: mux, ReadHeaderTimeout: time.Minute, MaxHeaderBytes: 4 << 10, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
}

// start serves on a listener of its own until the test ends.
func start(t testing.TB, s *Server) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		if err := s.Serve(l); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(func() {
		if err := s.Shutdown(t.Context()); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("Shutdown: %v", err)
		}
		served.Wait()
	})
	return l.Addr().String()
}

// dial connects for as long as the test runs, a minute at most.
func dial(t testing.TB, addr string) *net.TCPConn {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(time.Minute))
	return nc.(*net.TCPConn)
}

func handshakeTo(path string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: broker\r\nX-Client: test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\r\n"
}

func TestTakenOver(t *testing.T) {
	addr := start(t, New(behind()))
	for _, early := range []string{"", "x", "\x81\x80abcd", strings.Repeat("long", 1000)} {
		nc := dial(t, addr)
		if _, err := io.WriteString(nc, handshakeTo("/ws?token=t")+early); err != nil {
			t.Fatal(err)
		}
		_ = nc.CloseWrite()
		got, err := io.ReadAll(nc)
		head, rest, _ := strings.Cut(string(got), "\r\n\r\n")
		if want := "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket"; head != want {
			t.Errorf("%v: head %q, want %q", err, head, want)
		}
		var said string
		if _, err := fmt.Sscanf(rest, "/ws?token=t for test, then %q", &said); err != nil || !strings.HasPrefix(early, said) {
			t.Errorf("body %q does not begin what was sent behind the head: %v", rest, err)
		}
	}
}

// A client that has sent more than its request still reads why it was refused.
func TestRefused(t *testing.T) {
	addr := start(t, New(behind()))
	nc := dial(t, addr)
	if _, err := io.WriteString(nc, handshakeTo("/refused")+strings.Repeat("more", 3000)); err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadResponse(bufio.NewReader(nc), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if r.StatusCode != http.StatusUnauthorized || string(body) != `{"code":"AUTH_REQUIRED"}` || !r.Close || r.Header.Get("Date") == "" {
		t.Errorf("%d %q, close %t, %v (%v)", r.StatusCode, body, r.Close, r.Header, err)
	}
}

func TestPanic(t *testing.T) {
	addr := start(t, New(behind()))
	nc := dial(t, addr)
	_, _ = io.WriteString(nc, handshakeTo("/panics"))
	if got, err := io.ReadAll(nc); len(got) > 0 || err != nil {
		t.Errorf("read %q, %v; want the end", got, err)
	}
	nc = dial(t, addr)
	_, _ = io.WriteString(nc, handshakeTo("/"))
	if got, _ := io.ReadAll(nc); !strings.HasPrefix(string(got), "HTTP/1.1 101") {
		t.Errorf("after a panic: %q", got)
	}
}

func TestManyAtOnce(t *testing.T) {
	addr := start(t, New(behind()))
	var clients sync.WaitGroup
	for range 4 * spare {
		nc := dial(t, addr)
		clients.Go(func() {
			for _, piece := range []string{"G", "ET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r", "\n\r", "\n"} {
				_, _ = io.WriteString(nc, piece)
			}
			if got, err := io.ReadAll(nc); !strings.HasPrefix(string(got), "HTTP/1.1 101") {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	clients.Wait()
}

// A head that does not come to its end in time ends the connection, without a word as net/http does.
func TestSlowHead(t *testing.T) {
	b := behind()
	b.ReadHeaderTimeout = 10 * time.Millisecond
	addr := start(t, New(b))
	for _, begun := range []string{"", "G", "GET / HTTP/1.1\r\nHost: x\r\n"} {
		nc := dial(t, addr)
		_, _ = io.WriteString(nc, begun)
		if got, err := io.ReadAll(nc); len(got) > 0 || err != nil {
			t.Errorf("%q: read %q, %v; want the end", begun, got, err)
		}
	}
}

func TestShutdown(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	b := behind()
	inner := b.Handler
	b.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/waits" {
			close(entered)
			<-leave
		}
		inner.ServeHTTP(w, r)
	})
	s := New(b)
	addr := start(t, s)
	silent, waiting := dial(t, addr), dial(t, addr)
	_, _ = io.WriteString(silent, "GET /")
	_, _ = io.WriteString(waiting, handshakeTo("/waits"))
	<-entered

	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Shutdown(over); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown with a handshake under way and no time: %v", err)
	}
	if got, err := io.ReadAll(silent); len(got) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("who had not said what it wants: %q, %v", got, err)
	}
	close(leave)
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if got, _ := io.ReadAll(waiting); !strings.HasPrefix(string(got), "HTTP/1.1 101") {
		t.Errorf("the handshake under way: %q", got)
	}
	if nc, err := net.Dial("tcp", addr); err == nil {
		_ = nc.Close()
		t.Error("the listener is still there")
	}
	if err := New(b).Shutdown(t.Context()); err != nil {
		t.Errorf("of one that never served: %v", err)
	}
}

// One listener that fails ends all, so that nobody is left with half a server.
func TestListenerFails(t *testing.T) {
	good, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	bad, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = bad.Close()
	if err := New(behind()).Serve(good, bad); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve: %v", err)
	}
	if _, err := good.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the other listener: %v", err)
	}
}
