package broker

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
)

// nodesRoot is where nodes ask each other what is not about accounts, in the broker's own account.
const nodesRoot = "nodes.ask."

// AnswerNodes has f answer when a node, this one included, asks for what. f is called by one goroutine at a time; its
// answer is at most 512 KiB, and nil for none. There is no way to take it back: it is meant for those who live as long as
// the engine.
func (e *Engine) AnswerNodes(what Token, f func() []byte) error {
	_, err := e.home.nc.Subscribe(nodesRoot+string(what), func(m *nats.Msg) {
		answer := f()
		if answer == nil {
			return
		}
		if err := m.Respond(answer); err != nil {
			e.log.Warn("a node could not be answered", "err", err)
		}
	})
	if err != nil {
		return fmt.Errorf("listen to the other nodes: %w", err)
	}
	return nil
}

// AskNodes asks all nodes that live, this one included, and has take called with each answer. A node that is silent for
// four seconds is left out.
func (e *Engine) AskNodes(ctx context.Context, what Token, take func([]byte) error) error {
	return e.gather(ctx, e.home.nc, nodesRoot+string(what), nil, e.engineCount, take)
}
