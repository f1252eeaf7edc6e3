package sessions

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"parley/broker"
	"parley/internal/clustertest"
	sdk "parley/sessions/worker"
)

// hire runs a worker of the SDK with credentials of its own until the test ends, or until stop is called.
func (b *bench) hire(name string, cfg sdk.Config, h sdk.Handler) (stop func()) {
	b.t.Helper()
	creds, _, err := b.Creds(b.t.Context(), b.account, broker.CredsRequest{Name: name, Queue: defaultQueue})
	if err != nil {
		b.t.Fatal(err)
	}
	file := filepath.Join(b.t.TempDir(), name+".creds")
	if err := os.WriteFile(file, creds, 0o600); err != nil {
		b.t.Fatal(err)
	}
	nc, err := sdk.Connect(b.ServicesURL(), file, nats.ReconnectWait(10*time.Millisecond), nats.ReconnectJitter(0, 0))
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cfg.Name, cfg.Conns = name, []*nats.Conn{nc}
	var work sync.WaitGroup
	work.Go(func() {
		if err := sdk.Run(ctx, cfg, h); err != nil {
			b.t.Errorf("%s: %v", name, err)
		}
	})
	stop = sync.OnceFunc(func() {
		cancel()
		work.Wait()
		nc.Close()
	})
	b.t.Cleanup(stop)
	return stop
}

func TestWorkerOfTheSDK(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	id := b.session()
	r, f := b.follow(id)
	defer f.Close()
	b.hire("w", sdk.Config{}, func(_ context.Context, a *sdk.Answer) error {
		if a.Request.User != "ann" || a.Request.Session != id || a.Request.History[len(a.Request.History)-1].Text != a.Request.Text {
			t.Errorf("request %+v", a.Request)
		}
		if a.Request.Text == "fail" {
			return &sdk.Error{Message: "Not this one."}
		}
		for word := range strings.SplitAfterSeq(a.Request.Text, " ") {
			a.Chunk(word)
		}
		a.ToolCall("c1", "count", json.RawMessage(`{"of":"words"}`))
		a.ToolResult("c1", "count", json.RawMessage(`3`))
		a.Chunk(" That was it.")
		a.Usage(3, 4)
		return a.FollowUps("More?")
	})
	b.say(id, "one two ünï")
	end := r.await(t, Ended, 1)
	check(t, r.lines(), `created
message user one two ünï
start assistant
chunk one two ünï
tool_call count {"of":"words"}
tool_result count 3
chunk  That was it.
end assistant complete one two ünï That was it. ["More?"]`)
	if end.Usage == nil || *end.Usage != (Usage{Input: 3, Output: 4}) || !strings.HasPrefix(r.await(t, Started, 1).From, "w/") {
		t.Errorf("the end is %+v", end)
	}
	b.say(id, "fail")
	if end := r.await(t, Ended, 2); end.Status != Failed || end.Error == nil || end.Error.Message != "Not this one." {
		t.Errorf("the failure is %+v", end)
	}
}

func TestWorkerOfTheSDKIsStopped(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	id := b.session()
	r, f := b.follow(id)
	defer f.Close()
	stopped := make(chan error, 1)
	b.hire("w", sdk.Config{}, func(ctx context.Context, a *sdk.Answer) error {
		a.Chunk("so far")
		<-ctx.Done()
		stopped <- context.Cause(ctx)
		return a.Chunk("never")
	})
	b.say(id, "go")
	r.await(t, Chunk, 1)
	if err := b.hub.Stop(t.Context(), b.user, id, ""); err != nil {
		t.Fatal(err)
	}
	if cause := <-stopped; cause == nil {
		t.Error("the handler's context has no cause")
	}
	if end := r.await(t, Ended, 1); end.Status != Stopped || end.Text != "so far" {
		t.Errorf("the end is %+v", end)
	}
}

func TestWorkersOfTheSDKTakeOver(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{WorkerSilence: 2 * time.Second})
	id := b.session()
	r, f := b.follow(id)
	defer f.Close()
	leave := make(chan struct{})
	slow := func(ctx context.Context, a *sdk.Answer) error {
		a.Chunk("one ")
		select {
		case <-leave:
			return a.Chunk("two")
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	quit := b.hire("first", sdk.Config{Grace: -1}, slow)
	b.say(id, "go")
	r.await(t, Chunk, 1)
	quit()
	b.hire("second", sdk.Config{}, slow)
	r.await(t, Chunk, 2)
	close(leave)
	r.await(t, Ended, 2)
	check(t, r.lines(), "created\nmessage user go\nstart assistant\nchunk one \nend assistant interrupted one \nstart assistant\nchunk one two\nend assistant complete one two")
}

// awaitText waits until the reader has some of an answer.
func (r *reader) awaitText(t testing.TB) {
	t.Helper()
	for deadline := time.After(patience); r.text() == ""; {
		select {
		case <-r.changed:
		case <-deadline:
			t.Fatal("nothing came of an answer")
		}
	}
}

// TestWorkerOfTheSDKOutlivesTheNode has the node restarted again and again while an answer is under way.
func TestWorkerOfTheSDKOutlivesTheNode(t *testing.T) {
	t.Parallel()
	const restarts, each = 3, 200
	b := setupOn(t, broker.Config{Listen: clustertest.FreeAddrs(t, 1)[0]}, Config{})
	id := b.session()
	step := make(chan struct{})
	b.hire("w", sdk.Config{Coalesce: -1}, func(ctx context.Context, a *sdk.Answer) error {
		for range restarts + 1 {
			for range each {
				if err := a.Chunk("tok "); err != nil {
					return err
				}
			}
			select {
			case <-step:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	})
	b.say(id, "go")
	for range restarts {
		r, f := b.follow(id)
		r.awaitText(t)
		f.Close()
		b.Stop()
		step <- struct{}{} // it says more while nobody listens
		b.restart()
	}
	r, f := b.follow(id)
	defer f.Close()
	step <- struct{}{}
	end := r.await(t, Ended, 1)
	if want := strings.Repeat("tok ", each*(restarts+1)); end.Text != want || end.Status != Complete {
		t.Errorf("ended %s with %d bytes, want %d", end.Status, len(end.Text), len(want))
	}
	if events, _, err := b.hub.History(t.Context(), b.user, id, 0, 100, false); err != nil || len(events) != 2 {
		t.Errorf("the log has %d messages, %v", len(events), err)
	}
}
