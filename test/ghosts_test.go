package test

import (
	"net/http"
	"testing"
	"time"

	"parley/test/rig"
)

// gathering is two participants of a room on nodes that are about to end.
type gathering struct {
	t     *testing.T
	token string
	ann   rig.Frame // what she was told when she joined, on the first node
}

const meetingRoom = "standup"

func startMeeting(t *testing.T, acme tenant, nodes []*rig.Server) *gathering {
	t.Helper()
	m := &gathering{t: t, token: acme.token("guest")}
	m.ann = m.join(nodes[0], rig.Frame{"participant_name": "Ann"})
	m.join(nodes[1], rig.Frame{"participant_name": "Bob"}) // who never comes back
	return m
}

// join puts somebody into the room, as soon as the cluster can, and returns what he is told.
func (m *gathering) join(on *rig.Server, as rig.Frame) rig.Frame {
	m.t.Helper()
	as["type"], as["room_id"] = "join", meetingRoom
	s := rig.Dial(m.t, on.Addr(), "/ws/meet?"+rig.Query("token", m.token))
	for deadline := time.Now().Add(rig.Patience); time.Now().Before(deadline); {
		s.Send(as)
		f, ok := s.Take(func(f rig.Frame) bool { return f.Type() == "joined" || f.Type() == "error" })
		if !ok {
			m.t.Fatal("the connection to the meeting has ended")
		}
		if f.Type() == "joined" {
			return f
		}
		if f.Text("code") != "UNAVAILABLE" { // the store has no leader yet
			m.t.Fatalf("join: %s", f)
		}
		<-time.After(20 * time.Millisecond) // between two attempts
	}
	m.t.Fatal("nobody can join the meeting")
	return nil
}

// comeBack has Ann, whose node has just died, come back through another one, and leave.
func (m *gathering) comeBack(on *rig.Server) {
	m.t.Helper()
	again := m.join(on, rig.Frame{"participant_id": m.ann.Text("participant_id"), "resume_token": m.ann.Text("resume_token")})
	if again["resumed"] != true || again.Text("participant_id") != m.ann.Text("participant_id") {
		m.t.Errorf("Ann came back as %s", again)
	}
}

// awaitEnd returns when no node knows of anybody in the room: whoever did not come back has left.
func (m *gathering) awaitEnd(nodes []*rig.Server) {
	m.t.Helper()
	for _, n := range nodes {
		await(m.t, "the participants of dead nodes to be gone", func() bool {
			res := rig.Do(m.t, "GET", n.URL()+"/api/meet/rooms/"+meetingRoom+"/participants", m.token, "")
			return res.Status == http.StatusNotFound
		})
	}
}
