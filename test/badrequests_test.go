package test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"parley/test/rig"
)

// badRequest is an HTTP request with a good token, and the exact answer to it.
type badRequest struct {
	name, method, path, body string
	status                   int
	want                     refusal
}

var nothingHere = refusal{"NOT_FOUND", "There is no such endpoint."}

var badRequests = []badRequest{
	{"no such page", "GET", "/nope", "", 404, nothingHere},
	{"no such page below v1", "GET", "/v1/nope", "", 404, nothingHere},
	{"another version", "GET", "/v2/ws", "", 404, nothingHere},
	{"the admin interface", "GET", "/admin/v1/tenants", "", 404, nothingHere},
	{"the metrics", "GET", "/metrics", "", 404, nothingHere},
	{"half of the long path", "GET", "/v1/ws/tenant/acme/agent/alice", "", 404, nothingHere},
	{"the long path with more", "GET", "/v1/ws/tenant/acme/agent/alice/channel/general/x", "", 404, nothingHere},
	{"the socket without an upgrade", "GET", "/v1/ws?channel_id=general", "", 426, refusal{
		"UPGRADE_REQUIRED", `The endpoint takes WebSocket connections only: the request does not ask for an upgrade.`,
	}},
	{"POST to the socket", "POST", "/v1/ws", "{}", 405, refusal{"METHOD_NOT_ALLOWED", "The endpoint does not take POST."}},
	{"DELETE an agent", "DELETE", "/v1/agents/alice", "", 405, refusal{"METHOD_NOT_ALLOWED", "The endpoint does not take DELETE."}},
	{"PUT a message", "PUT", "/v1/channels/general/messages", "{}", 405, refusal{"METHOD_NOT_ALLOWED", "The endpoint does not take PUT."}},
	{"an agent that nobody has seen", "GET", "/v1/agents/nobody", "", 404, refusal{"NOT_FOUND", `No agent "nobody" has been seen.`}},
	{"an agent that can't be", "GET", "/v1/agents/a%20b", "", 400, badTarget},
	{"history since yesterday", "GET", "/v1/channels/general/messages?since=yesterday", "", 400, badSince},
	{"history since -1", "GET", "/v1/channels/general/messages?since=-1", "", 400, badSince},
	{"history, limit 0", "GET", "/v1/channels/general/messages?limit=0", "", 400, badLimit},
	{"history, limit many", "GET", "/v1/channels/general/messages?limit=many", "", 400, badLimit},
	{"history, limit 10^9", "GET", "/v1/channels/general/messages?limit=1000000000", "", 400, badLimit},
	{"publish nothing", "POST", "/v1/channels/general/messages", "", 400, cutOff},
	{"publish a word", "POST", "/v1/channels/general/messages", "hello", 400, notJSON},
	{"publish a list", "POST", "/v1/channels/general/messages", "[]", 400, notObject},
	{"publish a name twice", "POST", "/v1/channels/general/messages", `{"type":"message","content":1,"content":2}`, 400, notJSON},
	{"publish an ACK", "POST", "/v1/channels/general/messages", `{"type":"ACK","message_id":"x"}`, 400, reserved("ACK")},
	{"publish a subscribe", "POST", "/v1/channels/general/messages", `{"type":"subscribe","channel_id":"general"}`, 400, reserved("subscribe")},
	{"publish to another channel than the path's", "POST", "/v1/channels/general/messages", `{"type":"message","content":1,"channel_id":"other"}`, 400, refusal{"INVALID_FORMAT", "The message names another channel than the path."}},
	{"publish to an agent by a channel's path", "POST", "/v1/channels/general/messages", `{"type":"message","content":1,"target":"bob"}`, 400, refusal{"INVALID_FORMAT", "A message to a channel has no target."}},
	{"publish too much", "POST", "/v1/channels/general/messages", sized(65_537), 413, refusal{"MESSAGE_TOO_LARGE", "The message has more than 65536 bytes."}},
	{"publish far too much", "POST", "/v1/channels/general/messages", sized(5 << 20), 413, refusal{"MESSAGE_TOO_LARGE", "The message has more than 65536 bytes."}},
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	token := acme.token("alice")
	for _, c := range badRequests {
		t.Run(c.name, func(t *testing.T) {
			res := rig.Do(t, c.method, acme.URL()+c.path, token, c.body)
			checkProblem(t, res, c.status, c.want)
			if c.status == http.StatusMethodNotAllowed && res.Header.Get("Allow") == "" {
				t.Error("the answer does not say which methods there are")
			}
		})
	}
	for _, id := range badChannelIDs {
		if id == "" || id == "." || len(id) > 9000 {
			continue // no path can hold it
		}
		t.Run(fmt.Sprintf("history of %q", short(id)), func(t *testing.T) {
			res := rig.Do(t, "GET", acme.URL()+"/v1/channels/"+url.PathEscape(id)+"/messages", token, "")
			checkProblem(t, res, 400, badChannel)
		})
	}
	if got := history(t, acme, "general"); len(got) != 0 {
		t.Errorf("a refused request was stored: %s", got)
	}
}

// TestBadQueries connects with parameters that mean nothing.
func TestBadQueries(t *testing.T) {
	t.Parallel()
	acme := newTenant(t, parley.Start(t, rig.Options{}), "acme")
	token := acme.token("alice")
	for _, c := range []struct {
		query []string
		want  refusal
	}{
		{[]string{"channel_id", "general", "since", "yesterday"}, badSince},
		{[]string{"channel_id", "general", "since", "-1"}, badSince},
		{[]string{"channel_id", "general", "since", "1.5"}, badSince},
		{[]string{"since", "5"}, refusal{"INVALID_FORMAT", "since needs a channel_id."}},
		{[]string{"channel_id", "general", "echo", "maybe"}, refusal{"INVALID_FORMAT", "echo is true or false."}},
		{[]string{"channel_id", "general", "ack", "sometimes"}, refusal{"INVALID_FORMAT", "ack is explicit or none."}},
		{[]string{"channel_id", "general", "durable", "d"}, refusal{"INVALID_FORMAT", "durable needs ack=explicit."}},
		{[]string{"channel_id", "general", "ack", "explicit", "durable", "a b"}, badTarget},
		{[]string{"channel_id", "general", "ack_wait", "5"}, refusal{"INVALID_FORMAT", "ack_wait needs ack=explicit."}},
		{[]string{"channel_id", "general", "ack", "explicit", "ack_wait", "0"}, refusal{"INVALID_FORMAT", "ack_wait is a number from 1 to 3600."}},
		{[]string{"channel_id", "general", "ack", "explicit", "ack_wait", "soon"}, refusal{"INVALID_FORMAT", "ack_wait is a number from 1 to 3600."}},
		{[]string{"channel_id", "general", "ack", "explicit", "max_deliveries", "101"}, refusal{"INVALID_FORMAT", "max_deliveries is a number from 1 to 100."}},
	} {
		t.Run(strings.Join(c.query, " "), func(t *testing.T) {
			query := append([]string{"token", token}, c.query...)
			s, res := rig.TryDial(t, acme.Addr(), "/v1/ws?"+rig.Query(query...), nil)
			if s != nil {
				t.Fatal("the connection was accepted")
			}
			checkProblem(t, res, 400, c.want)
		})
	}
	for _, id := range badChannelIDs {
		if id == "" || len(id) > 9000 {
			continue // none at all, or more than a request line holds
		}
		t.Run(fmt.Sprintf("channel_id %q", short(id)), func(t *testing.T) {
			s, res := rig.TryDial(t, acme.Addr(), "/v1/ws?"+rig.Query("token", token, "channel_id", id), nil)
			if s != nil {
				t.Fatal("the connection was accepted")
			}
			checkProblem(t, res, 400, badChannel)
		})
	}
}
