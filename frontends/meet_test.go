package frontends

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"parley/broker"
	"parley/rooms"
	"parley/tenants"
)

func (w *world) account(t *testing.T, id tenants.ID) broker.AccountID {
	t.Helper()
	tenant, err := w.registry.Get(id)
	if err != nil {
		t.Fatal(err)
	}
	return tenant.Account
}

func (w *world) meeting(t *testing.T, tenant tenants.ID, user broker.Token) *peer {
	t.Helper()
	return w.dial(t, "/ws/meet?token="+w.token(t, tenants.TokenSpec{Tenant: tenant, User: user}), nil)
}

// joins puts the peer into a room and returns what it is told of it.
func (p *peer) joins(room, name string) frame {
	p.t.Helper()
	p.send(fmt.Sprintf(`{"type":"join","room_id":%q,"participant_name":%q}`, room, name))
	return p.kind("joined")
}

func (f frame) text(name string) string {
	s, _ := f[name].(string)
	return s
}

// person returns the participant that a frame is about.
func (f frame) person() frame {
	p, _ := f["participant"].(map[string]any)
	return p
}

func TestMeeting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ann := w.meeting(t, "acme", "ann")
	first := ann.joins("standup", "Ann")
	if len(first["participants"].([]any)) != 0 || first["ice_servers"] == nil || first.text("room_id") != "standup" || first.text("resume_token") == "" {
		t.Fatalf("%v", first)
	}
	bob := w.dial(t, "/ws/meet", nil) // says who it is on the open connection
	bob.send(`{"type":"auth","token":"` + w.token(t, tenants.TokenSpec{Tenant: "acme", User: "bob"}) + `"}`)
	const name = `<img src=x onerror="alert(1)">`
	second := bob.joins("standup", name)
	others := second["participants"].([]any)
	if o := frame(others[0].(map[string]any)); len(others) != 1 || o.text("participant_id") != first.text("participant_id") ||
		o.text("participant_name") != "Ann" || o["polite"] != true || o.text("joined_at") == "" {
		t.Fatalf("%v", second)
	}
	came := ann.kind("participant_joined")
	if p := came.person(); p.text("participant_name") != name || p["polite"] != false || came.text("room_id") != "standup" {
		t.Errorf("%v", came)
	}
	// The signal passes as it is; who sends it is the server's to say. The other form of every frame will do.
	const offer = `{"sdp":"v=0\r\n","n":1.0e2,"nested":[{"a":null}]}`
	bob.send(`{"type":"signal","payload":{"room_id":"standup","target_id":"` + first.text("participant_id") + `","sender_id":"spoofed","polite":false,"signal":` + offer + `}}`)
	_, raw, err := ann.conn.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf(`{"type":"signal","room_id":"standup","sender_id":%q,"polite":false,"seq":1,"signal":%s}`, second.text("participant_id"), offer); string(raw) != want {
		t.Errorf("got  %s\nwant %s", raw, want)
	}
	ann.send(`{"type":"signal","room_id":"standup","target_id":"` + second.text("participant_id") + `","signal":"back"}`)
	if f := bob.kind("signal"); f["polite"] != true || f["sender_id"] != first["participant_id"] || f["signal"] != "back" {
		t.Errorf("%v", f)
	}
	bob.send(`{"type":"leave","room_id":"standup"}`)
	if f := bob.kind("participant_left"); f.person().text("participant_id") != second.text("participant_id") || f["reason"] != "left" {
		t.Errorf("%v", f)
	}
	ann.kind("participant_left")
	// Back with the token of somebody who has left, and after that as somebody new.
	bob.send(`{"type":"join","room_id":"standup","participant_id":"` + second.text("participant_id") + `","resume_token":"` + second.text("resume_token") + `"}`)
	bob.errorCode("PARTICIPANT_NOT_FOUND")
	if third := bob.joins("standup", "Bob"); third["participant_id"] == second["participant_id"] {
		t.Error("a participant has come back who had left")
	}
	ann.kind("participant_joined")
	ann.alive()
	bob.alive()
}

// TestMeetingBadInput sends everything wrong that a client can, on one connection, which lives through it.
func TestMeetingBadInput(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.meeting(t, "acme", "otto")
	stranger := other.joins("elsewhere", "Otto").text("participant_id")
	ann := w.meeting(t, "acme", "ann")
	own := ann.joins("r", "Ann").text("participant_id")
	bob := w.meeting(t, "acme", "bob")
	peer := bob.joins("r", "Bob").text("participant_id")
	ann.kind("participant_joined")
	signal := func(room, target, rest string) string {
		return fmt.Sprintf(`{"type":"signal","room_id":%q,"target_id":%q%s}`, room, target, rest)
	}
	for _, tt := range []struct{ name, text, code, message string }{
		{"no JSON", `nonsense`, "INVALID_FORMAT", "The frame is not valid JSON."},
		{"cut off", `{"type":"join"`, "INVALID_FORMAT", "The frame ends in the middle of its JSON."},
		{"a list", `[]`, "INVALID_FORMAT", "A frame is a JSON object."},
		{"a name twice", `{"type":"ping","type":"ping"}`, "INVALID_FORMAT", "The frame is not valid JSON."},
		{"no type", `{"room_id":"r"}`, "INVALID_FORMAT", "The frame has no type."},
		{"an unknown type", `{"type":"mute","room_id":"r"}`, "INVALID_FORMAT", `There is no message type "mute".`},
		{"a type of the server's", `{"type":"joined","room_id":"r"}`, "INVALID_FORMAT", `There is no message type "joined".`},
		{"a room that is a number", `{"type":"join","room_id":7,"participant_name":"x"}`, "INVALID_FORMAT", `"room_id" is not a string.`},
		{"a payload that is no object", `{"type":"join","payload":"x"}`, "INVALID_FORMAT", "The payload is not an object."},
		{"join nowhere", `{"type":"join","participant_name":"x"}`, "INVALID_FORMAT", "The frame has no room_id."},
		{"join without a name", `{"type":"join","room_id":"q"}`, "INVALID_FORMAT", "The frame has no participant_name."},
		{
			"join with a name of 10 KB", `{"type":"join","room_id":"q","participant_name":"` + strings.Repeat("n", 10<<10) + `"}`, "INVALID_FORMAT",
			"A participant_name is at most 128 bytes of text without control characters.",
		},
		{
			"join with a name of two lines", `{"type":"join","room_id":"q","participant_name":"a\nb"}`, "INVALID_FORMAT",
			"A participant_name is at most 128 bytes of text without control characters.",
		},
		{"join twice", `{"type":"join","room_id":"r","participant_name":"Ann"}`, "ALREADY_EXISTS", `The connection is in room "r" already.`},
		{"join all rooms", `{"type":"join","room_id":"*","participant_name":"x"}`, "PERMISSION_DENIED", `The token is not for room "*".`},
		{
			"join a subject", `{"type":"join","room_id":"a.b","participant_name":"x"}`, "INVALID_FORMAT",
			"An id is 1 to 64 characters of A-Z a-z 0-9 _ and -.",
		},
		{
			"resume without proof", `{"type":"join","room_id":"q","participant_id":"` + peer + `"}`, "INVALID_FORMAT",
			"A participant_id needs its resume_token, and the other way round.",
		},
		{
			"resume with a wrong proof", `{"type":"join","room_id":"q","participant_id":"` + peer + `","resume_token":"x"}`, "PERMISSION_DENIED",
			"The resume_token is not that of the participant.",
		},
		{
			"resume with a wrong number", `{"type":"join","room_id":"q","participant_id":"x","resume_token":"x","last_seq":-1}`, "INVALID_FORMAT",
			`"last_seq" is not a number of a signal.`,
		},
		{"signal to nobody", `{"type":"signal","room_id":"r","signal":{}}`, "INVALID_FORMAT", "The frame has no target_id."},
		{"signal without anything", signal("r", peer, ""), "INVALID_FORMAT", "The frame has no signal."},
		{"signal null", signal("r", peer, `,"signal":null`), "INVALID_FORMAT", "The frame has no signal."},
		{"signal to oneself", signal("r", own, `,"signal":1`), "INVALID_FORMAT", "The target of a signal is its sender."},
		{"signal to somebody unknown", signal("r", "nobody", `,"signal":1`), "PARTICIPANT_NOT_FOUND", `There is no participant "nobody" in the room.`},
		{
			"signal to another room's participant", signal("r", stranger, `,"signal":1`), "PARTICIPANT_NOT_FOUND",
			`There is no participant "` + stranger + `" in the room.`,
		},
		{"signal in another room", signal("elsewhere", stranger, `,"signal":1`), "NOT_IN_ROOM", `The connection is not in room "elsewhere".`},
		{"signal in no room", signal("nowhere", peer, `,"signal":1`), "NOT_IN_ROOM", `The connection is not in room "nowhere".`},
		{"leave another room", `{"type":"leave","room_id":"elsewhere"}`, "NOT_IN_ROOM", `The connection is not in room "elsewhere".`},
		{"64 KiB and more", signal("r", peer, `,"signal":"`+strings.Repeat("x", 64<<10)+`"`), "MESSAGE_TOO_LARGE", ""},
	} {
		ann.send(tt.text)
		f := ann.errorCode(tt.code)
		if tt.message != "" && f["message"] != tt.message {
			t.Errorf("%s: %v, want %s", tt.name, f["message"], tt.message)
		}
		ann.alive()
	}
	if err := ann.conn.Write(t.Context(), websocket.MessageBinary, []byte(`{"type":"ping"}`)); err != nil {
		t.Fatal(err)
	}
	ann.errorCode("INVALID_FORMAT")
	ann.send(`{"type":"leave","room_id":"r"}`)
	ann.kind("participant_left")
	ann.send(`{"type":"leave","room_id":"r"}`)
	if f := ann.errorCode("NOT_IN_ROOM"); f["room_id"] != "r" {
		t.Errorf("%v", f)
	}
	ann.send(signal("r", peer, `,"signal":1`))
	if f := ann.errorCode("NOT_IN_ROOM"); f["target_id"] != peer {
		t.Errorf("%v", f)
	}
	bob.kind("participant_left")
	bob.alive()
	other.alive()
}

// TestMeetingDoor has all those at the door who may not come in, or not everywhere.
func TestMeetingDoor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	login := w.token(t, tenants.TokenSpec{Tenant: "acme", User: "ann", Login: true})
	for _, path := range []string{"/ws/meet?token=nonsense", "/ws/meet?token=" + login} {
		w.dial(t, path, nil).turnedAway()
	}
	mute := w.dial(t, "/ws/meet", nil)
	mute.send(`{"type":"join","room_id":"r","participant_name":"x"}`)
	mute.turnedAway()

	narrow := w.dial(t, "/ws/meet?token="+w.token(t, tenants.TokenSpec{Tenant: "acme", User: "ann", Rooms: []string{"a"}}), nil)
	narrow.send(`{"type":"join","room_id":"b","participant_name":"x"}`)
	narrow.errorCode("PERMISSION_DENIED")
	narrow.joins("a", "Ann")
	narrow.send(`{"type":"auth","token":"` + w.token(t, tenants.TokenSpec{Tenant: "evil", User: "ann"}) + `"}`)
	narrow.errorCode("AUTH_FAILED")
	narrow.send(`{"type":"auth","token":"` + w.token(t, tenants.TokenSpec{Tenant: "acme", User: "ann", Rooms: []string{"b"}}) + `"}`)
	if f := narrow.kind("participant_left"); f["room_id"] != "a" {
		t.Errorf("%v", f)
	}
	narrow.joins("b", "Ann")

	// The same room of another tenant is another room.
	evil := w.meeting(t, "evil", "ann")
	if f := evil.joins("a", "Eve"); len(f["participants"].([]any)) != 0 {
		t.Errorf("%v", f)
	}
	narrow.alive()
}

// TestMeetingOverREST makes a room and lets a guest in.
func TestMeetingOverREST(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	user := w.token(t, tenants.TokenSpec{Tenant: "acme", User: "ann"})
	_, key, err := w.registry.CreateAPIKey(t.Context(), "acme", tenants.APIKeySpec{})
	if err != nil {
		t.Fatal(err)
	}
	_, chatKey, err := w.registry.CreateAPIKey(t.Context(), "acme", tenants.APIKeySpec{Scopes: []tenants.Scope{tenants.ReadChats}})
	if err != nil {
		t.Fatal(err)
	}
	do := func(method, path, token, body string) (int, frame) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+w.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := w.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var f frame
		if err := json.NewDecoder(resp.Body).Decode(&f); err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
		return resp.StatusCode, f
	}
	status, made := do("POST", "/api/meet/rooms", user, `{"name":"Stand-up","max_participants":2}`)
	room, guest := made.text("room_id"), made.text("token")
	if status != 201 || made["max_participants"] != 2.0 || made["join_url"] != "http://"+w.url+"/meet#room="+room+"&token="+guest {
		t.Fatalf("%d %v", status, made)
	}
	people := "/api/meet/rooms/" + room + "/participants"
	for _, tt := range []struct {
		method, path, token, body string
		status                    int
		code                      string
	}{
		{"POST", "/api/meet/rooms", key, `{"room_id":"` + room + `","name":"Stand-up"}`, 200, ""},
		{"POST", "/api/meet/rooms", key, `{"room_id":"` + room + `","name":"Other"}`, 409, "ALREADY_EXISTS"},
		{"POST", "/api/meet/rooms", key, `{"room_id":"a.b"}`, 400, "INVALID_FORMAT"},
		{"POST", "/api/meet/rooms", key, `{"max_participants":1}`, 400, "INVALID_FORMAT"},
		{"POST", "/api/meet/rooms", key, `{"max_participants":"many"}`, 400, "INVALID_FORMAT"},
		{"POST", "/api/meet/rooms", key, `{"max_participants":100000}`, 400, "INVALID_FORMAT"},
		{"POST", "/api/meet/rooms", key, `{"name":"` + strings.Repeat("x", 129) + `"}`, 400, "INVALID_FORMAT"},
		{"POST", "/api/meet/rooms", key, `nonsense`, 400, "INVALID_FORMAT"},
		{"POST", "/api/meet/rooms", chatKey, `{}`, 403, "PERMISSION_DENIED"},
		{"POST", "/api/meet/rooms", guest, `{}`, 403, "PERMISSION_DENIED"},
		{"POST", "/api/meet/rooms", "", `{}`, 401, "AUTH_FAILED"},
		{"GET", "/api/meet/rooms", user, "", 405, "METHOD_NOT_ALLOWED"},
		{"GET", people, user, "", 200, ""},
		{"GET", people, key, "", 200, ""},
		{"GET", people, guest, "", 200, ""},
		{"GET", people, chatKey, "", 403, "PERMISSION_DENIED"},
		{"GET", "/api/meet/rooms/other/participants", guest, "", 403, "PERMISSION_DENIED"},
		{"GET", "/api/meet/rooms/other/participants", user, "", 404, "ROOM_NOT_FOUND"},
		{"GET", people, w.token(t, tenants.TokenSpec{Tenant: "evil", User: "eve"}), "", 404, "ROOM_NOT_FOUND"},
		{"GET", "/api/sessions", guest, "", 403, "PERMISSION_DENIED"},
	} {
		status, f := do(tt.method, tt.path, tt.token, tt.body)
		problem, _ := f["error"].(map[string]any)
		code, _ := problem["code"].(string)
		if status != tt.status || code != tt.code {
			t.Errorf("%s %s %s: %d %v, want %d %s", tt.method, tt.path, tt.body, status, f, tt.status, tt.code)
		}
	}
	in := w.dial(t, "/ws/meet?token="+guest, nil)
	in.joins(room, "A guest")
	in.send(`{"type":"join","room_id":"another","participant_name":"A guest"}`)
	in.errorCode("PERMISSION_DENIED")
	if _, f := do("GET", people, user, ""); len(f["participants"].([]any)) != 1 {
		t.Errorf("%v", f)
	}
	w.meeting(t, "acme", "bob").joins(room, "Bob")
	third := w.meeting(t, "acme", "cleo")
	third.send(`{"type":"join","room_id":"` + room + `","participant_name":"Cleo"}`)
	third.errorCode("LIMIT_EXCEEDED")
	// A room token opens nothing else.
	for path, want := range map[string]int{"/v1/ws?token=": 403, "/?token=": 403, "/websocket/ws?access_token=": 403} {
		_, resp, err := websocket.Dial(t.Context(), "ws://"+w.url+path+guest, nil)
		if err == nil || resp.StatusCode != want {
			t.Errorf("%s: %v", path, err)
		}
	}
	w.dial(t, "/ws?token="+guest, nil).turnedAway()
}

// TestThousandInRooms has 1,000 participants in 100 rooms signal each other: every signal arrives once at its target, and
// nowhere else. Participants of a hostile tenant sit in rooms of the same names.
func TestThousandInRooms(t *testing.T) {
	t.Parallel()
	const roomCount, size = 100, 10
	w := newWorld(t)
	none := int64(0)
	for _, id := range []tenants.ID{"acme", "evil"} {
		if _, err := w.registry.Update(t.Context(), id, tenants.Change{Limits: tenants.LimitChanges{tenants.ConnectionsPerIP: &none}}); err != nil {
			t.Fatal(err)
		}
	}
	good := w.token(t, tenants.TokenSpec{Tenant: "acme", User: "u"})
	var all, spies []*peer
	dial := func(token string) *peer {
		conn, _, err := websocket.Dial(t.Context(), "ws://"+w.url+"/ws/meet?token="+token, nil)
		if err != nil {
			t.Error(err)
			return nil
		}
		return &peer{t, conn}
	}
	each := func(n int, f func(i int)) {
		var g sync.WaitGroup
		for worker := range 16 {
			g.Go(func() {
				for i := worker; i < n && !t.Failed(); i += 16 {
					f(i)
				}
			})
		}
		g.Wait()
	}
	all = make([]*peer, roomCount*size)
	ids := make([]string, len(all))
	room := func(i int) int { return i % roomCount }
	// Joins are one after the other within a room, so that everybody knows how many are told of whom.
	each(roomCount, func(r int) {
		for k := range size {
			i := k*roomCount + r
			if all[i] = dial(good); all[i] == nil {
				return
			}
			ids[i] = all[i].joins(fmt.Sprint("room-", r), fmt.Sprint("p", i)).text("participant_id")
		}
	})
	if t.Failed() {
		t.FailNow()
	}
	evil := w.token(t, tenants.TokenSpec{Tenant: "evil", User: "u"})
	for r := range 4 {
		spy := dial(evil)
		spy.joins(fmt.Sprint("room-", r), "Eve")
		spies = append(spies, spy)
	}
	each(len(all), func(i int) {
		for k := range size {
			if j := k*roomCount + room(i); j != i {
				all[i].send(fmt.Sprintf(`{"type":"signal","room_id":"room-%d","target_id":%q,"signal":"%d>%d"}`, room(i), ids[j], i, j))
			}
		}
	})
	each(len(all), func(i int) {
		var want, got []string
		for k := range size {
			if j := k*roomCount + room(i); j != i {
				want = append(want, fmt.Sprintf("%s %d>%d", ids[j], j, i))
			}
		}
		for len(got) < size-1 {
			switch f := all[i].next(); f["type"] {
			case "signal":
				got = append(got, f.text("sender_id")+" "+f.text("signal"))
			case "participant_joined":
			default:
				t.Errorf("%d got %v", i, f)
				return
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%d got %v, want %v", i, got, want)
		}
	})
	for _, spy := range spies {
		spy.alive() // and nothing else has come
	}
	each(len(all), func(i int) {
		all[i].send(fmt.Sprintf(`{"type":"leave","room_id":"room-%d"}`, room(i)))
		for left := ""; left != ids[i]; { // no signal comes a second time
			f := all[i].kind("participant_left")
			left = f.person().text("participant_id")
		}
	})
	infos, total, err := w.meetings.List(context.Background(), rooms.Principal{Tenant: "acme", Account: w.account(t, "acme")}, 0, 0)
	if err != nil || total != 0 {
		t.Errorf("%d rooms are left: %v, %v", total, infos, err)
	}
}
