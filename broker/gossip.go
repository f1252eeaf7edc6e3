package broker

import (
	"strings"

	"github.com/nats-io/nats.go"

	"parley/internal/fault"
)

// gossipRoot is where nodes tell each other what need not be kept, in the broker's own account.
const gossipRoot = "gossip."

// Tell sends data to those nodes of the cluster that hear of the topic, at most once, and waits for nobody.
func (e *Engine) Tell(topic Token, data []byte) error {
	return e.home.nc.Publish(gossipRoot+string(topic)+"."+string(e.Node()), data)
}

// Hear has f called with what the other nodes tell about a topic, one at a time and each node's in order, until stop. data
// is f's to keep.
func (e *Engine) Hear(topic Token, f func(from Token, data []byte)) (stop func(), err error) {
	root := gossipRoot + string(topic) + "."
	sub, err := e.home.nc.Subscribe(root+"*", func(m *nats.Msg) {
		if from := Token(strings.TrimPrefix(m.Subject, root)); from != e.Node() {
			f(from, m.Data)
		}
	})
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "The other nodes can't be heard.")
	}
	return func() { _ = sub.Unsubscribe() }, nil // fails only when the connection is closed already
}
