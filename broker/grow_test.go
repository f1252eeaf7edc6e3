package broker

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"parley/internal/fault"
)

func TestPeerIDIsTheServers(t *testing.T) {
	t.Parallel()
	e := mustOpen(t, Config{DataDir: t.TempDir(), Listen: ListenOff, ServerName: "n1"})
	if got, want := peerID("n1"), e.server.Node(); got != want {
		t.Errorf("peerID = %s, the server says %s", got, want)
	}
}

// TestOneNodeGrowsIntoACluster takes a node that was alone, with its messages and a place that has read some of them, into
// a cluster, and lets two others join.
func TestOneNodeGrowsIntoACluster(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	alone := c.cfgs[0]
	alone.Cluster = Cluster{}
	ctx := t.Context()
	e, err := Open(ctx, alone, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	id := mustAccount(t, e)
	conn, err := e.Acquire(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Ensure(ctx, Channels); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Bucket(ctx, StateBucket); err != nil {
		t.Fatal(err)
	}
	const total, read = 1000, 10
	for i := range total {
		if _, err := conn.js.PublishAsync("channel.x", fmt.Append(nil, i), jetstream.WithMsgID(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	<-conn.js.PublishAsyncComplete()
	place, err := conn.js.CreateConsumer(ctx, string(Channels), jetstream.ConsumerConfig{Durable: "p", AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		t.Fatal(err)
	}
	batch, err := place.Fetch(read)
	if err != nil {
		t.Fatal(err)
	}
	for m := range batch.Messages() {
		if err := m.DoubleAck(ctx); err != nil {
			t.Fatal(err)
		}
	}
	conn.Release()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}

	c.start(0, 1, 2)
	for _, e := range c.nodes {
		eventually(t, func(ctx context.Context) error { return allGrown(ctx, e, id, 3) })
	}
	c.stop(0) // the one that had everything
	conn = mustAcquire(t, c.nodes[1], id)
	eventually(t, func(ctx context.Context) error {
		last, err := conn.Last(ctx, Channels, "channel.x")
		if err == nil && last != total {
			return fmt.Errorf("last %d", last)
		}
		return err
	})
	eventually(t, func(ctx context.Context) error {
		place, err := conn.js.Consumer(ctx, string(Channels), "p")
		if err == nil && place.CachedInfo().AckFloor.Stream != read {
			return fmt.Errorf("the place is at %+v", place.CachedInfo().AckFloor)
		}
		return err
	})
	eventually(t, func(ctx context.Context) error {
		ack, err := conn.js.Publish(ctx, "channel.x", nil, jetstream.WithMsgID("999"))
		if err == nil && (!ack.Duplicate || ack.Sequence != total) {
			t.Fatalf("a repetition was stored: %+v", ack)
		}
		return err
	})
	msgs, _, err := conn.Read(ctx, ReadRequest{Stream: Channels, Subject: "channel.x", FromSeq: 500, Limit: 1})
	if err != nil || len(msgs) != 1 || string(msgs[0].Data) != "499" {
		t.Errorf("read %v, %v", msgs, err)
	}
	if _, err := Open(ctx, alone, slog.New(slog.DiscardHandler)); fault.CodeOf(err) != fault.Usage {
		t.Errorf("a node of the cluster was started alone: %v", err)
	}
}

// allGrown returns nil when all streams of an account, and the place in it, are on n nodes and up to date there.
func allGrown(ctx context.Context, e *Engine, id AccountID, n int) error {
	conn, err := e.Acquire(ctx, id)
	if err != nil {
		return err
	}
	defer conn.Release()
	for _, c := range []*Conn{conn, e.home} {
		names := c.js.ListStreams(ctx)
		for info := range names.Info() {
			if err := grown(info.Config.Name, info.Cluster, n); err != nil {
				return err
			}
		}
		if names.Err() != nil {
			return names.Err()
		}
	}
	place, err := conn.js.Consumer(ctx, string(Channels), "p")
	if err != nil {
		return err
	}
	return grown("p", place.CachedInfo().Cluster, n)
}

func grown(name string, on *jetstream.ClusterInfo, n int) error {
	if on == nil || on.Leader == "" || len(on.Replicas) != n-1 {
		return fmt.Errorf("%s is not on %d nodes: %+v", name, n, on)
	}
	for _, r := range on.Replicas {
		if !r.Current {
			return fmt.Errorf("%s lags behind on %s", name, r.Name)
		}
	}
	return nil
}
