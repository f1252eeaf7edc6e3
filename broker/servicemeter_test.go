package broker

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// TestServiceMeter measures what services publish, those that are gone by then too, and nothing of what the node does.
func TestServiceMeter(t *testing.T) {
	t.Parallel()
	e := mustOpen(t, Config{DataDir: t.TempDir(), Listen: "127.0.0.1:0"})
	id, other := mustAccount(t, e), mustAccount(t, e)
	own := mustAcquire(t, e, id).NATS()
	here := make(chan Service, 10)
	if err := e.OnServiceHere(func(s Service) { here <- s }); err != nil {
		t.Fatal(err)
	}
	creds, user, err := e.Creds(t.Context(), id, CredsRequest{Name: "shop", Publish: []string{"channel.>"}})
	if err != nil {
		t.Fatal(err)
	}
	connect := func() *nats.Conn { // under the name that the nodes' own connections have
		nc, err := nats.Connect(e.ServicesURL(), nats.UserCredentialBytes(creds), nats.NoReconnect(), nats.Name(gatewayName))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		return nc
	}
	publish := func(nc *nats.Conn, n int) {
		for range n {
			if err := nc.Publish("channel.a", []byte("12345")); err != nil {
				t.Fatal(err)
			}
		}
		if err := nc.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	meter := e.NewServiceMeter()
	var services, gone int64
	measure := func() (called bool) {
		err := meter.Measure([]AccountID{id, other}, func(a AccountID, sent Traffic) {
			called = called || a == id
			gone += sent.Messages
			for _, s := range sent.Services {
				if services += s.Messages; s.Service.UserKey != user && s.Service.UserKey != "" || s.Bytes != 5*s.Messages {
					t.Errorf("%+v", s)
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		return called
	}
	until := func(wantServices, wantGone int64) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); services != wantServices || gone != wantGone; measure() {
			if services > wantServices || gone > wantGone || time.Now().After(end) {
				t.Fatalf("%d messages of services, %d of those that are gone; want %d and %d", services, gone, wantServices, wantGone)
			}
		}
	}

	publish(own, 100)
	nc := connect()
	measure() // which only begins
	publish(nc, 10)
	publish(own, 100)
	until(10, 0)
	short := connect()
	publish(short, 7)
	short.Close()
	publish(own, 100)
	publish(nc, 1)
	for services+gone < 18 {
		measure()
	}
	if services < 11 { // the short one was seen while it was there, or not
		t.Errorf("%d messages of services, %d of those that are gone", services, gone)
	}
	for measure() { // until all counters are up to date
	}

	first := <-here
	if first.UserKey != user {
		t.Errorf("%+v", first)
	}
	ended := make(chan struct{})
	nc.SetClosedHandler(func(*nats.Conn) { close(ended) })
	e.Cut(first)
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Error("a service that was cut off is still there")
	}
	e.Cut(first) // who is gone
}
