package bots

import (
	"testing"

	"parley/frontends/conversation"
	"parley/frontends/conversation/conversationtest"
)

func TestTranscripts(t *testing.T) {
	conversationtest.Golden(t, func() conversation.Encoder { return &encoder{origin: conversationtest.Here} })
}
