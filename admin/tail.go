package admin

import (
	"context"
	"net/http"
	"time"

	"parley/broker"
	"parley/channels"
	"parley/tenants"
)

const (
	// tailBeat is how often a tail with nothing to say sends an empty line, so that either end notices when the other is
	// gone.
	tailBeat = 15 * time.Second
	// tailWrite is how long one line may take to be written.
	tailWrite = 30 * time.Second
)

// tail streams messages, one a line, until the client hangs up, the tenant is shut or the server drains.
//
// It reads what it writes from the store and uses its subscription only as a bell, so that a reader who is slow costs
// no memory and loses nothing.
func (s *Server) tail(w http.ResponseWriter, r *http.Request) error {
	since, err := sinceOf(r)
	if err != nil {
		return err
	}
	space, from, err := s.channel(r)
	if err != nil {
		return err
	}
	defer space.Release()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	unregister := s.registry.Changes(func(t tenants.Tenant) {
		if t.ID == from.Tenant && (t.Suspended() || t.Gone()) {
			cancel()
		}
	})
	defer unregister()
	if p := space.Policy(from.Channel); p != nil && p.Ephemeral {
		return s.tailPassing(ctx, w, space, from.Channel)
	}
	sub, err := space.Subscribe(ctx, from, channels.SubscribeOptions{})
	if err != nil {
		return err
	}
	defer sub.Close()
	rung := make(bell, 1)
	sub.Start(rung, channels.Since{})
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := &lines{w: w, control: http.NewResponseController(w)}
	if err := out.flush(); err != nil { // the client learns that it is subscribed
		return nil
	}
	s.follow(ctx, space, from, since, sub.Place(), rung, out)
	return nil
}

// tailPassing streams the messages of a channel that stores none.
func (s *Server) tailPassing(ctx context.Context, w http.ResponseWriter, space *channels.Space, channel broker.Name) error {
	listener, err := space.Listen(channel)
	if err != nil {
		return err
	}
	defer listener.Close()
	beat := time.NewTicker(tailBeat)
	defer beat.Stop()
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := &lines{w: w, control: http.NewResponseController(w)}
	for out.flush() == nil { // at first, so that the client learns that it is subscribed
		select {
		case m := <-listener.Messages():
			out.add(listener.Encode(m))
		case <-beat.C:
			out.add(nil)
		case <-ctx.Done():
			return nil
		case <-s.draining:
			return nil
		}
	}
	return nil
}

// follow writes what is behind since, and then what comes. Failures end it: the client asks again from where it was.
func (s *Server) follow(ctx context.Context, space *channels.Space, from channels.Address, since channels.Since, place uint64, rung bell, out *lines) {
	beat := time.NewTicker(tailBeat)
	defer beat.Stop()
	asked := since.Set // else nothing that is gone is missed
	if !asked {
		since = channels.Since{Set: true, Seq: place}
	}
	for {
		h, err := space.History(ctx, from, since, channels.MaxHistory)
		if err != nil {
			return
		}
		if h.Gap != nil && asked {
			out.add(gapLine(from.Channel, *h.Gap))
		}
		for _, m := range h.Messages {
			out.add(m)
		}
		if out.flush() != nil {
			return
		}
		if len(h.Messages) == 0 && !since.Time.IsZero() {
			h.Last = place // nothing as young as that time lies before it
		}
		since, asked = channels.Since{Set: true, Seq: h.Last}, true
		if h.More {
			continue
		}
		select {
		case <-rung:
		case <-beat.C:
			out.add(nil)
		case <-ctx.Done():
			return
		case <-s.draining:
			return
		}
	}
}

// bell is a channels.Sink that only tells that there is something new.
type bell chan struct{}

func (b bell) ring() {
	select {
	case b <- struct{}{}:
	default: // it has not been heard yet
	}
}

// Send implements channels.Sink.
func (b bell) Send([]byte) error { b.ring(); return nil }

// AwaitBacklog implements channels.Sink: nothing ever waits to be sent.
func (b bell) AwaitBacklog(context.Context, int) error { return nil }

// Gap implements channels.Sink.
func (b bell) Gap(channels.Address, channels.Gap) { b.ring() }

var _ channels.Sink = bell(nil)

// lines gathers lines and writes them at once.
type lines struct {
	w       http.ResponseWriter
	control *http.ResponseController
	buffer  []byte
}

func (l *lines) add(line []byte) {
	l.buffer = append(append(l.buffer, line...), '\n')
}

func (l *lines) flush() error {
	if err := l.control.SetWriteDeadline(time.Now().Add(tailWrite)); err != nil {
		return err
	}
	if _, err := l.w.Write(l.buffer); err != nil {
		return err
	}
	l.buffer = l.buffer[:0]
	return l.control.Flush()
}
