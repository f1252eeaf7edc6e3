// Package conversation is what the dialects of chat have in common: sockets that follow sessions. A dialect brings its
// frames; reading, limits, bad input, admission, and what a client gets of an answer that was running before it came are
// the same for all and live here.
//
// The nouns: a Desk serves all sockets of an edge; a Socket is one connection; a Client is the dialect's side of it, which
// carries out what the connection's user sends; an Encoder writes what happens in one session in the dialect's frames, and
// is pure, so that golden transcripts test it; a Progress keeps an Encoder's place in the answer that is being given.
//
// It knows no frame of any dialect.
package conversation
