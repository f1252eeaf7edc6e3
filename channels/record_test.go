package channels

import (
	"encoding/json"
	"testing"

	"parley/broker"
)

func TestRecordsAreWrittenAsObjects(t *testing.T) {
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
	var s sightings
	s = s.set("n1", record{Sockets: 1}).set("n2", record{Sockets: 2}).set("n1", record{Sockets: 3})
	if len(s) != 2 || s.of("n1").Sockets != 3 || s.of("n2").Sockets != 2 || s.of("n3") != nil {
		t.Errorf("got %+v", s)
	}
	if s = s.drop("n1"); len(s) != 1 || s.of("n1") != nil || s.of("n2") == nil {
		t.Errorf("after a drop: %+v", s)
	}
}
