package broker

import (
	"context"
	"time"

	"parley/internal/fault"
)

// Visit returns a connection to an account of the caller's own, which nobody else uses, whether the account is suspended or
// not. leave closes it, and must be called when the error is nil.
func (e *Engine) Visit(ctx context.Context, a AccountID) (c *Conn, leave func(), err error) {
	if e.conns.isBarred(a) { // users are told apart from those of before by the second in which they were made
		select {
		case <-time.After(time.Until(time.Now().Truncate(time.Second).Add(time.Second))):
		case <-ctx.Done():
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	c = newConn(e, a, &connTable{})
	close(c.ready)
	if err := c.dial(e); err != nil {
		return nil, nil, fault.Wrap(fault.Unavailable, err, "The tenant can't be reached now.")
	}
	return c, c.close, nil
}
