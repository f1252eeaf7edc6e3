package broker

import (
	"context"
	"strconv"
	"sync"

	"github.com/nats-io/nats.go"
)

// clientLink is a Link to servers outside of this process. It is made of the Conn's own client, which knows how to reach
// them.
type clientLink struct {
	nc *nats.Conn
	mu sync.Mutex // held while a Taker is called
}

// Publish implements Link.
func (l *clientLink) Publish(m Departure) error {
	msg := &nats.Msg{Subject: string(m.Subject), Data: m.Data}
	if m.Inbox != "" {
		msg.Reply = m.Inbox + "." + strconv.FormatUint(m.Number, numberBase)
	}
	if header := m.header(nil); header != nil {
		var err error
		if msg.Header, err = nats.DecodeHeadersMsg(header); err != nil {
			return err
		}
	}
	return l.nc.PublishMsg(msg)
}

// Subscribe implements Link.
func (l *clientLink) Subscribe(subject string, t Taker) (*LinkSub, error) {
	s := &LinkSub{subject: subject, taker: t}
	sub, err := l.nc.Subscribe(subject, func(m *nats.Msg) {
		l.mu.Lock()
		defer l.mu.Unlock()
		t.Take(&Arrival{Sub: s, Subject: []byte(m.Subject), Reply: []byte(m.Reply), Header: ownLines(m.Header), Data: m.Data})
		t.Pause()
	})
	if err != nil {
		return nil, err
	}
	s.stop = sub.Unsubscribe
	return s, nil
}

// Unsubscribe implements Link.
func (l *clientLink) Unsubscribe(s *LinkSub) { _ = s.stop() } // fails only when the connection is closed, which ends it as well

// Flush implements Link.
func (l *clientLink) Flush(ctx context.Context) error { return l.nc.FlushWithContext(ctx) }

// ownLines lays out what the server itself has put into a header, as it does.
func ownLines(h nats.Header) []byte {
	if len(h) == 0 {
		return nil
	}
	b := []byte("NATS/1.0")
	if status := h.Get("Status"); status != "" {
		b = append(append(b, ' '), status...)
	}
	for _, name := range []string{"Nats-Sequence", "Nats-Time-Stamp", "Nats-Last-Sequence"} {
		if values := h.Values(name); len(values) > 0 { // the last is the server's, others are the publisher's
			b = append(append(append(append(b, "\r\n"...), name...), ": "...), values[len(values)-1]...)
		}
	}
	return append(b, "\r\n\r\n"...)
}
