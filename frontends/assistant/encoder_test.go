package assistant

import (
	"testing"

	"parley/frontends/conversation"
	"parley/frontends/conversation/conversationtest"
)

func TestTranscripts(t *testing.T) {
	conversationtest.Golden(t, func() conversation.Encoder { return newTestEncoder(true) })
}

func newTestEncoder(named bool) *encoder {
	e := &encoder{kind: typePrefix + documentsOwn, session: conversationtest.Session, page: true}
	e.named.Store(named)
	return e
}
