package main

import (
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

type channelCmd struct {
	List    channelListCmd    `cmd:"" help:"List the channels that hold messages."`
	Show    channelShowCmd    `cmd:"" help:"Show a channel: what it holds, who is subscribed, which policy holds."`
	Policy  channelPolicyCmd  `cmd:"" help:"Say what channels keep and who may publish, by patterns of their names."`
	Purge   channelPurgeCmd   `cmd:"" help:"Remove all messages of a channel, for good."`
	Publish channelPublishCmd `cmd:"" help:"Publish a message; it is on disk when the command returns."`
	Tail    channelTailCmd    `cmd:"" help:"Follow a channel, as tail -f follows a file."`
	History channelHistoryCmd `cmd:"" help:"Print what a channel holds."`
}

// message is what is shown of a message to people.
type message struct {
	Type      string         `json:"type"`
	Seq       uint64         `json:"seq"`
	Agent     string         `json:"agent_id"`
	Timestamp string         `json:"timestamp"`
	Content   jsontext.Value `json:"content"`
	From      uint64         `json:"from"` // of a GAP
	To        uint64         `json:"to"`   // of a GAP
}

// decode reads a message as clients receive it.
func decode(b jsontext.Value) (message, error) {
	var m message
	err := json.Unmarshal(b, &m)
	return m, err
}

// printMessage prints a message on a line: for programs as it is, for people what matters of it.
func (c *console) printMessage(b jsontext.Value, asJSON bool) error {
	if asJSON {
		return c.printLine(string(b))
	}
	m, err := decode(b)
	if err != nil {
		return c.printLine(oneLine(string(b)))
	}
	if m.Type == "GAP" {
		return c.printLine(fmt.Sprintf("-- messages %d to %d are gone: they are older than the retention --", m.From, m.To))
	}
	sender := m.Agent
	if sender == "" {
		sender = "(service)"
	}
	line := m.Timestamp + "  " + strconv.FormatUint(m.Seq, 10) + "  " + sender
	if m.Type != "message" {
		line += "  [" + m.Type + "]"
	}
	return c.printLine(oneLine(line + "  " + contentOf(m.Content)))
}

// contentOf is a text as it is, and anything else as JSON.
func contentOf(v jsontext.Value) string {
	var text string
	if v.Kind() == '"' && json.Unmarshal(v, &text) == nil {
		return text
	}
	return string(v)
}

// oneLine is s without anything that a terminal could take for an order, line breaks included.
func oneLine(s string) string {
	b := []rune(printable(s))
	for i, r := range b {
		if r == '\n' {
			b[i] = '↵'
		}
	}
	return string(b)
}
