package broker

import (
	"strings"

	"github.com/nats-io/nats.go"
)

// MayAnswer reports whether a service may be answered on the subject that its request names: in an inbox, and nowhere else.
// NATS asks nobody whether the service may write there, and the broker may write everywhere.
func MayAnswer(reply string) bool { return strings.HasPrefix(reply, nats.InboxPrefix) }

// Answer answers a request that may be a service's, if MayAnswer. A service that is gone by now needs no answer, so that
// there is nothing to report.
func Answer(m *nats.Msg, data []byte) {
	if MayAnswer(m.Reply) {
		_ = m.Respond(data)
	}
}
