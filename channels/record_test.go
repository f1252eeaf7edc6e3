package channels

import (
	"encoding/json"
	"testing"
	"time"

	"parley/broker"
)

func TestRecordsAreWrittenAsObjects(t *testing.T) {
	t.Parallel()
	var r record
	for _, channel := range []broker.Name{"news", "a.b", "news"} {
		r.join(channel)
	}
	r.part("a.b")
	r.part("never")
	r.join("a.c")
	text, err := json.Marshal(r)
	if want := `{"sockets":0,"channels":{"a.c":1,"news":2},"seen":"0001-01-01T00:00:00Z"}`; err != nil || string(text) != want {
		t.Errorf("got %s, %v, want %s", text, err, want)
	}
	var back record
	if err := json.Unmarshal(text, &back); err != nil || len(back.Channels) != 2 || back.Channels[1] != (membership{"news", 2}) {
		t.Errorf("read back: %+v, %v", back, err)
	}
}

func TestSightings(t *testing.T) {
	t.Parallel()
	var s sightings
	s = s.set("n1", record{Sockets: 1}).set("n2", record{Sockets: 2}).set("n1", record{Sockets: 3})
	if len(s) != 2 || s.of("n1").Sockets != 3 || s.of("n2").Sockets != 2 || s.of("n3") != nil {
		t.Errorf("got %+v", s)
	}
	if s = s.drop("n1"); len(s) != 1 || s.of("n1") != nil || s.of("n2") == nil {
		t.Errorf("after a drop: %+v", s)
	}
}

func TestHereWithoutABreak(t *testing.T) {
	t.Parallel()
	at := func(minute int) time.Time { return time.Unix(int64(60*minute), 0) }
	left := func(node broker.Token, came, went int) sighting {
		return sighting{node, record{Since: at(came), Seen: at(went)}}
	}
	stays := func(node broker.Token, came int) sighting {
		return sighting{node, record{Sockets: 1, Since: at(came), Seen: at(came)}}
	}
	for name, tt := range map[string]struct {
		s     sightings
		here  bool
		since int
	}{
		"nowhere":                        {s: sightings{left("a", 1, 5)}},
		"on one node":                    {s: sightings{stays("a", 3)}, here: true, since: 3},
		"moved in time":                  {s: sightings{stays("b", 4), left("a", 1, 5)}, here: true, since: 1},
		"moved after a break":            {s: sightings{stays("b", 6), left("a", 1, 5)}, here: true, since: 6},
		"moved twice":                    {s: sightings{left("a", 1, 5), stays("c", 8), left("b", 4, 9)}, here: true, since: 1},
		"moved from a node that is dead": {s: sightings{stays("b", 4), left("dead", 1, 5)}, here: true, since: 4},
		"on a node that is dead":         {s: sightings{stays("dead", 4)}},
		"known by a warden only":         {s: sightings{stays("b", 4), {"a", record{Seen: at(9)}}}, here: true, since: 4},
	} {
		t.Run(name, func(t *testing.T) {
			since, here := tt.s.here(func(n broker.Token) bool { return n != "dead" })
			if here != tt.here || here && !since.Equal(at(tt.since)) {
				t.Errorf("here %v since %s, want %v since %s", here, since, tt.here, at(tt.since))
			}
		})
	}
}
