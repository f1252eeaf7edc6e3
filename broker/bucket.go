package broker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"parley/internal/fault"
)

// The buckets of a tenant's account.
const (
	StateBucket    = "state"    // what the nodes share about its agents: presence, status, inbox positions
	SessionsBucket = "sessions" // what is known of its conversations beside their logs
	RoomsBucket    = "rooms"    // its meet rooms and who is in them
)

// markerTTL is how long the trace of an expired or deleted key is kept for watchers.
const markerTTL = time.Minute

// Bucket opens one of the tenant's buckets, making it when it does not exist. Keys may be given a TTL.
func (c *Conn) Bucket(ctx context.Context, name string) (jetstream.KeyValue, error) {
	kv, err := c.openBucket(ctx, jetstream.KeyValueConfig{
		Bucket: c.bucketName(name), Storage: jetstream.FileStorage, History: 1, LimitMarkerTTL: markerTTL,
	})
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "The tenant's store can't be reached now.")
	}
	return kv, nil
}

// PutState writes a key of the StateBucket, nil to delete it, without waiting for the answer: what is written there
// describes the moment, and the next write mends a lost one. The bucket must have been opened with Bucket.
func (c *Conn) PutState(key string, value []byte) error {
	msg := nats.NewMsg("$KV." + c.bucketName(StateBucket) + "." + key)
	msg.Data = value
	if value == nil {
		msg.Header.Set("KV-Operation", "PURGE")
		msg.Header.Set(nats.MsgRollup, nats.MsgRollupSubject)
	}
	return c.nc.PublishMsg(msg)
}

// HasBucket reports whether one of the tenant's buckets was ever opened.
func (c *Conn) HasBucket(ctx context.Context, name string) (bool, error) {
	_, err := c.js.KeyValue(ctx, c.bucketName(name))
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return false, nil
	}
	return err == nil, err
}

// BucketStream is what a backup calls the stream that holds a bucket.
func BucketStream(bucket string) string { return "KV_" + bucket }

// bucketName is what NATS calls a bucket. A service says itself where it wants to be answered, and NATS asks nobody whether
// it may write there: so nobody but the broker knows where the records are (docs/adr/0015).
func (c *Conn) bucketName(name string) string { return name + "-" + c.mark }

// bucketMark makes a mark for the names of an account's buckets out of its secret.
func bucketMark(secret []byte) string {
	sum := sha256.Sum256(append([]byte("buckets "), secret...))
	return hex.EncodeToString(sum[:8])
}

// buckets are those of every tenant.
var buckets = [...]string{StateBucket, SessionsBucket, RoomsBucket}

// disguise is how one of the tenant's buckets is called in backups, and how in this installation.
type disguise struct{ stream, held, subjects, heldSubjects string }

// disguises returns those of all buckets.
func (c *Conn) disguises() (all []disguise) {
	for _, b := range buckets {
		held := c.bucketName(b)
		all = append(all, disguise{BucketStream(b), BucketStream(held), "$KV." + b + ".", "$KV." + held + "."})
	}
	return all
}

// held returns the disguise of a stream that a backup calls name; of one without it is a disguise that changes nothing.
func (c *Conn) held(name string) disguise {
	for _, d := range c.disguises() {
		if d.stream == name {
			return d
		}
	}
	return disguise{stream: name, held: name}
}

// shown is the reverse of held.
func (c *Conn) shown(held string) disguise {
	for _, d := range c.disguises() {
		if d.held == held {
			return d
		}
	}
	return disguise{stream: held, held: held}
}

// lift returns a subject of this installation as a backup has it.
func (d disguise) lift(subject string) string { return swapPrefix(subject, d.heldSubjects, d.subjects) }

// put returns a subject of a backup as this installation has it.
func (d disguise) put(subject string) string { return swapPrefix(subject, d.subjects, d.heldSubjects) }

func swapPrefix(s, from, to string) string {
	if rest, ok := strings.CutPrefix(s, from); ok {
		return to + rest
	}
	return s
}

// openBucket opens a key-value bucket of the account, making it when it does not exist.
func (c *Conn) openBucket(ctx context.Context, cfg jetstream.KeyValueConfig) (kv jetstream.KeyValue, err error) {
	err = c.engine.persist(ctx, func(ctx context.Context) (err error) {
		kv, err = c.tryBucket(ctx, cfg)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", cfg.Bucket, err)
	}
	return kv, nil
}

func (c *Conn) tryBucket(ctx context.Context, cfg jetstream.KeyValueConfig) (jetstream.KeyValue, error) {
	cfg.Replicas = c.engine.replicas()
	kv, err := c.js.CreateKeyValue(ctx, cfg)
	if errors.Is(err, jetstream.ErrBucketExists) {
		kv, err = c.js.KeyValue(ctx, cfg.Bucket)
	}
	if err == nil && c.engine.Clustered() {
		kv, err = c.readFromLeader(ctx, kv)
	}
	return kv, err
}

// readFromLeader has a bucket answered by its leader only: another node's copy may lag behind, and somebody who writes on
// one node and reads on another would not find it.
func (c *Conn) readFromLeader(ctx context.Context, kv jetstream.KeyValue) (jetstream.KeyValue, error) {
	stream, err := c.js.Stream(ctx, BucketStream(kv.Bucket()))
	if err != nil {
		return nil, err
	}
	cfg := stream.CachedInfo().Config
	if !cfg.AllowDirect {
		return kv, nil
	}
	cfg.AllowDirect = false
	if _, err := c.js.UpdateStream(ctx, cfg); err != nil {
		return nil, err
	}
	return c.js.KeyValue(ctx, kv.Bucket())
}
