package frontends

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"parley/broker"
	"parley/quota"
	"parley/tenants"
)

// limit changes limits of a tenant, as an operator does.
func (w *world) limit(t testing.TB, tenant tenants.ID, settings ...string) {
	t.Helper()
	changes, err := tenants.ParseLimits(settings)
	if err == nil {
		_, err = w.registry.Update(t.Context(), tenant, tenants.Change{Limits: changes})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// limitedDoor is a dialect as the tests of limits see it.
type limitedDoor struct {
	name   string
	before bool // refuses before the upgrade
	url    func(w *world, t *testing.T, tenant tenants.ID, user broker.Token) string
	ping   string // with %s for filling; its id is m
}

var limitedDoors = []limitedDoor{
	{"agents", true, func(w *world, t *testing.T, tenant tenants.ID, user broker.Token) string {
		return "/v1/ws?token=" + w.token(t, tenants.TokenSpec{Tenant: tenant, Agent: user})
	}, `{"id":"m","type":"ping","fill":"%s"}`},
	{"chat", true, func(w *world, t *testing.T, tenant tenants.ID, user broker.Token) string {
		return "/?token=" + w.token(t, tenants.TokenSpec{Tenant: tenant, User: user})
	}, `{"id":"m","type":"ping","fill":"%s"}`},
	{"assistant", true, func(w *world, t *testing.T, tenant tenants.ID, user broker.Token) string {
		return "/websocket/ws?access_token=" + w.token(t, tenants.TokenSpec{Tenant: tenant, User: user})
	}, `{"request_id":"m","type":"ping","fill":"%s"}`},
	{"tenantchat", false, func(w *world, t *testing.T, tenant tenants.ID, user broker.Token) string {
		_, key := w.apiKey(t, tenant, tenants.APIKeySpec{})
		q := url.Values{"api_key": {key}, "user_id": {string(user)}, "chat_id": {w.newChat(t, key, string(user))}}
		return "/ws/chat?" + q.Encode()
	}, `{"message_id":"m","type":"ping","fill":"%s"}`},
	{"bots", false, func(w *world, t *testing.T, tenant tenants.ID, user broker.Token) string {
		return "/ws?token=" + w.token(t, tenants.TokenSpec{Tenant: tenant, User: user})
	}, `{"message_id":"m","type":"ping","fill":"%s"}`},
	{"meet", false, func(w *world, t *testing.T, tenant tenants.ID, user broker.Token) string {
		return "/ws/meet?token=" + w.token(t, tenants.TokenSpec{Tenant: tenant, User: user})
	}, `{"room_id":"m","type":"ping","fill":"%s"}`},
}

// refusals returns how often limits have refused something, of a tenant and of all tenants together.
func (w *world) refusals(tenant tenants.ID, l tenants.Limit) (own, all uint64) {
	w.edge.book.Each(func(id tenants.ID, u quota.Usage) {
		if all += u.Refused[l]; id == tenant {
			own = u.Refused[l]
		}
	})
	return own, all
}

// counted checks that a limit of a tenant has refused at least once since before, and that nobody else's has.
func (w *world) counted(t *testing.T, tenant tenants.ID, l tenants.Limit, ownBefore, allBefore uint64) {
	t.Helper()
	if own, all := w.refusals(tenant, l); own <= ownBefore || all-allBefore != own-ownBefore {
		t.Errorf("%s of %s has refused %d times, was %d; that of all tenants %d, was %d", l, tenant, own, ownBefore, all, allBefore)
	}
}

// refusal reads until a frame that has the code in it, and returns it.
func (p *peer) refusal(code string) string {
	p.t.Helper()
	for {
		text, err := json.Marshal(p.next())
		if err != nil {
			p.t.Fatal(err)
		}
		if bytes.Contains(text, []byte(`"`+code+`"`)) {
			return string(text)
		}
	}
}

// TestConnectionLimits opens one connection too many at every door, in every way that connections are limited.
func TestConnectionLimits(t *testing.T) {
	w := newWorld(t)
	for _, d := range limitedDoors {
		for _, c := range []struct{ limit, second, other, message string }{
			{"connections", "bob", "", "The tenant has 1 connections open, which is the limit."},
			{"connections_per_agent", "ann", "bob", "The agent has 1 connections open, which is the limit."},
			{"connections_per_ip", "bob", "", "Your address has 1 connections open, which is the limit."},
		} {
			t.Run(d.name+"/"+c.limit, func(t *testing.T) {
				tenant := tenants.ID(d.name + "-" + c.limit)
				if _, _, err := w.registry.Create(t.Context(), tenants.Spec{ID: tenant}); err != nil {
					t.Fatal(err)
				}
				w.limit(t, tenant, c.limit+"=1")
				first := w.enter(t, d, tenant, "ann")
				second := d.url(w, t, tenant, broker.Token(c.second))
				_, refused := w.refusals(tenant, tenants.Limit(c.limit))
				w.refusedAt(t, d, second, c.message)
				w.counted(t, tenant, tenants.Limit(c.limit), 0, refused)
				if c.other != "" {
					w.enter(t, d, tenant, broker.Token(c.other))
				}
				w.enter(t, d, "evil", "ann") // whom it does not concern
				_ = first.conn.Close(websocket.StatusNormalClosure, "")
				w.awaitSeat(t, tenant, 0, c.other)
				w.enter(t, d, tenant, broker.Token(c.second))
			})
		}
	}
}

// enter opens a connection, and returns when it is known to have been let in.
func (w *world) enter(t *testing.T, d limitedDoor, tenant tenants.ID, user broker.Token) *peer {
	t.Helper()
	p := w.dial(t, d.url(w, t, tenant, user), nil)
	p.send(fmt.Sprintf(d.ping, ""))
	for {
		f := p.next()
		switch text := fmt.Sprint(f); {
		case strings.Contains(text, "pong"), strings.Contains(text, "ACK"):
			return p
		case strings.Contains(text, "LIMIT_EXCEEDED"):
			t.Fatal(text)
		}
	}
}

// awaitSeat waits until a tenant has n connections, and one more when somebody else has come.
func (w *world) awaitSeat(t *testing.T, tenant tenants.ID, n int, other string) {
	t.Helper()
	if other != "" {
		n++
	}
	for open := -1; open != n; {
		w.edge.book.Each(func(id tenants.ID, u quota.Usage) {
			if id == tenant {
				open = u.Connections
			}
		})
		select {
		case <-time.After(time.Millisecond):
		case <-t.Context().Done():
			t.Fatal("the connection is still counted")
		}
	}
}

// refusedAt dials where one connection too many gets the dialect's own answer.
func (w *world) refusedAt(t *testing.T, d limitedDoor, path, message string) {
	t.Helper()
	conn, resp, err := websocket.Dial(t.Context(), "ws://"+w.url+path, nil)
	if !d.before {
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.CloseNow() }()
		p := &peer{t, conn}
		if text := p.refusal("LIMIT_EXCEEDED"); !strings.Contains(text, `"`+message+`"`) {
			t.Errorf("refused with %s", text)
		}
		if end := p.closed(); end.Code != websocket.StatusPolicyViolation {
			t.Errorf("closed with %v", end)
		}
		return
	}
	if err == nil {
		_ = conn.CloseNow()
		t.Fatal("let in")
	}
	var f frame
	if jsonErr := json.NewDecoder(resp.Body).Decode(&f); jsonErr != nil || resp.StatusCode != 429 || resp.Header.Get("Retry-After") != "1" ||
		f["code"] != "LIMIT_EXCEEDED" || f["message"] != message || f["fix"] == nil {
		t.Errorf("refused with %d, %v, %v", resp.StatusCode, resp.Header, f)
	}
}

// TestMessageLimits sets every limit on what is sent while the connection is open.
func TestMessageLimits(t *testing.T) {
	w := newWorld(t)
	for _, d := range limitedDoors {
		for _, c := range []struct {
			limit, fill   string
			code, message string
		}{
			{"messages_per_second=1", "", "RATE_LIMITED", "A connection may send 1 messages a second."},
			{"tenant_messages_per_second=1", "", "RATE_LIMITED", "The tenant may send 1 messages a second."},
			{"bytes_per_second=10", "", "RATE_LIMITED", "The tenant may send 10 bytes a second."},
			{"message_bytes=64", strings.Repeat("x", 100), "MESSAGE_TOO_LARGE", " bytes; 64 are allowed."},
		} {
			t.Run(d.name+"/"+c.limit, func(t *testing.T) {
				p := w.dial(t, d.url(w, t, "acme", "ann"), nil)
				p.send(fmt.Sprintf(d.ping, c.fill))
				name := strings.Split(c.limit, "=")[0]
				own, all := w.refusals("acme", tenants.Limit(name))
				w.limit(t, "acme", c.limit)
				defer w.limit(t, "acme", name+"=default")
				for range 8 { // in meet, five seconds' worth may come at once
					p.send(fmt.Sprintf(d.ping, c.fill))
				}
				text := p.refusal(c.code)
				if !strings.Contains(text, `"m"`) {
					t.Errorf("the refusal does not name its message: %s", text)
				}
				if d.name != "chat" && d.name != "assistant" && !strings.Contains(text, c.message) { // whose documents have texts of their own
					t.Errorf("refused with %s", text)
				}
				w.counted(t, "acme", tenants.Limit(name), own, all)
				w.limit(t, "acme", name+"=0")
				p.send(fmt.Sprintf(d.ping, "")) // the connection goes on
			})
		}
	}
	d := limitedDoors[0]
	w.limit(t, "acme", "messages_per_second=5")
	p := w.dial(t, d.url(w, t, "acme", "ann"), nil)
	for range 1000 {
		if p.conn.Write(t.Context(), websocket.MessageText, fmt.Appendf(nil, d.ping, "")) != nil {
			break
		}
	}
	if end := p.closed(); end.Code != websocket.StatusPolicyViolation {
		t.Errorf("a flood of agents' messages ended with %v", end)
	}
}

func TestRequestLimits(t *testing.T) {
	w := newWorld(t)
	token := w.token(t, tenants.TokenSpec{Tenant: "acme", Agent: "ann"})
	_, key := w.apiKey(t, "acme", tenants.APIKeySpec{})
	for _, r := range []struct{ method, path, header, credential, body string }{
		{"POST", "/v1/channels/news/messages", "Authorization", "Bearer " + token, `{"content":"1"}`},
		{"GET", "/v1/agents", "Authorization", "Bearer " + token, ""},
		{"POST", "/api/v1/chats/", "X-API-Key", key, `{"user_id":"ann"}`},
		{"POST", "/api/sessions", "X-API-Key", key, `{"user_id":"ann"}`},
		{"POST", "/api/meet/rooms", "X-API-Key", key, `{"room_id":"one"}`},
	} {
		own, all := w.refusals("acme", tenants.TenantMessagesPerSecond)
		w.limit(t, "acme", "tenant_messages_per_second=1")
		if status, f := w.do(t, r.method, r.path, r.body, r.header, r.credential); status != 429 && status >= 300 {
			t.Errorf("%s %s: %d %v", r.method, r.path, status, f)
		}
		status, f := w.do(t, r.method, r.path, r.body, r.header, r.credential)
		if text := fmt.Sprint(f); status != 429 || !strings.Contains(text, "RATE_LIMITED") || !strings.Contains(text, "The tenant may send 1 messages a second.") {
			t.Errorf("%s %s: %d %v", r.method, r.path, status, f)
		}
		w.counted(t, "acme", tenants.TenantMessagesPerSecond, own, all)
		w.limit(t, "acme", "tenant_messages_per_second=0", "message_bytes=4")
		if r.body == "" {
			continue
		}
		own, all = w.refusals("acme", tenants.MessageBytes)
		if status, f := w.do(t, r.method, r.path, r.body, r.header, r.credential); status != 413 || !strings.Contains(fmt.Sprint(f), "MESSAGE_TOO_LARGE") {
			t.Errorf("%s %s, too long: %d %v", r.method, r.path, status, f)
		}
		w.counted(t, "acme", tenants.MessageBytes, own, all)
		w.limit(t, "acme", "message_bytes=default")
	}
}

func TestSubscriptionLimit(t *testing.T) {
	w := newWorld(t)
	w.limit(t, "acme", "subscriptions=2")
	p := w.agent(t, "acme", "ann", "&channel_id=a")
	p.send(`{"id":"s1","type":"subscribe","channel_id":"b"}`)
	p.expect("ACK:s1")
	p.send(`{"id":"s2","type":"subscribe","channel_id":"c"}`)
	if f := p.expect("ERROR:s2")["ERROR:s2"]; f["code"] != "LIMIT_EXCEEDED" || f["error"] != "A connection has at most 2 subscriptions." {
		t.Errorf("%v", f)
	}
	p.send(`{"id":"s3","type":"unsubscribe","channel_id":"b"}`)
	p.expect("ACK:s3")
	w.limit(t, "acme", "subscriptions=0")
	for _, c := range []string{"b", "c", "d"} {
		p.send(`{"id":"` + c + `","type":"subscribe","channel_id":"` + c + `"}`)
		p.expect("ACK:" + c)
	}
	w.limit(t, "acme", "subscriptions=1")
	b := w.bots(t, "acme", "bob")
	for range 2 {
		b.send(`{"type":"subscribe"}`)
	}
	b.kind("session_created")
	b.kind("session_created")
	if f := b.errorCode("SUBSCRIPTION_FAILED"); !strings.Contains(fmt.Sprint(f), "follows at most 1 sessions") {
		t.Errorf("%v", f)
	}
}

// TestParallelDials has a thousand clients dial where fifty may be, twice as many as that at any moment: with all at once,
// a slow machine does not come to send the requests within the time that the edge waits for them. Somebody was there before
// them: who is the first to use a tenant may be told to come again (503) when the machine has too much else to do.
func TestParallelDials(t *testing.T) {
	const clients, limit = 1000, 50
	w := newWorld(t)
	_ = w.enter(t, limitedDoors[0], "acme", "ann").conn.Close(websocket.StatusNormalClosure, "")
	w.awaitSeat(t, "acme", 0, "")
	w.limit(t, "acme", fmt.Sprint("connections=", limit))
	path := limitedDoors[0].url(w, t, "acme", "ann")
	var in, refused atomic.Int64
	var all sync.WaitGroup
	dialing := make(chan struct{}, 2*limit)
	for range clients {
		dialing <- struct{}{}
		all.Go(func() {
			defer func() { <-dialing }()
			conn, resp, err := websocket.Dial(t.Context(), "ws://"+w.url+path, nil)
			switch {
			case err == nil:
				in.Add(1)
				t.Cleanup(func() { _ = conn.CloseNow() })
			case resp != nil && resp.StatusCode == http.StatusTooManyRequests:
				refused.Add(1)
			default:
				t.Errorf("neither in nor refused: %v", err)
			}
		})
	}
	all.Wait()
	if in.Load() != limit || refused.Load() != clients-limit || w.edge.Connections() != limit {
		t.Errorf("%d are in, %d were refused, %d are open", in.Load(), refused.Load(), w.edge.Connections())
	}
}

// TestLoweredConnections closes the newest when the limit is lowered below what is open.
func TestLoweredConnections(t *testing.T) {
	w := newWorld(t)
	var all []*peer
	for range 4 {
		all = append(all, w.enter(t, limitedDoors[0], "acme", "ann"))
	}
	w.limit(t, "acme", "connections=2")
	for i, p := range all {
		if i >= 2 {
			if end := p.closed(); end.Code != websocket.StatusPolicyViolation {
				t.Errorf("the newest end with %v", end)
			}
			continue
		}
		p.send(`{"id":"m","type":"ping"}`)
		p.expect("ACK:m")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, resp, err := websocket.Dial(ctx, "ws://"+w.url+limitedDoors[0].url(w, t, "acme", "bob"), nil); err == nil || resp.StatusCode != 429 {
		t.Errorf("one more is let in: %v", err)
	}
}

// TestStrangersWait bounds how many clients of one address wait before they say who they are.
func TestStrangersWait(t *testing.T) {
	w := newWorld(t)
	for range 100 {
		w.dial(t, "/ws", nil)
	}
	w.awaitSeat(t, "", 100, "")
	if f := w.dial(t, "/ws", nil).errorCode("LIMIT_EXCEEDED"); !strings.Contains(fmt.Sprint(f), "Your address has 100 connections open") {
		t.Errorf("%v", f)
	}
	w.bots(t, "acme", "ann").alive() // who says so at once is no stranger
}

// guard has services kept to their limits.
func (w *world) guard(t testing.TB) {
	t.Helper()
	guard, err := quota.NewGuard(w.edge.book, w.Engine, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	w.Run(guard.Run)
}

// TestServiceRates has a service flood its tenant with NATS. It is cut off, and does not come back before it may; others
// notice nothing.
func TestServiceRates(t *testing.T) {
	w := newWorld(t)
	w.guard(t)
	may := broker.CredsRequest{Name: "shop", Publish: []string{"channel.>"}, Subscribe: []string{"channel.>"}}
	quiet, foreign := w.service(t, "acme", may), w.service(t, "evil", may)
	worker := w.service(t, "acme", broker.CredsRequest{Name: "ai", Queue: "ai"}, nats.CustomInboxPrefix("_INBOX.ai"))
	lost, back := make(chan struct{}, 1000), make(chan struct{}, 1000)
	_, creds, err := w.registry.IssueCreds(t.Context(), "acme", "", may)
	if err != nil {
		t.Fatal(err)
	}
	noisy, err := nats.Connect(w.ServicesURL(), nats.UserCredentialBytes(creds), nats.MaxReconnects(-1), nats.ReconnectWait(5*time.Millisecond), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}),
		nats.IgnoreAuthErrorAbort(),
		nats.DisconnectErrHandler(func(*nats.Conn, error) { lost <- struct{}{} }), nats.ReconnectHandler(func(*nats.Conn) { back <- struct{}{} }))
	if err != nil {
		t.Fatal(err)
	}
	defer noisy.Close()
	for _, nc := range []*nats.Conn{quiet, foreign, worker} {
		nc.SetDisconnectErrHandler(func(*nats.Conn, error) { t.Errorf("another service was cut off") })
	}

	own, all := w.refusals("acme", tenants.TenantMessagesPerSecond)
	w.limit(t, "acme", "tenant_messages_per_second=100")
	flood := func() bool { // until it is cut off
		for n := 0; ; {
			select {
			case <-lost:
				return true
			case <-t.Context().Done():
				return false
			case <-time.After(time.Millisecond):
			}
			for range 20 {
				_ = noisy.Publish("channel.noise", nil)
				_ = foreign.Publish("channel.noise", nil)
				_ = worker.Publish("session.s.run", nil)
			}
			if n++; n%100 == 0 { // ten a second
				_ = quiet.Publish("channel.quiet", nil)
			}
			for _, nc := range []*nats.Conn{noisy, foreign, worker, quiet} {
				_ = nc.Flush()
			}
		}
	}
	if !flood() {
		t.Fatal("nobody was cut off")
	}
	w.counted(t, "acme", tenants.TenantMessagesPerSecond, own, all)
	<-back // the server has let it in, and the guard has it leave again
	<-lost
	for barred := false; !barred; { // it does not wait before it comes again, so that the server refuses it
		again, err := nats.Connect(w.ServicesURL(), nats.UserCredentialBytes(creds), nats.NoReconnect())
		if barred = err != nil && strings.Contains(strings.ToLower(err.Error()), "authorization"); err == nil {
			again.Close()
		}
		if t.Context().Err() != nil {
			t.Fatal("it may come again and again")
		}
	}
	w.limit(t, "acme", "tenant_messages_per_second=default")
	for stays := false; !stays; {
		select {
		case <-lost:
		case <-t.Context().Done():
			t.Fatal("it stays out although there is no limit any more")
		case <-time.After(200 * time.Millisecond):
			stays = noisy.Publish("channel.noise", nil) == nil && noisy.Flush() == nil
		}
	}
	for _, nc := range []*nats.Conn{quiet, foreign, worker} {
		nc.SetDisconnectErrHandler(nil)
	}
}

func TestChannelLimit(t *testing.T) {
	w := newWorld(t)
	w.limit(t, "acme", "channels=2")
	p := w.agent(t, "acme", "ann", "")
	publish := func(id, channel string) { // to an agent that hears none of it
		p.send(`{"id":"` + id + `","type":"message","content":1,"channel_id":"` + channel + `"}`)
	}
	for _, id := range []string{"a", "b"} {
		publish(id, id)
		p.expect("ACK:" + id)
	}
	publish("m", "c")
	if f := p.expect("ERROR:m")["ERROR:m"]; f["code"] != "LIMIT_EXCEEDED" || f["error"] != "The tenant has 2 channels, which is the limit." {
		t.Errorf("%v", f)
	}
	publish("a2", "a") // one that is there goes on
	p.expect("ACK:a2")
	p.send(`{"id":"d","type":"message","content":1,"target":"bob"}`) // an inbox is no channel
	p.expect("ACK:d")
	w.limit(t, "acme", "channels=3")
	publish("c", "c")
	p.expect("ACK:c")
	status, f := w.do(t, "POST", "/v1/channels/d/messages", `{"content":1}`, "Authorization", "Bearer "+w.token(t, tenants.TokenSpec{Tenant: "acme", Agent: "ann"}))
	if status != 429 || f["code"] != "LIMIT_EXCEEDED" {
		t.Errorf("%d %v", status, f)
	}
}

// TestStorageLimit fills a tenant's storage to the brim: at every door what would have to be stored is refused in the door's own
// form, another tenant notices nothing, and more room heals it all.
func TestStorageLimit(t *testing.T) {
	w := newWorld(t)
	_, key := w.apiKey(t, "acme", tenants.APIKeySpec{})
	token := w.token(t, tenants.TokenSpec{Tenant: "acme", Agent: "ann"})
	p, eve := w.agent(t, "acme", "ann", ""), w.agent(t, "evil", "eve", "")
	chat := w.chat(t, "carl", "")
	assistant := w.dial(t, "/websocket/ws?access_token="+w.token(t, tenants.TokenSpec{Tenant: "acme", User: "ada"}), nil)
	embedded := w.meet(t, key, "tim", w.newChat(t, key, "tim"))
	bots := w.bots(t, "acme", "bob")
	meeting := w.meeting(t, "acme", "mia")
	meeting.joins("here", "Mia")
	service, err := jetstream.New(w.service(t, "acme", broker.CredsRequest{Name: "shop", Publish: []string{"channel.>"}, Subscribe: []string{"_INBOX.>"}}))
	if err != nil {
		t.Fatal(err)
	}
	say := func(p *peer, id string, content string) frame {
		p.send(`{"id":"` + id + `","type":"message","content":"` + content + `","channel_id":"full"}`)
		return p.next()
	}
	say(p, "first", "x")
	w.limit(t, "acme", "storage_bytes=512KiB")
	for _, size := range []int{50 << 10, 5 << 10, 500, 1} {
		for n := 0; ; n++ {
			id := fmt.Sprint(size, "-", n)
			f := say(p, id, strings.Repeat("x", size))
			if f["type"] == "ACK" && n < 500 {
				continue
			}
			if f["code"] != "STORAGE_FULL" || f["message_id"] != id {
				t.Errorf("message %s: %v", id, f)
			}
			break
		}
	}
	w.counted(t, "acme", tenants.StorageBytes, 3, 3)

	tries := []struct {
		door string
		ask  *peer // whose message an AI worker answers
		text string
		do   func() string
	}{
		{"agents", nil, "", func() string { return fmt.Sprint(say(p, "again", "x")) }},
		{"chat", chat, `{"type":"chat","id":"m","content":"Hello"}`, nil},
		{"assistant", assistant, `{"type":"conversation_with_aileen","message":"Hello","conversation_id":"c","request_id":"m"}`, nil},
		{"tenantchat", embedded, `{"type":"message","message_id":"m","content":"Hello"}`, nil},
		{"bots", nil, "", func() string { return bots.asked(`{"type":"subscribe","message_id":"m"}`) }},
		{"meet", nil, "", func() string { return meeting.asked(`{"type":"join","room_id":"there","participant_name":"Mia"}`) }},
		{"POST messages", nil, "", func() string {
			return w.posted(t, "/v1/channels/full/messages", `{"content":1}`, "Authorization", "Bearer "+token)
		}},
		{"POST chats", nil, "", func() string { return w.posted(t, "/api/v1/chats/", `{"user_id":"new"}`, "X-API-Key", key) }},
		{"POST sessions", nil, "", func() string { return w.posted(t, "/api/sessions", `{"user_id":"new"}`, "X-API-Key", key) }},
		{"POST rooms", nil, "", func() string { return w.posted(t, "/api/meet/rooms", `{"room_id":"new"}`, "X-API-Key", key) }},
		{"NATS", nil, "", func() string {
			_, err := service.Publish(t.Context(), "channel.full", bytes.Repeat([]byte("x"), 400))
			return fmt.Sprint(err)
		}},
	}
	for _, c := range tries {
		var text string
		if c.ask != nil {
			text = c.ask.asked(c.text)
		} else {
			text = c.do()
		}
		if !strings.Contains(text, "STORAGE_FULL") && !strings.Contains(text, "resource limits exceeded for account") {
			t.Errorf("%s: %s", c.door, text)
		}
		if strings.HasPrefix(c.door, "POST") && !strings.HasPrefix(text, "507") {
			t.Errorf("%s: %s", c.door, text)
		}
	}
	if f := say(eve, "other", "x"); f["type"] != "ACK" {
		t.Errorf("another tenant: %v", f)
	}
	w.limit(t, "acme", "storage_bytes=default")
	ai := w.worker(t, "acme", "ai")
	for _, c := range tries {
		var text string
		if c.ask != nil {
			c.ask.send(c.text)
			ai.take().end()
			text = fmt.Sprint(c.ask.next())
		} else {
			text = c.do()
		}
		if strings.Contains(text, "STORAGE_FULL") || strings.Contains(text, "exceeded") {
			t.Errorf("%s, with room: %s", c.door, text)
		}
	}
}

// asked sends a frame and returns the one that comes back.
func (p *peer) asked(text string) string {
	p.t.Helper()
	p.send(text)
	return fmt.Sprint(p.next())
}

// posted makes a request and returns its status and its answer.
func (w *world) posted(t *testing.T, path, body string, headers ...string) string {
	t.Helper()
	status, f := w.do(t, "POST", path, body, headers...)
	return fmt.Sprint(status, f)
}

// TestRunsLimit has a worker answer one message while another user asks.
func TestRunsLimit(t *testing.T) {
	w := newWorld(t)
	w.limit(t, "acme", "runs=1")
	ann, bob := w.chat(t, "ann", ""), w.chat(t, "bob", "")
	ann.send(`{"type":"chat","id":"m1","content":"Hello"}`)
	worker := w.worker(t, "acme", "ai")
	job := worker.take()
	bob.send(`{"type":"chat","id":"m2","content":"Hello"}`)
	if text := bob.refusal("LIMIT_EXCEEDED"); !strings.Contains(text, `"m2"`) {
		t.Errorf("refused with %s", text)
	}
	job.chunks("Hi").end()
	ann.stream()
	for open := 1; open != 0; { // counted until the writer has seen the end
		w.edge.book.Each(func(id tenants.ID, u quota.Usage) {
			if id == "acme" {
				open = u.Runs
			}
		})
	}
	bob.send(`{"type":"chat","id":"m3","content":"Hello"}`)
	worker.take().end()
	bob.stream()
}

// TestTokensLimit slows an answer down to what the tenant may have, and loses nothing of it.
func TestTokensLimit(t *testing.T) {
	w := newWorld(t)
	w.limit(t, "acme", "tokens_per_second=20")
	ann := w.chat(t, "ann", "")
	ann.send(`{"type":"chat","id":"m1","content":"Hello"}`)
	job := w.worker(t, "acme", "ai").take()
	began, want := time.Now(), ""
	for i := range 30 { // a second's worth at once, the rest in half a second
		piece := fmt.Sprint(i, " ")
		want += piece
		job.chunks(piece)
	}
	if took := time.Since(began); took < 400*time.Millisecond {
		t.Errorf("30 tokens at 20 a second took %s", took)
	}
	job.end()
	if text, _ := ann.stream(); text != want {
		t.Errorf("the answer is %q", text)
	}
}

// TestMeetLimits has every door to a meeting refuse one room, and one participant, too many: sockets, HTTP and services.
func TestMeetLimits(t *testing.T) {
	w := newWorld(t)
	ann, bob, eve := w.meeting(t, "acme", "ann"), w.meeting(t, "acme", "bob"), w.meeting(t, "evil", "eve")
	self := ann.joins("one", "Ann").text("participant_id")
	own, all := w.refusals("acme", tenants.Rooms)
	w.limit(t, "acme", "rooms=1", "participants=2")

	refused := func(p *peer, room, message string) {
		t.Helper()
		p.send(`{"type":"join","room_id":"` + room + `","participant_name":"x"}`)
		if f := p.errorCode("LIMIT_EXCEEDED"); f["room_id"] != room || !strings.Contains(fmt.Sprint(f), message) {
			t.Errorf("%v", f)
		}
	}
	refused(bob, "two", "The tenant has its 1 rooms already.")
	w.counted(t, "acme", tenants.Rooms, own, all)
	_, key := w.apiKey(t, "acme", tenants.APIKeySpec{})
	if status, f := w.do(t, "POST", "/api/meet/rooms", `{"room_id":"two"}`, "X-API-Key", key); status != 429 || !strings.Contains(fmt.Sprint(f), "LIMIT_EXCEEDED") {
		t.Errorf("%d %v", status, f)
	}
	desk := w.service(t, "acme", broker.CredsRequest{Name: "desk", Publish: []string{"meet.*.do.*"}, Subscribe: []string{"_INBOX.>"}})
	answer, err := desk.RequestWithContext(t.Context(), "meet.one.do.move", []byte(`{"participant_id":"`+self+`","to":"two"}`))
	if err != nil || !strings.Contains(string(answer.Data), "LIMIT_EXCEEDED") {
		t.Errorf("a service moves somebody into a room too many: %v, %v", answer, err)
	}
	if n, _ := w.refusals("acme", tenants.Rooms); n != own+3 {
		t.Errorf("%d refusals are counted", n-own)
	}

	bob.joins("one", "Bob")
	own, all = w.refusals("acme", tenants.Participants)
	third := w.meeting(t, "acme", "cleo")
	refused(third, "one", "The tenant's rooms have 2 participants at most.")
	w.counted(t, "acme", tenants.Participants, own, all)
	if status, f := w.do(t, "POST", "/api/meet/rooms", `{"room_id":"one","max_participants":3}`, "X-API-Key", key); status != 429 && status != 409 {
		t.Errorf("%d %v", status, f)
	}
	eve.joins("one", "Eve") // whom it does not concern
	eve.joins("two", "Eve")

	w.limit(t, "acme", "rooms=default", "participants=3")
	third.joins("one", "Cleo")
	bob.kind("participant_joined")
	bob.joins("two", "Bob")
	refused(w.meeting(t, "acme", "dan"), "one", "The tenant's rooms have 3 participants at most.")
}
