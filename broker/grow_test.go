package broker

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
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
// a cluster, and lets two others join. When they say that they have everything, the first one may go.
func TestOneNodeGrowsIntoACluster(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	alone := c.cfgs[0]
	alone.Cluster = Cluster{}
	ctx := t.Context()
	const total, read = 1000, 10
	id, suspended := fillAlone(t, alone, total, read)
	c.start(0, 1, 2)
	if err := c.nodes[0].PutAccount(ctx, Account{ID: suspended, Name: "acme", Suspended: true}); err != nil {
		t.Fatal(err)
	}
	for _, e := range c.nodes {
		eventually(t, func(ctx context.Context) error { return allGrown(ctx, e, 4) })
		wantOwnCopy(t, e, id, total)
	}
	c.stop(0) // the one that had everything
	conn := mustAcquire(t, c.nodes[1], id)
	if copies := copiesOf(t, conn, Channels); copies != "live.channel.>" {
		t.Errorf("of what was stored by one node alone, copies are made on %q", copies)
	}
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

// fillAlone has a node store messages of one account, some of which a place has read, and a stream of another account.
func fillAlone(t *testing.T, cfg Config, total, read int) (id, other AccountID) {
	t.Helper()
	ctx := t.Context()
	e, err := Open(ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	id, other = mustAccount(t, e), mustAccount(t, e)
	for _, a := range []AccountID{id, other} {
		if err := mustAcquire(t, e, a).Ensure(ctx, Channels); err != nil {
			t.Fatal(err)
		}
	}
	conn := mustAcquire(t, e, id)
	if _, err := conn.Bucket(ctx, StateBucket); err != nil {
		t.Fatal(err)
	}
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
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return id, other
}

// allGrown returns nil when a node says that all nodes have a copy of so many streams, and that all copies are complete.
func allGrown(ctx context.Context, e *Engine, streams int) error {
	all, err := e.Members(ctx)
	if err != nil {
		return err
	}
	for _, m := range all {
		if !m.Alive || m.Streams != streams || m.Behind != 0 {
			return fmt.Errorf("of %d streams, %+v", streams, m)
		}
	}
	if len(all) != 3 {
		return fmt.Errorf("nodes: %+v", all)
	}
	return nil
}

// wantOwnCopy checks what this node itself has of an account: the messages, and the place on three nodes.
func wantOwnCopy(t *testing.T, e *Engine, id AccountID, messages uint64) {
	t.Helper()
	key, err := e.id.accountKey(id)
	if err != nil {
		t.Fatal(err)
	}
	info, err := e.server.Jsz(&server.JSzOptions{Account: key, Streams: true, Consumer: true})
	if err != nil || len(info.AccountDetails) != 1 {
		t.Fatal(info, err)
	}
	for _, s := range info.AccountDetails[0].Streams {
		if s.Name != string(Channels) {
			continue
		}
		if s.State.Msgs != messages {
			t.Errorf("%s has %d messages and is said to be complete", e.cfg.ServerName, s.State.Msgs)
		}
		if len(s.Consumer) != 1 || s.Consumer[0].Cluster == nil || len(s.Consumer[0].Cluster.Replicas) != 2 {
			t.Errorf("the place is not on three nodes, as %s knows it: %+v", e.cfg.ServerName, s.Consumer)
		}
		return
	}
	t.Errorf("%s has none of the messages", e.cfg.ServerName)
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
