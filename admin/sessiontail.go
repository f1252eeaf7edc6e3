package admin

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"parley/internal/fault"
	"parley/sessions"
)

// tailSession streams the events of a session, one a line, until the client hangs up, is too slow, or the session, its
// tenant or the server ends. It begins with the index that the query names, else with the next event.
func (s *Server) tailSession(w http.ResponseWriter, r *http.Request) error {
	p, err := s.oversee(r)
	if err != nil {
		return err
	}
	from, err := fromOf(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	live := &feed{rung: make(bell, 1)}
	following, err := s.talks.Follow(ctx, p, r.PathValue("session"), live)
	if err != nil {
		return err
	}
	defer following.Close()
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := &lines{w: w, control: http.NewResponseController(w)}
	if err := out.flush(); err != nil { // the client learns that it follows
		return nil
	}
	if from > 0 && s.pastEvents(ctx, p, r.PathValue("session"), from, live.begun, out) != nil {
		return nil
	}
	s.relay(ctx, live, out)
	return nil
}

// fromOf reads where a tail is to begin, 0 when the query does not say.
func fromOf(r *http.Request) (uint64, error) {
	text := r.URL.Query().Get("from")
	if text == "" {
		return 0, nil
	}
	from, err := strconv.ParseUint(text, 10, 63)
	if err != nil || from == 0 {
		return 0, fault.New(fault.InvalidFormat, "from is the index of an event, a number from 1 on.")
	}
	return from, nil
}

// flushFrom is how much of the past is gathered before it is written.
const flushFrom = 32 << 10

// pastEvents writes what was in the log when the tail began.
func (s *Server) pastEvents(ctx context.Context, p sessions.Principal, id string, from, upTo uint64, out *lines) error {
	var failed error
	err := s.talks.Events(ctx, p, id, from, func(e *sessions.Event) bool {
		if e.Index > upTo {
			return false
		}
		if failed = out.addEvent(e); failed == nil && len(out.buffer) >= flushFrom {
			failed = out.flush()
		}
		return failed == nil
	})
	if failed != nil || err != nil {
		return fault.Wrap(fault.Unavailable, err, "The tail ends: the client asks again from where it was.")
	}
	return out.flush()
}

// relay writes what comes. Failures end it: the client asks again from where it was.
func (s *Server) relay(ctx context.Context, live *feed, out *lines) {
	beat := time.NewTicker(tailBeat)
	defer beat.Stop()
	for {
		events, over := live.take()
		for _, e := range events {
			if out.addEvent(e) != nil {
				return
			}
		}
		if out.flush() != nil || over {
			return
		}
		select {
		case <-live.rung:
		case <-beat.C:
			out.add(nil)
		case <-ctx.Done():
			return
		case <-s.draining:
			return
		}
	}
}

func (l *lines) addEvent(e *sessions.Event) error {
	b, err := json.Marshal(e)
	if err == nil {
		l.add(b)
	}
	return err
}

// maxWaiting is how many events may wait for a reader who is slow. Then its tail ends, and it asks again from where it
// was: what waits costs memory, what is stored does not.
const maxWaiting = 4096

// feed gathers the events of a session for one reader. It implements sessions.Follower.
type feed struct {
	rung  bell
	begun uint64 // the index behind which events come here; set before Follow returns

	mu      sync.Mutex
	waiting []*sessions.Event // guarded by mu
	over    bool              // guarded by mu; nothing more comes
}

var _ sessions.Follower = (*feed)(nil)

// Begin implements sessions.Follower.
func (f *feed) Begin(s sessions.Snapshot) { f.begun = s.Index }

// Deliver implements sessions.Follower.
func (f *feed) Deliver(e *sessions.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over = f.over || len(f.waiting) >= maxWaiting; !f.over {
		one := *e
		f.waiting = append(f.waiting, &one)
	}
	f.rung.ring()
}

// Lost implements sessions.Follower.
func (f *feed) Lost(error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
	f.rung.ring()
}

// take removes what waits, and reports whether nothing comes behind it.
func (f *feed) take() (events []*sessions.Event, over bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	events, f.waiting = f.waiting, nil
	return events, f.over
}
