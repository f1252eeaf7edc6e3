package ws_test

import (
	"testing"
	"time"

	"parley/frontends/ws"
)

// TestPauseEndsWithTheConnection ends connections in every way while their handlers pause.
func TestPauseEndsWithTheConnection(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*ws.Conn){
		"close":     func(c *ws.Conn) { c.Close(ws.Normal, "") },
		"cut":       func(c *ws.Conn) { c.Cut(4001, "revoked") },
		"close now": func(c *ws.Conn) { c.CloseNow() },
		"before":    nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pausing := make(chan struct{})
			e := newEdge(t, edgeConfig{stays: true, handle: func(c *ws.Conn) error {
				if end == nil {
					c.Close(ws.Normal, "")
				}
				close(pausing)
				c.Pause(1000 * time.Hour)
				return c.Closed()
			}})
			e.dial(t)
			c := receive(t, e.conns)
			receive(t, pausing)
			if end != nil {
				end(c)
			}
			if receive(t, e.ended) == nil {
				t.Error("the pause has ended on an open connection")
			}
		})
	}
}
