package handshake

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// spare is how many goroutines stay to serve the next connection when there is none.
const spare = 64

// Server serves the connections of listeners: the Handler of its http.Server gets all requests, handshakes past that
// server. The context of a handshake ends when Shutdown has given up waiting for it, so that handlers must bound what they
// wait for. A response is sent whole when the handler has returned, and the connection closed, unless the handler takes it
// over.
type Server struct {
	http *http.Server
	rest *passage // to http
	life context.Context
	end  context.CancelFunc

	idle    chan net.Conn // to goroutines that have nothing to do
	spare   chan struct{} // holds a token for each of them
	running sync.WaitGroup
	heads   sync.Pool // of *head

	stopped chan struct{} // closed when nobody is to be let in any more
	served  chan struct{} // closed when Serve has returned

	mu        sync.Mutex
	stopping  bool                  // guarded by mu; stopped is closed
	serving   bool                  // guarded by mu; Serve was called
	listeners []net.Listener        // guarded by mu
	reading   map[net.Conn]struct{} // guarded by mu: those whose head is not complete
}

// New returns a Server before another one, whose ReadHeaderTimeout, MaxHeaderBytes and ErrorLog it shares and which is its
// own from now on. All three must be set.
func New(behind *http.Server) *Server {
	life, end := context.WithCancel(context.Background())
	return &Server{
		http: behind, rest: newPassage(), life: life, end: end,
		idle: make(chan net.Conn), spare: make(chan struct{}, spare),
		heads:   sync.Pool{New: func() any { return newHead() }},
		stopped: make(chan struct{}), served: make(chan struct{}),
		reading: map[net.Conn]struct{}{},
	}
}

// Serve answers clients on all listeners, which it closes, until Shutdown or until one of them fails. It is called once and
// returns when all handshakes have ended that it began.
func (s *Server) Serve(listeners ...net.Listener) error {
	defer close(s.served)
	defer s.running.Wait()
	s.mu.Lock()
	s.listeners, s.serving = listeners, true
	if s.stopping {
		s.closeListeners()
	}
	s.mu.Unlock()

	var g errgroup.Group
	g.Go(func() error {
		if err := s.http.Serve(s.rest); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	for _, l := range listeners {
		g.Go(func() error {
			defer s.stop() // the others, too
			return s.accept(l)
		})
	}
	return g.Wait()
}

// closeListeners is called with mu held.
func (s *Server) closeListeners() {
	for _, l := range s.listeners {
		_ = l.Close() // nothing is in it that could be lost
	}
}

// stop lets nobody in any more, and ends the connections that have not asked for anything yet.
func (s *Server) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return
	}
	s.stopping = true
	close(s.stopped)
	s.closeListeners()
	_ = s.rest.Close()
	for nc := range s.reading {
		_ = nc.SetReadDeadline(time.Unix(1, 0)) // if it fails here it fails in its read, too
	}
}

// Shutdown closes the listeners and the connections that have not asked for anything yet, and returns when all requests
// have been answered, or ctx's error when that ends before. Connections that were taken over are not its affair.
func (s *Server) Shutdown(ctx context.Context) error {
	defer s.end()
	s.stop()
	s.mu.Lock()
	serving := s.serving
	s.mu.Unlock()
	err := s.http.Shutdown(ctx)
	if !serving {
		return err
	}
	select {
	case <-s.served:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// accept serves what comes to a listener. When the machine has no more descriptors it waits a little: some will be closed.
func (s *Server) accept(l net.Listener) error {
	var pause time.Duration
	for {
		nc, err := l.Accept()
		if err == nil {
			pause = 0
			s.assign(nc)
			continue
		}
		select {
		case <-s.stopped:
			return nil
		default:
		}
		var passing interface{ Temporary() bool }
		if !errors.As(err, &passing) || !passing.Temporary() {
			return err
		}
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		s.http.ErrorLog.Printf("no connection could be accepted: %v; the next try is in %v", err, pause)
		select {
		case <-time.After(pause):
		case <-s.stopped:
		}
	}
}

// assign gives a connection to a goroutine that has served others, and has the stack for it, or to a new one.
func (s *Server) assign(nc net.Conn) {
	select {
	case s.idle <- nc:
	default:
		s.running.Go(func() { s.work(nc) })
	}
}

func (s *Server) work(nc net.Conn) {
	for {
		s.serve(nc)
		select {
		case s.spare <- struct{}{}:
		default:
			return
		}
		select {
		case nc = <-s.idle:
			<-s.spare
		case <-s.stopped:
			return
		}
	}
}

// serve reads what a connection asks for and sees to it that it is answered.
func (s *Server) serve(nc net.Conn) {
	h := s.heads.Get().(*head)
	defer s.heads.Put(h)
	if !s.begin(nc) {
		_ = nc.Close()
		return
	}
	complete, err := h.read(nc, s.http.MaxHeaderBytes)
	s.finish(nc)
	if err != nil {
		_ = nc.Close()
		return
	}
	var r *http.Request
	if complete {
		r = h.request()
	}
	if r == nil {
		s.rest.pass(&replayed{Conn: nc, head: bytes.Clone(h.all())})
		return
	}
	r.RemoteAddr = nc.RemoteAddr().String()
	s.answer(nc, r.WithContext(s.life), h.behind())
}

// begin bounds the time for a head. It reports false when nobody is let in any more.
func (s *Server) begin(nc net.Conn) bool {
	_ = nc.SetReadDeadline(time.Now().Add(s.http.ReadHeaderTimeout)) // as above
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return false
	}
	s.reading[nc] = struct{}{}
	return true
}

func (s *Server) finish(nc net.Conn) {
	s.mu.Lock()
	delete(s.reading, nc)
	s.mu.Unlock()
	_ = nc.SetReadDeadline(time.Time{})
}

// answer has the handler answer a handshake. early is what the client has sent behind it.
func (s *Server) answer(nc net.Conn, r *http.Request, early []byte) {
	w := &response{conn: nc, header: make(http.Header, 4), early: early}
	defer func() {
		if p := recover(); p != nil {
			s.http.ErrorLog.Printf("handshake of %s panicked: %v\n%s", r.RemoteAddr, p, debug.Stack())
			if !w.taken {
				_ = nc.Close()
			}
		}
	}()
	s.http.Handler.ServeHTTP(w, r)
	if !w.taken {
		w.refuse()
	}
}
