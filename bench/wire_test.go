package bench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// heard is a receiver that writes down what it is told.
type heard struct {
	said    []string
	settled int
}

func (h *heard) message(m marker, payload []byte) {
	h.said = append(h.said, fmt.Sprintf("message %d/%d at %d seq %d", m.stream, m.number, m.micros, seqOf(payload)))
}

func (h *heard) acknowledged(s, n uint32) { h.said = append(h.said, fmt.Sprintf("ack %d/%d", s, n)) }
func (h *heard) other(payload []byte)     { h.said = append(h.said, "other "+string(payload)) }
func (h *heard) settle()                  { h.settled++ }

// served is a frame as servers send it.
func served(first byte, payload string) string {
	switch n := len(payload); {
	case n < 126:
		return string([]byte{first, byte(n)}) + payload
	case n < 1<<16:
		return string(binary.BigEndian.AppendUint16([]byte{first, 126}, uint16(n))) + payload
	default:
		return string(binary.BigEndian.AppendUint64([]byte{first, 127}, uint64(n))) + payload
	}
}

func delivery(seq int, name string, more string) string {
	return fmt.Sprintf(`{"seq":%d,"id":"%s","type":"message","content":"~%s-00000064%s","agent_id":"pub-0"}`, seq, name, name, more)
}

func newReader(to receiver) (*reader, *[]string) {
	var events []string
	return &reader{
		to: to, ready: func() { events = append(events, "ready") }, pong: func(b []byte) { events = append(events, "pong "+string(b)) },
	}, &events
}

func TestReader(t *testing.T) {
	stream := strings.Join([]string{
		served(textFrame, delivery(7, "000001-00000002", "")),
		served(textFrame, delivery(12345678, "000001-00000003", strings.Repeat("x", 200))),
		served(textFrame, `{"type":"ACK","message_id":"000001-0000000a","timestamp":"…","seq":9}`),
		served(textFrame, `{"message_id":"000001-0000000b","type":"ACK"}`),
		served(pingFrame, "are you there"),
		served(textFrame, `{"type":"ACK","message_id":"ready"}`),
		served(textFrame, `{"type":"ERROR","code":"X","message_id":"000001-0000000c"}`),
		served(textFrame, `{"type":"ACK","message_id":"somebody's"}`),
		served(textFrame, delivery(9, "000001-00000004", strings.Repeat("x", 70_000))),
		served(textFrame, `{"content":"~zzzzzz-00000000-00000000"}`),
	}, "")
	want := []string{
		"message 1/2 at 100 seq 7", "message 1/3 at 100 seq 12345678", "ack 1/10", "ack 1/11",
		`other {"type":"ERROR","code":"X","message_id":"000001-0000000c"}`, `other {"type":"ACK","message_id":"somebody's"}`,
		"message 1/4 at 100 seq 9", `other {"content":"~zzzzzz-00000000-00000000"}`,
	}
	for _, step := range []int{len(stream), 1000, 77, 1} { // however it is cut
		h := &heard{}
		r, events := newReader(h)
		for rest := stream; rest != ""; {
			n := min(step, len(rest))
			if err := r.consume(append([]byte(string(r.rest)), rest[:n]...)); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if fmt.Sprint(h.said) != fmt.Sprint(want) || fmt.Sprint(*events) != "[pong are you there ready]" || h.settled == 0 || len(r.rest) > 0 {
			t.Errorf("in steps of %d: %q, %q, %d bytes left", step, h.said, *events, len(r.rest))
		}
	}
}

func TestReaderRefuses(t *testing.T) {
	for name, bad := range map[string]string{
		"masked": "\x81\x80\x00\x00\x00\x00", "a fragment": "\x01\x00", "binary": "\x82\x00", "compressed": "\xc1\x00",
		"too long": "\x81\x7f\x00\x00\x00\x00\x7f\x00\x00\x00", "far too long": "\x81\x7f\xff\x00\x00\x00\x00\x00\x00\x00",
	} {
		r, _ := newReader(&heard{})
		if err := r.consume([]byte(bad)); !errors.Is(err, errBadFrame) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for payload, want := range map[string]string{"": "closed the connection", "\x03\xf5slow": "1013 slow"} {
		r, _ := newReader(&heard{})
		if err := r.consume([]byte(served(closeFrame, payload))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", payload, err)
		}
	}
}

// TestHotPathAllocatesNothing covers making, sending, receiving and counting a message.
func TestHotPathAllocatesNothing(t *testing.T) {
	f := &flow{streams: 1, subscribers: 1, size: 128, window: 32, burst: 1}
	if err := f.build(&Session{tenants: []*tenant{{id: "bench-1", secret: []byte("secret")}}}); err != nil {
		t.Fatal(err)
	}
	taker, sender, tmpl := f.takers[0], f.senders[0], newTemplate(0, "load.c0", 128)
	in, _ := newReader(taker)
	acks, _ := newReader(sender)
	message, ack := []byte(served(textFrame, delivery(7, "000000-00000000", strings.Repeat("x", 103)))), []byte(served(textFrame, `{"type":"ACK","message_id":"000000-00000000","seq":9}`))
	at, id := strings.Index(string(message), "~000000-")+8, strings.Index(string(ack), "000000-")+7
	out := make([]byte, 0, 1024)
	number := uint32(0)
	allocations := testing.AllocsPerRun(1000, func() {
		f.all[0].ledger.send(0)
		out = tmpl.append(out[:0], number, number)
		putHex(message[at:at+numberDigits], number)
		putHex(ack[id:id+numberDigits], number)
		if in.consume(message) != nil || acks.consume(ack) != nil {
			t.Fatal("not taken")
		}
		number++
	})
	if allocations != 0 || taker.tally.delivered != uint64(number) || f.acked.Load() != uint64(number) {
		t.Errorf("%v allocations; %d sent, %d delivered, %d acknowledged", allocations, number, taker.tally.delivered, f.acked.Load())
	}
}

// FuzzReader: whatever a server sends, a reader neither fails nor keeps more than a frame of it.
func FuzzReader(f *testing.F) {
	f.Add([]byte(served(textFrame, delivery(7, "000000-00000002", ""))))
	f.Add([]byte(served(textFrame, `{"type":"ACK","message_id":"000000-0000000a"}`) + "\x81"))
	f.Add([]byte("\x81\x7f\x00\x00\x00\x00\x00\x01\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, _ := newReader(&heard{})
		if err := r.consume(b); err == nil && len(r.rest) > bufferBytes {
			t.Errorf("%d bytes kept", len(r.rest))
		}
	})
}

func ExampleResult_Write() {
	r := Result{
		Scenario: "fanout", Setting: "1 publisher to 10 subscribers, 128 bytes, full rate (window 32)",
		Unit: "delivery", Units: 1_000_000, Seconds: 5, PerSecond: 200_000,
		Broker: &Cost{CPUMicros: 0.7, CPUCores: 0.14, RSS: 50 << 20}, Latency: &Latency{P50: 1, P90: 2, P99: 3, Max: 4},
		Counts: Counts{Sent: 120_000, Acknowledged: 120_000, Expected: 1_200_000, Delivered: 1_199_999, Missing: 1},
	}
	_ = r.Write(os.Stdout)
	// Output:
	// fanout: 1 publisher to 10 subscribers, 128 bytes, full rate (window 32)
	//   rate      200,000 deliveries/s (1,000,000 in 5.0 s)
	//   broker    0.70 µs CPU for each delivery, 0.14 cores, 50 MiB
	//   latency   p50 1.00 ms, p90 2.00 ms, p99 3.00 ms, max 4.0 ms
	//   messages  120,000 sent, 120,000 acknowledged; 1,199,999 delivered: 1 missing, 0 duplicated, 0 reordered
	//   NOT EXACT 0 acknowledged twice, 0 refused, 0 foreign, 0 connections lost
}
