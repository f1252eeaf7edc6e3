package tenantchat

import (
	"testing"
	"time"

	"parley/frontends/conversation"
	"parley/frontends/conversation/conversationtest"
)

func TestTranscripts(t *testing.T) {
	conversationtest.Golden(t, func() conversation.Encoder { return &encoder{} })
}

// noon is when things happen that depend on no time.
var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
