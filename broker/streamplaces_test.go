package broker

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

// images keeps what a copy begins with.
type images struct {
	image    StreamImage
	messages int
}

func (i *images) Stream(s StreamImage) error { i.image = s; return nil }

func (i *images) Message(RawMessage) error { i.messages++; return nil }

// TestCopiesWhileANodeIsDown copies a bucket one of whose watches was on a node that is down, and does not pass over a place
// that was only there.
func TestCopiesWhileANodeIsDown(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3)
	id := mustAccount(t, c.nodes[0])
	conn := mustAcquire(t, c.nodes[0], id)
	ctx := t.Context()
	if err := conn.Ensure(ctx, Channels); err != nil {
		t.Fatal(err)
	}
	bucket, err := conn.Bucket(ctx, StateBucket)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bucket.Put(ctx, "record", []byte("here")); err != nil {
		t.Fatal(err)
	}
	watched := conn.held(BucketStream(StateBucket)).held
	consumerOn(t, conn, watched, c.cfgs[2].ServerName, "")
	lost := consumerOn(t, conn, string(Channels), c.cfgs[2].ServerName, "place")
	c.stop(2)
	eventually(t, func(ctx context.Context) error {
		var got images
		if err := conn.CopyStream(ctx, BucketStream(StateBucket), &got); err != nil {
			return err
		}
		if got.messages != 1 || len(got.image.Places) != 0 {
			t.Errorf("copied %d messages and the places %s", got.messages, got.image.Places)
		}
		return nil
	})
	if places, err := conn.places(ctx, string(Channels)); err == nil || !strings.Contains(err.Error(), lost) {
		t.Errorf("without %s the places are %s, %v", lost, places, err)
	}
}

// consumerOn makes consumers without copies until one is on a certain node, and returns its name. A name for durable ones is
// followed by a number.
func consumerOn(t *testing.T, conn *Conn, stream, node, durable string) string {
	t.Helper()
	for i := range 100 {
		cfg := jetstream.ConsumerConfig{Replicas: 1, MemoryStorage: true, AckPolicy: jetstream.AckExplicitPolicy}
		if durable != "" {
			cfg.Durable = fmt.Sprint(durable, i)
		}
		made, err := conn.js.CreateConsumer(t.Context(), stream, cfg)
		if err != nil {
			t.Fatal(err)
		}
		if info := made.CachedInfo(); info.Cluster.Leader == node {
			return info.Name
		}
	}
	t.Fatalf("no consumer of %s is on %s", stream, node)
	return ""
}
