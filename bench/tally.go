package bench

import "slices"

// tally is what one subscriber has received of one stream. It belongs to the subscriber's reader.
type tally struct {
	next       uint32 // the number after the highest one received
	holes      []hole // what is missing below next, in order
	delivered  uint64 // different messages
	duplicated uint64
	reordered  uint64 // came after a later one
}

// hole is a range of numbers, to excluded.
type hole struct{ from, to uint32 }

// take counts a message, and reports whether it is new.
func (t *tally) take(number uint32) bool {
	if number == t.next { // nearly always
		t.next++
		t.delivered++
		return true
	}
	if number > t.next {
		t.holes = append(t.holes, hole{t.next, number})
		t.next = number + 1
		t.delivered++
		return true
	}
	i, _ := slices.BinarySearchFunc(t.holes, number, func(h hole, n uint32) int {
		if h.to <= n {
			return -1
		}
		return 1
	})
	if i == len(t.holes) || number < t.holes[i].from {
		t.duplicated++
		return false
	}
	h := t.holes[i]
	switch {
	case h.from+1 == h.to:
		t.holes = slices.Delete(t.holes, i, i+1)
	case number == h.from:
		t.holes[i].from++
	case number+1 == h.to:
		t.holes[i].to--
	default:
		t.holes[i].to = number
		t.holes = slices.Insert(t.holes, i+1, hole{number + 1, h.to})
	}
	t.delivered++
	t.reordered++
	return true
}

// missing returns how many of the messages below sent were not received.
func (t *tally) missing(sent uint32) uint64 {
	n := uint64(0)
	if sent > t.next {
		n = uint64(sent - t.next)
	}
	for _, h := range t.holes {
		n += uint64(h.to - h.from)
	}
	return n
}
