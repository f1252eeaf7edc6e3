package ws

// queue holds, in order, the bytes that the kernel has yet to take. It refers to the segments it is given, which others
// share, and never changes them. A segment is one or more whole frames. The zero value is empty.
type queue struct {
	cur  []byte    // the segment to be written next; nil when the queue is empty
	off  int       // bytes of cur that the kernel has taken
	rest *segments // the segments behind cur; nil unless there are some
	size int       // bytes yet to be taken
}

// segments is a list that shrinks at its front. It is pooled, so that a connection without a backlog holds none.
type segments struct {
	list [][]byte
	head int
}

// maxPooledSegments bounds what a returned list may keep: 24 KiB.
const maxPooledSegments = 1024

func (q *queue) push(b []byte, p *pools) {
	q.size += len(b)
	if q.cur == nil {
		q.cur = b
		return
	}
	if q.rest == nil {
		q.rest = p.segments()
	}
	s := q.rest
	if s.head > 0 && len(s.list) == cap(s.list) {
		n := copy(s.list, s.list[s.head:])
		clear(s.list[n:])
		s.list, s.head = s.list[:n], 0
	}
	s.list = append(s.list, b)
}

// waiting returns how many bytes lie behind the segment being written.
func (q *queue) waiting() int { return q.size - (len(q.cur) - q.off) }

// gather returns the bytes to write next, at most about a chunk of them unless they need no copying. Short segments are
// joined in a chunk from p, which the caller puts back; a lone or a long segment is returned as it is, with a nil chunk.
func (q *queue) gather(p *pools) ([]byte, *chunk) {
	if q.rest == nil || len(q.cur)-q.off >= chunkSize/2 {
		return q.cur[q.off:], nil
	}
	c := p.chunk()
	n := copy(c[:], q.cur[q.off:])
	for _, s := range q.rest.list[q.rest.head:] {
		if n == chunkSize {
			break
		}
		n += copy(c[n:], s)
	}
	return c[:n], c
}

// advance removes the first n bytes, which the kernel has taken.
func (q *queue) advance(n int, p *pools) {
	q.size -= n
	for q.cur != nil {
		left := len(q.cur) - q.off
		if n < left {
			q.off += n
			return
		}
		n -= left
		q.next(p)
	}
}

func (q *queue) next(p *pools) {
	q.cur, q.off = nil, 0
	s := q.rest
	if s == nil {
		return
	}
	q.cur, s.list[s.head] = s.list[s.head], nil
	s.head++
	if s.head == len(s.list) {
		q.rest = nil
		p.putSegments(s)
	}
}

// cut drops everything except the rest of a frame of which the kernel has taken a part, so that another frame can
// follow.
func (q *queue) cut(p *pools) {
	end := 0
	for end < q.off {
		end += frameSize(q.cur[end:])
	}
	partial, off := q.cur[:end], q.off
	q.drop(p)
	if off < end {
		q.cur, q.off, q.size = partial, off, end-off
	}
}

func (q *queue) drop(p *pools) {
	if q.rest != nil {
		p.putSegments(q.rest)
	}
	*q = queue{}
}
