package conversation

import (
	"context"
	"sync/atomic"
	"time"

	"parley/channels"
	"parley/frontends/frame"
	"parley/frontends/ws"
	"parley/internal/fault"
	"parley/internal/rawjson"
	"parley/sessions"
	"parley/tenants"
)

// Entrance lets in the client of a dialect whose token stands in the URL, or comes as the first message, of the type auth.
// A Client embeds it: Open, Expiring and Close are the Client's. Its fields are set before Open; its methods are for the
// connection's own goroutine, but Expiring.
type Entrance struct {
	Within  time.Duration // how long the client may take to say who it is
	Token   string        // from the URL
	Refused error         // why there is none
	// Verify returns what a token allows, if it opens such a connection.
	Verify func(context.Context, string) (*tenants.Grant, error)
	// Turned returns the dialect's error frame for a client that may not come in.
	Turned func(error) []byte

	socket   *Socket
	grant    *tenants.Grant // nil until it is known whose socket it is
	entered  atomic.Bool    // it is known
	deadline *time.Timer    // for saying so; nil when the token was in the URL
}

// Open lets the client in, or waits for its first message, or refuses it on the open connection.
func (e *Entrance) Open(s *Socket) error {
	e.socket = s
	switch {
	case fault.CodeOf(e.Refused) == fault.AuthRequired:
		if err := s.Wait(); err != nil {
			e.turnAway(err)
			break
		}
		e.deadline = time.AfterFunc(e.Within, e.late)
	case e.Refused != nil:
		e.turnAway(e.Refused)
	default:
		ctx, cancel := s.Patience()
		defer cancel()
		if err := e.enter(ctx, e.Token); err != nil {
			e.turnAway(err)
		}
	}
	e.Token = ""
	return nil
}

// Close ends what Open has begun.
func (e *Entrance) Close() {
	if e.deadline != nil {
		e.deadline.Stop()
	}
}

// Socket returns the connection, from Open on.
func (e *Entrance) Socket() *Socket { return e.socket }

// Grant returns by what the client is in, nil when it is not.
func (e *Entrance) Grant() *tenants.Grant { return e.grant }

// Pass reports whether a frame is the dialect's to carry out. It deals with auth itself, and turns away who sends anything
// else first.
func (e *Entrance) Pass(verb string, fields frame.Fields) (bool, error) {
	switch {
	case verb == "auth":
		return false, e.authenticate(fields)
	case !e.entered.Load():
		e.turnAway(fault.New(fault.AuthFailed, "The first message must be of the type auth"))
		return false, nil
	}
	return true, nil
}

// late turns away who did not say in time who he is. It runs on a goroutine of its own.
func (e *Entrance) late() {
	if !e.entered.Load() {
		e.turnAway(fault.New(fault.AuthFailed, "No token was sent within %s", e.Within))
	}
}

// turnAway refuses the connection as a whole.
func (e *Entrance) turnAway(err error) {
	if fault.CodeOf(err) == fault.PermissionDenied { // the document has one code for all who may not come in
		err = fault.Wrap(fault.AuthFailed, err, "%s", fault.Message(err))
	}
	e.socket.Send(e.Turned(err))
	e.socket.Close(ws.PolicyViolation, fault.Message(err))
}

// enter lets in the user whom a token proves.
func (e *Entrance) enter(ctx context.Context, token string) error {
	g, err := e.Verify(ctx, token)
	if err != nil {
		return err
	}
	who := sessions.Principal{Tenant: g.Tenant, Account: g.Account, User: string(g.Agent), Claims: g.Claims}
	if err := e.socket.Admit(g, who); err != nil {
		return err
	}
	e.grant = g
	e.entered.Store(true)
	return nil
}

// authenticate lets in who has not said yet who he is, and lets others stay under a newer token.
func (e *Entrance) authenticate(fields frame.Fields) error {
	ctx, cancel := e.socket.Patience()
	defer cancel()
	token, err := fields.Required("token")
	if e.entered.Load() {
		return e.renew(ctx, token, err)
	}
	if err == nil {
		err = e.enter(ctx, token)
	}
	if err != nil {
		e.turnAway(fault.Wrap(fault.AuthFailed, err, "%s", fault.Message(err)))
		return nil
	}
	e.Close()
	return nil
}

// renew puts the connection under a newer token of its user. The document has no answer to that: only a client that has
// asked to be told of the end of its token is told of the new one.
func (e *Entrance) renew(ctx context.Context, token string, err error) error {
	if err != nil {
		return err
	}
	g, err := e.socket.Renew(ctx, token)
	if err != nil {
		return err
	}
	e.grant = g
	if e.socket.Warned() {
		e.socket.Send(expiryFrame("auth_confirmed", g.Expires))
	}
	return nil
}

// Expiring returns what a client is told that has asked to be told before its token ends.
func (e *Entrance) Expiring(at time.Time) []byte { return expiryFrame("token_expiring", at) }

// expiryFrame is about the time until which a token is good.
func expiryFrame(kind string, expires time.Time) []byte {
	b := rawjson.AppendString([]byte(`{"type":`), kind)
	b = append(channels.AppendTime(append(b, `,"expires":"`...), expires), '"')
	return append(channels.AppendTime(append(b, `,"timestamp":"`...), time.Now()), `"}`...)
}
