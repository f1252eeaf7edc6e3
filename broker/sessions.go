package broker

import (
	"bytes"
	"strings"
)

// GatewayRoot begins the subjects between the nodes.
const GatewayRoot = rootGateway

// SessionLog is where the events of a session are stored. Only the broker publishes there.
func SessionLog(session Token) Subject { return sessionSubject(session, "log") }

// SessionRun is where workers publish what they make of a session's request.
func SessionRun(session Token) Subject { return sessionSubject(session, "run") }

// RunSession returns the session of a subject of SessionRun, which is not looked at closely: it may be no Token.
func RunSession(subject []byte) (session []byte, ok bool) {
	rest, ok := bytes.CutPrefix(subject, []byte(rootSession))
	if !ok {
		return nil, false
	}
	return bytes.CutSuffix(rest, []byte(".run"))
}

// SessionControl is where workers are told to stop.
func SessionControl(session Token) Subject { return sessionSubject(session, "control") }

// SessionFeedback is where services learn what users think of answers. It is not stored.
func SessionFeedback(session Token) Subject { return sessionSubject(session, "feedback") }

// SessionDo is where services have something done in a session.
func SessionDo(session, verb Token) Subject { return sessionSubject(session, "do."+string(verb)) }

// SessionTyping is where the nodes, and services that listen, learn who is typing. It is not stored, and only the
// broker publishes there.
func SessionTyping(session Token) Subject { return sessionSubject(session, "typing").Live() }

// SessionGateway is where the node that writes a session's log takes what the other nodes want of it.
func SessionGateway(session Token) Subject { return rootGateway + sessionSubject(session, "") }

func sessionSubject(session Token, what string) Subject {
	return Subject(strings.TrimSuffix(rootSession+string(session)+"."+what, "."))
}

// WorkSubject is where requests wait for the workers of a queue.
func WorkSubject(queue Token) Subject { return Subject(rootWork + string(queue)) }

// Session returns the session that s is about and what it is: "log", "run", "typing" or "do.<verb>". It takes the
// subjects of live copies, too.
func (s Subject) Session() (session Token, what string, ok bool) {
	rest, ok := strings.CutPrefix(string(s.Stored()), rootSession)
	if !ok {
		return "", "", false
	}
	id, what, ok := strings.Cut(rest, ".")
	return Token(id), what, ok && validToken(id)
}

// SessionDeleted is where the nodes learn that a session is no more.
func SessionDeleted(session Token) Subject { return sessionSubject(session, "deleted").Live() }

// SessionForward is where the node that writes a session's log takes what workers have sent to another one.
func SessionForward(session Token) Subject {
	return rootGateway + sessionSubject(session, "run")
}
