package broker

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
)

// TestLastIsAskedForManyAtOnce asks for more subjects than one request takes, of which every other one holds a message.
func TestLastIsAskedForManyAtOnce(t *testing.T) {
	t.Parallel()
	e := mustOpen(t, Config{DataDir: t.TempDir(), Listen: ListenOff})
	c := mustAcquire(t, e, mustAccount(t, e))
	if err := c.Ensure(t.Context(), Inboxes); err != nil {
		t.Fatal(err)
	}
	const agents = 3 * lastAtOnce
	want := map[Subject]uint64{}
	for i := range agents / 2 {
		subject := AgentSubject(Token(fmt.Sprint("a", 2*i)))
		ack, err := c.JetStream().Publish(t.Context(), string(subject), []byte("hello"))
		if err != nil {
			t.Fatal(err)
		}
		want[subject] = ack.Sequence
	}
	var asking sync.WaitGroup
	for i := range agents {
		asking.Go(func() {
			subject := AgentSubject(Token(fmt.Sprint("a", i)))
			if got, err := c.Last(t.Context(), Inboxes, subject); err != nil || got != want[subject] {
				t.Errorf("%s: %d, %v, want %d", subject, got, err, want[subject])
			}
		})
	}
	asking.Wait()
}

// TestLastQuestionsGather holds the first request back until others wait, and has one of theirs fail.
func TestLastQuestionsGather(t *testing.T) {
	t.Parallel()
	var q lastQueue
	const others = lastAtOnce + 3
	waiting := func() int {
		q.mu.Lock()
		defer q.mu.Unlock()
		return len(q.waiting)
	}
	var asking sync.WaitGroup
	var sizes []int // of the requests, which are never made at the same time
	failed := errors.New("no answer")
	first, asked := make(chan struct{}), make(chan struct{})
	asking.Go(func() {
		_, _ = q.ask("first", func(s []Subject) (map[Subject]uint64, error) {
			close(asked)
			<-first
			sizes = append(sizes, len(s))
			return nil, nil
		})
	})
	<-asked
	errs := make(chan error, others)
	for i := range others {
		asking.Go(func() {
			_, err := q.ask(Subject(fmt.Sprint(i)), func(s []Subject) (map[Subject]uint64, error) {
				sizes = append(sizes, len(s))
				if len(s) == lastAtOnce {
					return nil, failed
				}
				return nil, nil
			})
			errs <- err
		})
	}
	for waiting() < others {
		runtime.Gosched()
	}
	close(first)
	asking.Wait()
	close(errs)
	n := 0
	for err := range errs {
		if errors.Is(err, failed) {
			n++
		}
	}
	if fmt.Sprint(sizes) != fmt.Sprint([]int{1, lastAtOnce, 3}) || n != lastAtOnce {
		t.Errorf("requests of %v subjects, of which %d failed", sizes, n)
	}
}
