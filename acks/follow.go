package acks

import "parley/broker"

// Follower hears what the streams store of a Publisher's messages as soon as they say so, which is before it is on disk. Its
// methods must not block.
type Follower interface {
	// Stored is told of each message that is no repetition, of each stream in the order of the sequences. It is called by one
	// goroutine.
	Stored(m Stored)

	// Pause follows Stored, from the same goroutine, when nothing more is there for the moment.
	Pause()

	// Lost says that messages of which Stored is not told may be stored by now: nobody knows what became of them, or their
	// answers came too late. Any goroutine calls it.
	Lost()
}

// Stored is a message that a stream has confirmed.
type Stored struct {
	Subject broker.Subject
	Data    []byte // the caller's again when Follower.Stored returns
	Seq     uint64
}

// tell has the Follower hear of an answer to a message, which is none of ours any more unless it was expected.
func (p *Publisher) tell(s slot, o Outcome, expected bool) {
	switch {
	case o.Err != nil || o.Duplicate: // nothing new
	case expected:
		s.news.Seq = o.Seq
		p.cfg.Follower.Stored(s.news)
	default:
		p.cfg.Follower.Lost()
	}
}
