package acks

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"parley/broker"
)

// tokens lets a bounded number of messages be on their way.
type tokens chan struct{}

func (t tokens) Settle(o Outcome) {
	if o.Err != nil {
		panic(o.Err)
	}
}
func (t tokens) Flush() { <-t }

// BenchmarkPublish stores messages of 300 bytes on 100 subjects and waits until they are on disk, 1,600 under way. "bare"
// is the least that this takes with NATS: what the publisher costs is the difference.
func BenchmarkPublish(b *testing.B) {
	const underWay = 1600
	data := bytes.Repeat([]byte("c"), 300)
	subjects := make([]broker.Subject, 100)
	for i := range subjects {
		subjects[i] = broker.Subject(fmt.Sprint("channel.c", i))
	}
	b.Run("publisher", func(b *testing.B) {
		w := setup(b)
		p, err := NewPublisher(w.conn, w.committer, Config{})
		if err != nil {
			b.Fatal(err)
		}
		defer p.Close()
		slots := make(tokens, underWay)
		n := 0
		spend(b, func() {
			for b.Loop() {
				slots <- struct{}{}
				n++
				m := Message{Subject: subjects[n%len(subjects)], Sender: "ann", ID: fmt.Sprintf("%010d", n), Data: data}
				if err := p.Publish(b.Context(), m, slots); err != nil {
					b.Fatal(err)
				}
			}
			for range underWay {
				slots <- struct{}{}
			}
		})
		b.ReportMetric(float64(b.N)/float64(w.rounds.Load()), "op/sync")
	})
	b.Run("bare", func(b *testing.B) {
		w := setup(b)
		nc := w.conn.NATS()
		inbox := nc.NewInbox()
		slots := make(chan struct{}, underWay)
		var confirmed atomic.Int64
		wake := make(chan struct{}, 1)
		sub, err := nc.Subscribe(inbox, func(*nats.Msg) {
			if confirmed.Add(1) == 1 {
				wake <- struct{}{}
			}
		})
		if err != nil {
			b.Fatal(err)
		}
		defer sub.Unsubscribe()
		go func() {
			for range wake {
				n := confirmed.Swap(0)
				w.rounds.Add(1)
				if err := w.engine.Sync(); err != nil {
					panic(err)
				}
				for range n {
					<-slots
				}
			}
		}()
		n := 0
		spend(b, func() {
			for b.Loop() {
				slots <- struct{}{}
				n++
				m := &nats.Msg{Subject: string(subjects[n%len(subjects)]), Reply: inbox, Data: data}
				m.Header = nats.Header{nats.MsgIdHdr: {fmt.Sprintf("%010d", n)}}
				if err := nc.PublishMsg(m); err != nil {
					b.Fatal(err)
				}
			}
			for range underWay {
				slots <- struct{}{}
			}
		})
		b.ReportMetric(float64(b.N)/float64(w.rounds.Load()), "op/sync")
		close(wake)
	})
}

// spend reports what f takes of the processor for each of b.N operations.
func spend(b *testing.B, f func()) {
	b.Helper()
	now := func() int64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	before, start := now(), time.Now()
	f()
	b.ReportMetric(float64(now()-before)/1e3/float64(b.N), "cpu-µs/op")
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "op/s")
}
