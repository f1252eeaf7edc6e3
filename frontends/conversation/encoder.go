package conversation

import "parley/sessions"

// Encoder writes what happens in one session as frames of a dialect. It appends whole WebSocket text frames (see
// ws.AppendTextFunc) to dst, or nothing for what the dialect has no frame for, and depends on nothing but what it was
// told before. Its methods are called one at a time, Begin first.
type Encoder interface {
	// Begin takes the place from which the client follows. An answer that is running is begun, with all its text so far
	// in one piece. Begin is called again for each answer that came to its end while the client was away, with Event for
	// its end to follow.
	Begin(dst []byte, s sessions.Snapshot) []byte

	// Event takes what happens next. Pieces of an answer may have been joined.
	Event(dst []byte, e *sessions.Event) []byte
}

// Progress is what a client has of the answer that is being given. However the pieces come (joined, twice, or not at all,
// because they are kept for a short time only), what it returns adds up to the text with which the answer ends. The zero
// value is ready to use: no answer is being given.
type Progress struct {
	ID    string // of the answer; "" when none is being given
	Run   string // the message that is answered
	Reply string // the client's own name for that message
	shown int    // bytes of the text
}

// Resume begins with an answer that is running. All of its text is to be shown.
func (p *Progress) Resume(a *sessions.Answer) {
	*p = Progress{ID: a.ID, Run: a.Run, Reply: a.Reply, shown: len(a.Text)}
}

// Start begins with the answer that e starts.
func (p *Progress) Start(e *sessions.Event) { *p = Progress{ID: e.ID, Run: e.Run, Reply: e.Reply} }

// Piece returns what e, a Chunk, adds, which may be nothing.
func (p *Progress) Piece(e *sessions.Event) string {
	if e.ID != p.ID || e.Offset > p.shown || e.Offset+len(e.Text) <= p.shown {
		return "" // what is missing comes with the end
	}
	piece := e.Text[p.shown-e.Offset:]
	p.shown += len(piece)
	return piece
}

// End returns what of the answer that e ends is still to be shown, and whether the answer was begun at all. No answer is
// being given after it.
func (p *Progress) End(e *sessions.Event) (rest string, begun bool) {
	if e.ID == p.ID && p.ID != "" {
		begun = true
		rest = e.Text[min(p.shown, len(e.Text)):]
	}
	*p = Progress{}
	return rest, begun
}
