package test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/test/rig"
)

// party is a broker with the page for calls, and a browser in which people open it.
type party struct {
	acme  tenant
	first *rig.Page // nil until somebody has opened the page
}

// person is somebody on the page. The line is between him and the broker.
type person struct {
	*rig.Page
	line *rig.Line
}

func meet(t *testing.T, args ...string) *party {
	t.Helper()
	server := parley.Start(t, rig.Options{Args: append([]string{"--meet-page"}, args...)})
	return &party{acme: newTenant(t, server, "acme")}
}

// open opens the page for somebody who is about to enter a room, and is ready to.
func (m *party) open(name, room string) person {
	m.acme.t.Helper()
	line := rig.NewLine(m.acme.t, m.acme.Addr())
	token := m.acme.user("visitor")
	link := fmt.Sprintf("http://%s/meet#%s", line.Addr(), rig.Query("room", room, "name", name, "token", token))
	if m.first == nil {
		m.first = rig.OpenPage(m.acme.t, link, rig.Calls()...)
		m.first.Permit(true)
		return person{m.first, line}
	}
	return person{m.first.Beside(link), line}
}

// join is open for somebody who enters. devices are those that he has the others see and hear: "video", "audio".
func (m *party) join(name, room string, devices ...string) person {
	m.acme.t.Helper()
	p := m.open(name, room)
	for _, kind := range []string{"video", "audio"} {
		if !slices.Contains(devices, kind) {
			p.Click("#with-" + kind)
		}
	}
	p.Click("#join")
	p.AwaitText("#state", "In "+room)
	return p
}

// reaches waits until there is a connection to n others, for data and for what goes with it.
func (p person) reaches(n int) {
	p.Await(fmt.Sprintf(`[...call.others.values()].length === %[1]d && [...call.others.values()].every(
		({peer}) => peer && peer.pc.connectionState === 'connected' && peer.channel.readyState === 'open')`, n))
	p.Await("![...document.querySelectorAll('.tile')].some(tile => tile.dataset.route !== 'connected')")
}

// sees waits until pictures have come from n others, and have a place on the page.
func (p person) sees(n int) {
	p.arrives(n, "video", "framesDecoded")
	p.Await(fmt.Sprintf("[...document.querySelectorAll('.tile.seen:not(.own) video')].filter(video => video.videoWidth > 0).length === %d", n))
}

// hears waits until sound has come from n others, which is not silence.
func (p person) hears(n int) { p.arrives(n, "audio", "totalAudioEnergy") }

// arrives waits until a measure of what comes from others grows, for n of them.
func (p person) arrives(n int, kind, measure string) {
	p.Run(fmt.Sprintf(`window.%[1]s = 0; window.watch%[1]s ??= (() => {
		const before = new Map();
		return setInterval(async () => {
			let growing = 0;
			for (const { id, peer } of call.others.values()) {
				for (const report of peer ? (await peer.pc.getStats()).values() : []) {
					if (report.type !== "inbound-rtp" || report.kind !== %[1]q) continue;
					if (report.%[2]s > (before.get(id) ?? 0)) growing++;
					before.set(id, report.%[2]s);
				}
			}
			window.%[1]s = growing;
		}, 250);
	})()`, kind, measure))
	p.Await(fmt.Sprintf("window.%s === %d", kind, n))
}

// id is the participant's.
func (p person) id() string { return p.Text("call.id") }

// TestMeetPage: three people meet, see and hear each other, go quiet and leave.
func TestMeetPage(t *testing.T) {
	t.Parallel()
	m := meet(t)
	ann := m.open("Ann", "tea")
	if url := ann.Text("location.href"); strings.Contains(url, "token") || !strings.Contains(url, "room=tea") {
		t.Errorf("the address bar says %s", url)
	}
	ann.Await("document.activeElement.id === 'join' && document.querySelector('#token-part').hidden")
	ann.Picture("meet-entry")
	ann.Press("Enter", "\r", 0)
	ann.AwaitText("#state", "In tea")
	ann.AwaitText("#alone", "Nobody else is here yet.")
	ann.Await("document.activeElement.id === 'audio'")
	ann.Picture("meet-alone")
	bob := m.join("Bob", "tea", "video", "audio")
	ann.AwaitText("#spoken", "Connected to Bob.")
	ann.reaches(1)
	bob.reaches(1)
	ann.sees(1)
	bob.sees(1)
	bob.hears(1)
	ann.Picture("meet-two")

	// The third comes with nothing, and has a name that is markup.
	cleo := m.join("<b onclick=alert(1)>Cleo</b><img src=x onerror=alert(2)>", "tea")
	cleo.reaches(2)
	cleo.sees(2)
	ann.reaches(2)
	bob.reaches(2)
	ann.AwaitText(".person", "<b onclick=alert(1)>Cleo</b>")
	if got := ann.Text("document.querySelectorAll('.tile b b, img').length"); got != "0" {
		t.Errorf("a name came to life: %s elements", got)
	}
	ann.Size(1200, 800)
	ann.Picture("meet-three")
	cleo.Click("#video")
	ann.sees(2)
	bob.sees(2)
	bob.Click("#audio")
	ann.AwaitText(".quiet", "muted")
	bob.AwaitText("#audio", "Unmute")
	bob.Click("#video")
	ann.Await("document.querySelectorAll('.tile.seen').length === 2")
	ann.Size(360, 640)
	ann.Await("document.documentElement.scrollWidth <= 360")
	ann.Picture("meet-three-phone")
	ann.Scheme("dark")
	ann.Picture("meet-three-phone-dark")

	room := m.acme.MustCLI("room", "show", "--tenant", "acme", "tea")
	for _, want := range []string{"3 of ", "Ann", "Bob", cleo.id()} {
		if !strings.Contains(room, want) {
			t.Errorf("room show lacks %q:\n%s", want, room)
		}
	}
	tree := ann.Accessible()
	for _, want := range []string{"main Meet", "heading Parley", "StaticText In tea", "region Room", "list People", "StaticText Ann (you)", "StaticText muted", "group Call", "button Mute", "button Stop camera", "button Leave"} {
		if !slices.Contains(tree, want) {
			t.Errorf("nothing tells of %q, but %q", want, tree)
		}
	}
	cleo.Click("#leave")
	cleo.AwaitText("#entry h2", "Join a call")
	ann.AwaitText("#spoken", "has left.")
	ann.Await("document.querySelectorAll('.tile').length === 2")
	bob.Reload() // says goodbye, too
	ann.AwaitText("#alone", "Nobody else is here yet.")
	bob.Await("document.activeElement.id === 'join' && document.querySelector('#name').value === 'Bob'")
}

// TestMeetPageAtOnce: two people offer at the same moment, and then one of them loses the connection to the broker while
// both have something new to offer.
func TestMeetPageAtOnce(t *testing.T) {
	t.Parallel()
	m := meet(t)
	ann, bob := m.join("Ann", "tea"), m.join("Bob", "tea")
	both := []person{ann, bob}
	for _, p := range both {
		p.reaches(1)
		p.Run(`window.collisions = 0; window.take = Peer.prototype.take; Peer.prototype.take = function (signal, polite) {
			if (signal.description?.type === "offer" && this.pc.signalingState === "have-local-offer") collisions++;
			return take.call(this, signal, polite);
		}`)
		p.line.Hold()
	}
	const offering = "[...call.others.values()][0].peer.pc.signalingState === 'have-local-offer'"
	for _, p := range both {
		p.Click("#video")
		p.Await(offering)
	}
	for _, p := range both {
		p.line.Flow()
	}
	for _, p := range both {
		p.sees(1)
		p.reaches(1)
		p.Await("collisions === 1")
	}

	before := []string{ann.id(), bob.id()}
	bob.line.Cut()
	bob.AwaitText("#state", "The call goes on")
	bob.Picture("meet-cut")
	for _, p := range both {
		p.Click("#audio") // something to offer
		p.Await(offering)
		p.reaches(1)
	}
	<-time.After(5 * time.Second) // as long as the connection is away
	bob.line.Flow()
	for i, p := range both {
		p.AwaitText("#state", "In tea")
		p.hears(1)
		p.reaches(1)
		p.Await("[...call.others.values()][0].peer.pc.signalingState === 'stable' && collisions === 2")
		if p.id() != before[i] {
			t.Errorf("%s has become %s", before[i], p.id())
		}
	}

	// Who comes back too late is somebody new, and is called anew.
	bob.Run("call.pass = 'not that'")
	bob.line.Cut()
	bob.AwaitText("#state", "The call goes on")
	bob.line.Flow()
	bob.AwaitText("#state", "In tea")
	bob.Await(fmt.Sprintf("call.id && call.id !== %q", before[1]))
	m.acme.CLI("room", "kick", "--tenant", "acme", "tea", before[1]) // he may be there for 20 s still
	bob.reaches(1)
	bob.sees(1)
	ann.reaches(1)
	ann.sees(1)
}

// TestMeetPageTells: what fails is said in words, with what to do.
func TestMeetPageTells(t *testing.T) {
	t.Parallel()
	m := meet(t)
	ann := m.open("Ann", "tea")
	ann.Permit(false)
	ann.Click("#join")
	ann.AwaitText("#problem", "Your browser does not let this page use your camera and microphone.")
	ann.Picture("meet-denied")
	ann.Click("#bare")
	ann.AwaitText("#state", "In tea")
	ann.Await("document.querySelector('#problem').hidden")
	ann.Click("#video")
	ann.AwaitText("#problem", "Your browser does not let this page use your camera.")
	ann.Permit(true)
	ann.Click("#video")
	ann.AwaitText("#video", "Stop camera")
	ann.Await("document.querySelector('#problem').hidden")

	// No route: both look for one over a relay only, and there is none.
	const relayed = "window.RTCPeerConnection = class extends RTCPeerConnection { constructor(c) { super({ ...c, iceTransportPolicy: 'relay' }); } }; Peer.patience = 300"
	ann.Run(relayed)
	bob := m.open("Bob", "tea")
	bob.Run(relayed)
	bob.Click("#join")
	for p, name := range map[person]string{ann: "Bob", bob: "Ann"} {
		p.AwaitText("#problem", "There is no route to "+name+". A firewall keeps you apart, and this server names no relay (TURN).")
		p.AwaitText(".route", "no route")
	}
	bob.Picture("meet-no-route")
	bob.Run("Peer.patience = 60000")
	bob.Click(".tile[data-route=failed] .again")
	bob.AwaitText(".route", "connecting…")
	bob.Await("document.querySelector('#problem').hidden")

	m.acme.MustCLI("room", "move", "--tenant", "acme", "tea", bob.id(), "--to", "den")
	bob.AwaitText("#state", "In den")
	bob.AwaitText("#alone", "Nobody else is here yet.")
	m.acme.MustCLI("room", "kick", "--tenant", "acme", "den", bob.id())
	bob.AwaitText("#problem", "You were removed from the room.")
	bob.AwaitText("#state", "Not in a room")
	bob.Size(360, 640)
	bob.Scheme("dark")
	bob.Await("document.documentElement.scrollWidth <= 360")
	bob.Picture("meet-kicked-phone-dark")
	bob.Run("document.querySelector('#token').value = 'nonsense'")
	bob.Click("#join")
	bob.AwaitText("#problem", "The token is not a JWT")
	bob.Await("!document.querySelector('#token-part').hidden")
	m.acme.MustCLI("room", "close", "--tenant", "acme", "tea")
	ann.AwaitText("#problem", "The room was closed.")

	token := m.acme.user("ann")
	made := rig.Do(t, "POST", m.acme.URL()+"/api/meet/rooms", token, `{"name":"duo","max_participants":2}`)
	if made.Status != http.StatusCreated {
		t.Fatalf("make a room: %d %s", made.Status, made.Body)
	}
	duo := frameOf(t, made.Body).Text("room_id")
	guest := m.first.Beside(frameOf(t, made.Body).Text("join_url"))
	m.join("Cleo", duo)
	m.join("Dan", duo)
	eve := person{Page: guest}
	eve.Await("document.activeElement.id === 'name' && document.querySelector('#token-part').hidden")
	eve.Type("Eve")
	eve.Press("Enter", "\r", 0)
	eve.AwaitText("#problem", "The room has its 2 participants already.")
	eve.Picture("meet-full")
	eve.Await("document.querySelector('#name').value === 'Eve' && !document.querySelector('#join').disabled")
	eve.Run("document.querySelector('#name').value = ' '")
	eve.Click("#join")
	eve.AwaitText("#problem", "Enter your name first.")
	eve.Await("document.activeElement.id === 'name' && document.activeElement.getAttribute('aria-invalid') === 'true'")
}

// TestMeetPageIsShut: the page is there only where it was asked for, and lets no foreign code in.
func TestMeetPageIsShut(t *testing.T) {
	t.Parallel()
	without := parley.Start(t, rig.Options{})
	if res := rig.Do(t, "GET", without.URL()+"/meet", "", ""); res.Status != http.StatusNotFound {
		t.Errorf("without --meet-page: %d", res.Status)
	}
	with := parley.Start(t, rig.Options{Args: []string{"--meet-page"}})
	res := rig.Do(t, "GET", with.URL()+"/meet", "", "")
	policy, features := res.Header.Get("Content-Security-Policy"), res.Header.Get("Permissions-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'sha256-", "style-src 'sha256-", "frame-ancestors 'none'", "connect-src 'self' ws://" + with.Addr()} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy lacks %s: %s", want, policy)
		}
	}
	if res.Status != http.StatusOK || strings.Contains(policy, "unsafe") || features != "camera=(self), microphone=(self), display-capture=()" {
		t.Errorf("the page: %d %v", res.Status, res.Header)
	}
	if res := rig.Do(t, "GET", with.URL()+"/", "", ""); res.Status != http.StatusNotFound {
		t.Errorf("the chat page was not asked for: %d", res.Status)
	}
	if res := rig.Do(t, "POST", with.URL()+"/meet", "", "{}"); res.Status != http.StatusNotFound {
		t.Errorf("POST: %d", res.Status)
	}
}
