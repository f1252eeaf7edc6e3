package ws

import "sync"

// chunkSize is how much one system call reads or, when it joins short segments, writes. Busy publishers are read in
// pieces of this size.
const chunkSize = 32 << 10

type chunk [chunkSize]byte

// message is a buffer for one incoming message. It grows with the messages it meets.
type message struct{ buf []byte }

// The sizes of a message buffer when it is made, and above which it is not kept.
const (
	firstMessageSize = 4 << 10
	maxPooledMessage = 256 << 10
)

// pools lends the buffers that connections hold only while they are busy.
type pools struct{ chunks, segmentLists, messages sync.Pool }

func newPools() *pools {
	return &pools{
		chunks:       sync.Pool{New: func() any { return new(chunk) }},
		segmentLists: sync.Pool{New: func() any { return new(segments) }},
		messages:     sync.Pool{New: func() any { return &message{buf: make([]byte, firstMessageSize)} }},
	}
}

func (p *pools) chunk() *chunk { return p.chunks.Get().(*chunk) }

// putChunk takes c back. A nil chunk is ignored.
func (p *pools) putChunk(c *chunk) {
	if c != nil {
		p.chunks.Put(c)
	}
}

func (p *pools) segments() *segments { return p.segmentLists.Get().(*segments) }

func (p *pools) putSegments(s *segments) {
	if cap(s.list) > maxPooledSegments {
		return
	}
	clear(s.list[s.head:]) // or the pool would keep the payloads alive
	s.list, s.head = s.list[:0], 0
	p.segmentLists.Put(s)
}

func (p *pools) message() *message { return p.messages.Get().(*message) }

func (p *pools) putMessage(m *message) {
	if len(m.buf) <= maxPooledMessage {
		p.messages.Put(m)
	}
}
