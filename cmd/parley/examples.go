package main

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// examplesOf returns how a command is used, one line each: for the commands whose Help does not show it.
func examplesOf(command string) []string {
	lines := map[string]string{
		"serve":                 "serve --dev\nserve --config parley.yaml\nserve --data /var/lib/parley --listen :8080 --nats-listen off",
		"config check":          "config check --config parley.yaml",
		"config doc":            "config doc > parley.yaml",
		"tenant create":         "tenant create acme --name 'Acme Inc.'\ntenant create acme --limit connections=100 --limit storage_bytes=2GiB",
		"tenant list":           "tenant list\ntenant list --json",
		"tenant show":           "tenant show acme",
		"tenant update":         "tenant update acme --limit messages_per_second=20 --limit history_age=7d\ntenant update acme --limit connections=default\ntenant update acme --origin https://app.acme.example",
		"tenant suspend":        "tenant suspend acme",
		"tenant resume":         "tenant resume acme",
		"tenant delete":         "tenant delete acme\ntenant delete acme --yes",
		"key add":               "key add --tenant acme --alg ES256\nkey add --tenant acme --alg HS256 --kid backend --secret-file secret.txt\nkey add --tenant acme --alg RS256 --kid idp --jwks-url https://idp.example/keys --audience acme",
		"key list":              "key list --tenant acme",
		"key revoke":            "key revoke --tenant acme backend",
		"token issue":           "token issue --tenant acme --agent alice\ntoken issue --tenant acme --user ann --ttl 24h\ntoken issue --tenant acme --agent bot --channels news,team.* --deny-pub channel.news",
		"token inspect":         "token inspect < token.txt",
		"token revoked list":    "token revoked list --tenant acme",
		"apikey create":         "apikey create --tenant acme --name shop\napikey create --tenant acme --name report --scope chats:read --expires 720h",
		"apikey list":           "apikey list --tenant acme",
		"apikey revoke":         "apikey revoke --tenant acme 0a1b2c3d4e5f6071",
		"adminkey list":         "adminkey list",
		"adminkey revoke":       "adminkey revoke agency",
		"creds issue":           "creds issue --tenant acme --name backend > backend.creds\ncreds issue --tenant acme --name llm --role worker --queue support > llm.creds\ncreds issue --tenant acme --name reader --sub channel.news --ttl 720h > reader.creds",
		"creds list":            "creds list --tenant acme",
		"nats config":           "nats config --data ./parley-data > nats.conf",
		"agent list":            "agent list --tenant acme",
		"agent show":            "agent show --tenant acme alice",
		"channel list":          "channel list --tenant acme",
		"channel show":          "channel show --tenant acme news",
		"channel policy list":   "channel policy list --tenant acme",
		"channel policy remove": "channel policy remove --tenant acme 'live.>'",
		"channel purge":         "channel purge --tenant acme news",
		"channel publish":       "channel publish --tenant acme news 'hello world'\nchannel publish --tenant acme news --raw '{\"level\":3}' --agent alice --id m-1",
		"channel tail":          "channel tail --tenant acme news\nchannel tail --tenant acme news --since 0 --json",
		"channel history":       "channel history --tenant acme news\nchannel history --tenant acme news --since 2027-01-31T12:00:00Z --limit 1000",
		"session list":          "session list --tenant acme\nsession list --tenant acme --user ann",
		"session show":          "session show --tenant acme chat-1",
		"session tail":          "session tail --tenant acme chat-1",
		"session claim":         "session claim --tenant acme chat-1",
		"session reply":         "session reply --tenant acme chat-1 'How can I help?'",
		"session release":       "session release --tenant acme chat-1",
		"session stop":          "session stop --tenant acme chat-1",
		"session close":         "session close --tenant acme chat-1",
		"room list":             "room list --tenant acme",
		"room show":             "room show --tenant acme standup",
		"node list":             "node list",
		"node remove":           "node remove n3",
		"backup create":         "backup create\nbackup --tenant acme --out acme.tar.gz",
		"backup verify":         "backup verify acme.tar.gz",
		"worker echo":           "worker echo --creds llm.creds",
		"worker openai":         "worker openai --creds llm.creds --model gpt-5-mini --key-file openai.key\nworker openai --creds llm.creds --base-url http://127.0.0.1:11434/v1 --model llama3",
		"bench fanout":          "bench fanout --subscribers 1000",
		"bench channels":        "bench channels --channels 500",
		"bench ack":             "bench ack --connections 100 --window 16",
		"bench idle":            "bench idle",
		"bench tokens":          "bench tokens",
		"bench answers":         "bench answers --streams 100",
		"bench reconnect":       "bench reconnect",
		"bench tenants":         "bench tenants",
		"bench stored":          "bench stored",
		"completion bash":       "completion bash > /etc/bash_completion.d/parley",
		"completion zsh":        "completion zsh > _parley",
		"completion fish":       "completion fish > ~/.config/fish/completions/parley.fish",
		"version":               "version --json\nversion",
	}
	text, ok := lines[command]
	if !ok {
		return nil
	}
	return strings.Split(text, "\n")
}

// help prints what kong says of a command, and how it is used.
func help(options kong.HelpOptions, ctx *kong.Context) error {
	if err := kong.DefaultHelpPrinter(options, ctx); err != nil {
		return err
	}
	node := ctx.Selected()
	if node == nil {
		return nil
	}
	for i, line := range examplesOf(pathOf(node)) {
		if i == 0 {
			line = "\nExamples:\n  parley " + line
		} else {
			line = "  parley " + line
		}
		if _, err := fmt.Fprintln(ctx.Stdout, line); err != nil {
			return err
		}
	}
	return nil
}

// pathOf is what is typed for a command, without the program's name.
func pathOf(node *kong.Node) string {
	if node.Parent == nil || node.Parent.Type == kong.ApplicationNode {
		return node.Name
	}
	return pathOf(node.Parent) + " " + node.Name
}
