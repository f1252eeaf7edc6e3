package frontends

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"parley/tenants"
)

// unlimit lets all clients of a benchmark come from one address, and talk as fast as they can.
func (w *world) unlimit(b *testing.B) {
	b.Helper()
	none := int64(0)
	limits := tenants.LimitChanges{tenants.ConnectionsPerIP: &none, tenants.MessagesPerSecond: &none}
	if _, err := w.registry.Update(b.Context(), "acme", tenants.Change{Limits: limits}); err != nil {
		b.Fatal(err)
	}
}

// caller is a participant of a benchmark.
type caller struct {
	conn net.Conn
	in   *bufio.Reader
	room string
	id   string
}

// callIn connects somebody and puts him into a room.
func callIn(b *testing.B, addr, token, room string) (*caller, error) {
	c := &caller{room: room}
	c.conn, c.in = rawClient(b, addr, "/ws/meet?token="+token)
	if _, err := c.conn.Write(clientFrame(fmt.Sprintf(`{"type":"join","room_id":%q,"participant_name":"somebody"}`, room))); err != nil {
		return nil, err
	}
	text, err := c.await(`"joined"`)
	if err != nil {
		return nil, err
	}
	var joined struct {
		ID string `json:"participant_id"`
	}
	err = json.Unmarshal(text, &joined)
	c.id = joined.ID
	return c, err
}

// await reads frames until one of a type, which it returns.
func (c *caller) await(kind string) ([]byte, error) {
	for {
		h, err := c.in.Peek(4)
		if err != nil {
			return nil, err
		}
		n, skip := int(h[1]), 2
		if n == 126 {
			n, skip = int(binary.BigEndian.Uint16(h[2:])), 4
		}
		frame := make([]byte, skip+n)
		if _, err := io.ReadFull(c.in, frame); err != nil {
			return nil, err
		}
		text := frame[skip:]
		if bytes.HasPrefix(text, []byte(`{"type":`+kind)) {
			return text, nil
		}
		if bytes.HasPrefix(text, []byte(`{"type":"error"`)) {
			return nil, fmt.Errorf("%s", text)
		}
	}
}

func (c *caller) signal(to *caller, data string) error {
	_, err := c.conn.Write(clientFrame(fmt.Sprintf(`{"type":"signal","room_id":%q,"target_id":%q,"signal":%q}`, c.room, to.id, data)))
	return err
}

// callers fill rooms of four.
func callers(b *testing.B, s *served, n int) []*caller {
	b.Helper()
	token := s.ask(b, "token u")
	all := make([]*caller, n)
	var g errgroup.Group
	g.SetLimit(32)
	for i := range all {
		g.Go(func() (err error) {
			all[i], err = callIn(b, s.addr, token, fmt.Sprint("room-", i/4))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
	return all
}

// BenchmarkSignal passes signals around in rooms of four: each participant sends the next one a signal when it has got
// one. A size is that of an ICE candidate, and that of an offer.
func BenchmarkSignal(b *testing.B) {
	const participants = 1000
	for _, size := range []int{200, 3000} {
		b.Run(fmt.Sprint(size, "B"), func(b *testing.B) {
			s := startServer(b)
			s.ask(b, "unlimit")
			all := callers(b, s, participants)
			data := strings.Repeat("x", size)
			per := b.N/participants + 1
			s.measure(b, per*participants, "signal", func() {
				var running sync.WaitGroup
				for i, c := range all {
					to := all[i/4*4+(i+1)%4]
					running.Go(func() {
						for range per {
							if err := c.signal(to, data); err != nil {
								b.Error(err)
								return
							}
							if _, err := c.await(`"signal"`); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				running.Wait()
			})
		})
	}
}

// BenchmarkParticipant has participants join rooms of four, and says what one of them holds when it is idle.
func BenchmarkParticipant(b *testing.B) {
	s := startServer(b)
	s.ask(b, "unlimit")
	callers(b, s, 4)
	all, heap, stack := s.memory(b)
	var in []*caller
	s.measure(b, b.N, "join", func() { in = callers(b, s, b.N) })
	<-time.After(2 * time.Second) // what a connection has started has ended
	all2, heap2, stack2 := s.memory(b)
	b.ReportMetric((all2-all)/1024/float64(b.N), "KiB/participant")
	b.ReportMetric((heap2-heap)/1024/float64(b.N), "heap-KiB/participant")
	b.ReportMetric((stack2-stack)/1024/float64(b.N), "stack-KiB/participant")
	for _, c := range in {
		_ = c.conn.Close()
	}
}
