package sessions

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
)

// BenchmarkChunk is one chunk from a worker's connection into the log and to a follower, with as many answers running as
// the name says. It counts the CPU of the whole process, the worker's part included.
func BenchmarkChunk(b *testing.B) {
	for _, answers := range []int{1, 100} {
		b.Run(fmt.Sprint(answers), func(b *testing.B) {
			n := setup(b, Config{})
			w := n.worker("w")
			jobs := make([]*job, answers)
			var told sync.WaitGroup
			for i := range jobs {
				id := n.session()
				f, err := n.hub.Follow(b.Context(), n.user, id, &counter{want: (b.N + answers - 1) / answers, done: told.Done})
				if err != nil {
					b.Fatal(err)
				}
				defer f.Close()
				n.say(id, "go")
				jobs[i] = w.take()
				jobs[i].accept()
				told.Add(1)
			}
			b.ResetTimer()
			for _, j := range jobs {
				told.Go(func() { j.pour((b.N + answers - 1) / answers) })
			}
			told.Wait()
		})
	}
}

// pour sends chunks, each when the one before it was answered.
func (j *job) pour(chunks int) {
	inbox := j.nc.NewInbox()
	answers := make(chan *nats.Msg, 1)
	sub, err := j.nc.ChanSubscribe(inbox, answers)
	if err != nil {
		j.t.Error(err)
		return
	}
	defer sub.Unsubscribe()
	for range chunks {
		j.n++
		data, err := json.Marshal(map[string]any{"run": j.Run, "attempt": j.Attempt, "epoch": j.Epoch, "type": "chunk", "n": j.n, "text": "word "})
		if err == nil {
			err = j.nc.PublishRequest(j.ReplyTo, inbox, data)
		}
		if err != nil {
			j.t.Error(err)
			return
		}
		<-answers
	}
}

// counter is a Follower that says when it has been told enough chunks.
type counter struct {
	want int
	done func()
}

func (c *counter) Begin(Snapshot) {}
func (c *counter) Deliver(e *Event) {
	if e.Kind != Chunk {
		return
	}
	if c.want--; c.want == 0 {
		c.done()
	}
}
func (c *counter) Lost(error) {}
