package channels

import (
	"bytes"
	"time"

	"github.com/nats-io/nats.go"

	"parley/broker"
)

// listenQueue is how many messages wait for a listener who is slow. What comes beyond is lost to him.
const listenQueue = 1024

// Listener hears the messages of a channel as they pass, stored or not. It is made with Space.Listen and ends with Close.
type Listener struct {
	to   Address
	sub  *nats.Subscription
	came chan *nats.Msg
}

// Listen begins to listen to a channel. The caller closes the Listener before he releases the space.
func (s *Space) Listen(channel broker.Name) (*Listener, error) {
	l := &Listener{to: Address{Tenant: s.tenant, Channel: channel}, came: make(chan *nats.Msg, listenQueue)}
	var err error
	if l.sub, err = s.conn.NATS().ChanSubscribe(string(l.to.Subject()), l.came); err != nil {
		return nil, unreachable(err)
	}
	return l, nil
}

// Messages delivers what passes; see Encode.
func (l *Listener) Messages() <-chan *nats.Msg { return l.came }

// Encode lays a message out as clients get it, without a sequence.
func (l *Listener) Encode(m *nats.Msg) []byte {
	b, _ := appendDelivery(nil, l.to, broker.Stored{Time: time.Now(), Data: m.Data})
	return append([]byte{'{'}, bytes.TrimPrefix(b, []byte(`{"seq":0,`))...)
}

// Close ends the listening.
func (l *Listener) Close() { _ = l.sub.Unsubscribe() } // fails only when the connection is closed, which ends it as well
