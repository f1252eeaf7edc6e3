package bench

// subscriber is a connection that receives one stream.
type subscriber struct {
	token  string
	stream *stream
	link   *link
	tally  tally

	catching *recovery // what it takes part in; nil for most
	seq      uint64    // of the newest message; kept by those that take part in a recovery
	began    uint32    // when it began to reconnect; 0 when it has nothing to catch up with

	now   uint32 // when what is being handled was read; 0 means not known yet
	fresh uint64 // new messages in what is being handled
	rouse bool   // a window has room again
}

// message implements receiver.
func (s *subscriber) message(m marker, payload []byte) {
	st := s.stream
	if m.stream != st.index || m.number >= st.ledger.sent.Load() {
		st.flow.foreign.Add(1)
		return
	}
	if s.catching != nil {
		s.seq = max(s.seq, seqOf(payload))
	}
	if !s.tally.take(m.number) {
		return
	}
	s.fresh++
	if s.now == 0 {
		s.now = st.flow.session.micros()
	}
	if s.began == 0 {
		st.flow.latency.add(s.now - min(m.micros, s.now))
	}
	if !st.flow.paced.Load() {
		s.rouse = st.received(m.number) || s.rouse
	}
}

// received notes that one more subscriber has a message, and reports whether that makes room enough for a burst.
func (s *stream) received(number uint32) bool {
	copies := &s.copies[int(number)%len(s.copies)]
	if copies.Add(1) < int32(s.flow.subscribers) {
		return false
	}
	copies.Store(0) // for the next message here, which is not sent before the window moves on
	complete := s.complete.Add(1)
	return int(s.ledger.sent.Load()-complete) <= s.flow.window-s.flow.burst
}

// acknowledged implements receiver: subscribers send nothing.
func (s *subscriber) acknowledged(uint32, uint32) { s.stream.flow.foreign.Add(1) }

// other implements receiver.
func (s *subscriber) other(payload []byte) { s.stream.flow.trouble.refuse(payload) }

// settle implements receiver.
func (s *subscriber) settle() {
	if s.began != 0 && s.fresh > 0 && s.tally.delivered == uint64(s.stream.ledger.sent.Load()) {
		s.stream.flow.latency.add(s.now - s.began)
		s.began = 0
		s.catching.one()
	}
	s.now = 0
	if s.fresh > 0 {
		s.stream.flow.delivered.Add(s.fresh)
		s.fresh = 0
	}
	if s.rouse {
		s.rouse = false
		s.stream.sender.rouse()
	}
}

var _ receiver = (*subscriber)(nil)
