package sessions

import (
	"context"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"parley/internal/fault"
)

// severed is a bucket whose connection closes as soon as somebody watches.
type severed struct{ jetstream.KeyValue }

func (severed) Watch(context.Context, string, ...jetstream.WatchOpt) (jetstream.KeyWatcher, error) {
	w := closedWatch{make(chan jetstream.KeyValueEntry)}
	close(w.updates)
	return w, nil
}

type closedWatch struct{ updates chan jetstream.KeyValueEntry }

func (w closedWatch) Updates() <-chan jetstream.KeyValueEntry { return w.updates }
func (closedWatch) Stop() error                               { return nil }

// TestListIsWholeOrFails has a connection close while the sessions are being read.
func TestListIsWholeOrFails(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{})
	b.session()
	s, err := b.hub.spaces.Acquire(t.Context(), b.account)
	if err != nil {
		t.Fatal(err)
	}
	s.records = severed{s.records}
	if all, total, err := b.hub.List(t.Context(), b.user, b.user.User, 0, 10); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("%v, %d, %v; want %s", all, total, err, fault.Unavailable)
	}
}
