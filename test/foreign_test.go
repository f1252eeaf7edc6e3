package test

import (
	"reflect"
	"strings"
	"testing"

	"parley/test/rig"
)

// foreigners are the clients in other languages. They do what the published clients do, and know nothing that the
// published document does not say.
var foreigners = map[string]func(testing.TB, string) *rig.Foreign{
	"Python": rig.Python, "Node": rig.Node, "Chromium": rig.Browser,
}

func TestForeignClients(t *testing.T) {
	t.Parallel()
	for name, start := range foreigners {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := parley.Start(t, rig.Options{})
			acme := newTenant(t, server, "acme")
			base := "ws://" + server.StableAddr() + "/v1"
			client := start(t, clients)
			if err := client.Connect(base, "", "general"); err == nil {
				t.Error("connected without a token")
			}
			if err := client.Connect(base, acme.token("bot"), "general"); err != nil {
				t.Fatal(err)
			}
			peer := acme.agent("peer", "general")
			t.Run("message and ACK", func(t *testing.T) { foreignMessage(t, client, peer) })
			t.Run("service", func(t *testing.T) { foreignService(t, acme, client) })
			t.Run("ERROR", func(t *testing.T) { foreignError(t, client) })
			t.Run("return after a crash", func(t *testing.T) {
				server.Kill()
				foreignReturn(t, acme, client, 1006)
			})
			t.Run("return after a restart", func(t *testing.T) {
				if code := server.Stop(); code != 0 {
					t.Errorf("exit status %d", code)
				}
				foreignReturn(t, acme, client, 1001, 1012)
			})
			client.Disconnect()
			// The JavaScript clients close without a code, and come back unless the broker answers with 1000.
			if code := client.Closed(); code != 1000 {
				t.Errorf("close code %d", code)
			}
		})
	}
}

func foreignMessage(t *testing.T, client *rig.Foreign, peer *rig.Socket) {
	ack := client.MustSend("Hello, world!", map[string]any{"importance": "high"})
	ack.Time(t)
	for who, got := range map[string]rig.Frame{"sender": client.Message(), "peer": peer.Message()} {
		got.Time(t)
		want := rig.Frame{
			"id": ack["message_id"], "type": "message", "content": "Hello, world!", "metadata": map[string]any{"importance": "high"},
			"tenant_id": "acme", "agent_id": "bot", "channel_id": "general", "timestamp": got["timestamp"], "seq": ack["seq"],
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("the %s received %s\n want %s", who, got, want)
		}
	}
	peer.Publish("ünïcödé 🎉")
	if got := client.Message(); got["content"] != "ünïcödé 🎉" || got.Text("agent_id") != "peer" {
		t.Errorf("received %s", got)
	}
	peer.Message() // its own
}

func foreignService(t *testing.T, acme tenant, client *rig.Foreign) {
	service := acme.service("backend")
	heard := service.Listen("channel.general")
	service.Say("channel.general", "plain text")
	if got := client.Message(); got["content"] != "plain text" || got.Type() != "message" || got.Text("channel_id") != "general" {
		t.Errorf("received %s", got)
	}
	heard.Next() // its own
	ack := client.MustSend("to the service", nil)
	if got := frameOf(t, heard.Next().Data); got["content"] != "to the service" || got.ID() != ack.Text("message_id") {
		t.Errorf("the service received %s", got)
	}
	client.Message() // its own
}

func foreignError(t *testing.T, client *rig.Foreign) {
	if ack, err := client.Send(strings.Repeat("x", 70_000), nil); err == nil {
		t.Errorf("a message over the size limit was acknowledged: %s", ack)
	} else if !strings.Contains(err.Error(), "65536") && !strings.Contains(err.Error(), "64 KiB") {
		t.Errorf("the client was told %q, which does not say what the limit is", err)
	}
	client.MustSend("still here", nil)
	if got := client.Message(); got["content"] != "still here" {
		t.Errorf("received %s", got)
	}
}

// foreignReturn starts the server, which is down, and expects that the client, which saw the connection end with one
// of codes, comes back without being asked.
func foreignReturn(t *testing.T, acme tenant, client *rig.Foreign, codes ...int) {
	code := client.Closed()
	for _, c := range codes {
		if code == c {
			code = 0
		}
	}
	if code != 0 {
		t.Errorf("the client saw the close code %d, want one of %v", code, codes)
	}
	acme.Restart()
	friend := acme.agent("friend", "elsewhere")
	friend.PublishFrame(rig.Frame{"type": "message", "target": "bot", "content": "welcome back"})
	// The inbox waits for the agent, so this message tells when it is there.
	if got := client.Message(); got["content"] != "welcome back" {
		t.Errorf("received %s", got)
	}
	client.MustSend("after the return", nil)
	if got := client.Message(); got["content"] != "after the return" {
		t.Errorf("received %s", got)
	}
}
