package ws

import (
	"testing"

	"parley/internal/usage"
)

func TestMessagesInCountsNoControlFrames(t *testing.T) {
	var b []byte
	for _, size := range []int{0, 1, 125, 126, 65535, 65536} {
		b = AppendText(b, make([]byte, size))
		b = append(b, finPing, 0)
	}
	if n := messagesIn(b); n != 6 {
		t.Errorf("%d messages, want 6", n)
	}
	if n := testing.AllocsPerRun(100, func() { messagesIn(b) }); n != 0 {
		t.Errorf("counting allocates %v times", n)
	}
}

// BenchmarkMessagesIn counts a batch of 64 messages. An operation is one message.
func BenchmarkMessagesIn(b *testing.B) {
	const batch = 64
	var frames []byte
	for range batch {
		frames = AppendText(frames, make([]byte, 256))
	}
	before, _ := usage.Own()
	n := uint64(0)
	for i := 0; i < b.N; i += batch {
		n += messagesIn(frames)
	}
	if n < uint64(b.N) {
		b.Fatal(n)
	}
	after, _ := usage.Own()
	b.ReportMetric(float64((after.User+after.System-before.User-before.System).Nanoseconds())/float64(b.N), "cpu-ns/op")
}
