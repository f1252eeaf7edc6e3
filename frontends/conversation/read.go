package conversation

import (
	"cmp"
	"errors"

	"parley/frontends/frame"
	"parley/frontends/ws"
	"parley/internal/fault"
	"parley/internal/trace"
)

// open has the client begin.
func (s *Socket) open(conn *ws.Conn) {
	s.conn = conn
	if err := s.client.Open(s); err != nil {
		s.desk.log.Warn("a connection could not be opened", "tenant", s.principal.Tenant, "err", err)
		s.Close(ws.TryLater, fault.Message(err))
	}
}

// done ends the connection with its socket.
func (s *Socket) done(*ws.Conn) {
	defer s.leave()
	s.client.Close()
}

// read carries out what the client sends, until it is silent or its socket ends. No input ends the connection but a flood: what is too long to be read and what
// is no UTF-8 ends it below.
func (s *Socket) read(*ws.Conn) {
	for {
		s.conn.LimitMessages(s.meter.Tenant().MessageBytes())
		text, kind, err := s.conn.ReadMessage()
		size := len(text)
		var tooBig *ws.TooBigError
		if errors.As(err, &tooBig) {
			size, err = tooBig.Size, nil
		}
		if err != nil {
			return
		}
		verdict := s.meter.Take(size)
		switch {
		case verdict.Flood:
			s.Close(ws.PolicyViolation, "far too many messages a second")
			return
		case verdict.Refused != nil:
			s.refuse(text, verdict.Refused)
			s.conn.Pause(verdict.Pause)
		case tooBig != nil:
			s.refuse(text, s.meter.Tenant().TooLong(tooBig.Size, tooBig.Limit))
		case kind != ws.Text:
			s.refuse(nil, fault.New(fault.InvalidFormat, "Frames are text."))
		case s.desk.draining.Load():
			s.refuse(text, errDraining)
		default:
			s.follow(text)
			if err := s.client.Handle(text); err != nil {
				s.refuse(text, err)
			}
		}
	}
}

// follow notes the trace that a frame belongs to.
func (s *Socket) follow(text []byte) {
	s.parent = s.handshake
	if !s.desk.traced {
		return
	}
	fields, err := frame.Read(nil, text)
	if err != nil {
		return // whoever handles it says so
	}
	if named, ok, err := fields.Text(trace.Header); ok && err == nil {
		s.parent = cmp.Or(trace.Parse(named), s.parent)
	}
}

// refuse answers a frame that was not carried out.
func (s *Socket) refuse(text []byte, err error) {
	if fault.CodeOf(err) == fault.Internal {
		s.desk.log.Error("a frame could not be carried out", "tenant", s.principal.Tenant, "err", err)
	}
	if payload := s.client.Refusal(text, err); len(payload) > 0 {
		s.Send(payload)
	}
}
