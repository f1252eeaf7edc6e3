package bench

import (
	"context"
	"fmt"
)

// Tokens is many conversations in which small messages come at the pace of a language model.
type Tokens struct {
	Streams    int     // channels with one subscriber each
	PerSecond  float64 // messages a second in each
	Size       int     // of the content, in bytes
	Publishers int     // connections that share the streams. Zero means one a stream.
}

// Run implements Scenario.
func (c Tokens) Run(ctx context.Context, s *Session) (*Result, error) {
	f := &flow{
		streams: c.Streams, subscribers: 1, publishers: c.Publishers, size: c.Size,
		rate: c.PerSecond * float64(c.Streams), window: 1, burst: 1,
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	from := "one connection each"
	if c.Publishers > 0 {
		from = plural(uint64(c.Publishers), "connection")
	}
	return f.run(ctx, s, &Result{
		Scenario: "tokens", Unit: "token",
		Setting: fmt.Sprintf("%s of %g tokens/s, %d bytes, from %s", plural(uint64(c.Streams), "stream"), c.PerSecond, c.Size, from),
	})
}
