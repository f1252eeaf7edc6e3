package broker

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"parley/internal/fault"
)

// SweptKey is a key that EraseRevisions writes into a bucket, without a value: watchers pass it over.
const SweptKey = "=swept"

// EraseRevisions overwrites on the disk what a bucket of the broker's own still holds of a key's earlier values, and of its
// deletion when nothing has come after that and marker is true: whoever watches the bucket has to know of it by then. A
// bucket drops values without touching the bytes. The last value stays. In a cluster the nodes' logs of changes forget
// the values some minutes later. Erasing what is erased succeeds.
func (e *Engine) EraseRevisions(ctx context.Context, bucket, key string, marker bool) error {
	stream, err := e.home.js.Stream(ctx, BucketStream(bucket))
	if err == nil {
		err = eraseRevisions(ctx, stream, "$KV."+bucket+"."+key, marker)
	}
	if err == nil {
		err = e.rewriteIndex(ctx, stream, bucket)
	}
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "What %s held could not be erased now.", key)
	}
	return nil
}

func eraseRevisions(ctx context.Context, stream jetstream.Stream, subject string, marker bool) error {
	var before *jetstream.RawStreamMsg
	for next := uint64(1); ; {
		m, err := stream.GetMsg(ctx, next, jetstream.WithGetMsgSubject(subject))
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			if before != nil && marker && before.Header.Get("KV-Operation") != "" {
				return eraseMessage(ctx, stream, before.Sequence)
			}
			return nil
		case err != nil:
			return err
		}
		if before != nil {
			if err := eraseMessage(ctx, stream, before.Sequence); err != nil {
				return err
			}
		}
		before, next = m, m.Sequence+1
	}
}

// eraseMessage overwrites a message; somebody else may have been faster. What the server says of that the client hands on as
// text only, so that it is looked for.
func eraseMessage(ctx context.Context, stream jetstream.Stream, seq uint64) error {
	err := stream.SecureDeleteMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
		if _, gone := stream.GetMsg(ctx, seq); errors.Is(gone, jetstream.ErrMsgNotFound) {
			return nil
		}
	}
	return err
}

// makeErasable makes the stream of a bucket, when there is none, as jetstream.CreateKeyValue does, but so that messages can
// be erased one by one.
func (c *Conn) makeErasable(ctx context.Context, cfg jetstream.KeyValueConfig) error {
	dedupe := 2 * time.Minute // the server's own
	if cfg.TTL > 0 {
		dedupe = min(dedupe, cfg.TTL)
	}
	_, err := c.js.CreateStream(ctx, jetstream.StreamConfig{
		MaxAge: cfg.TTL, Duplicates: dedupe, MaxBytes: cfg.MaxBytes, MaxMsgSize: cfg.MaxValueSize,
		Name: BucketStream(cfg.Bucket), Description: cfg.Description, Subjects: []string{"$KV." + cfg.Bucket + ".>"},
		MaxMsgsPerSubject: int64(max(cfg.History, 1)), Discard: jetstream.DiscardNew, Storage: cfg.Storage, Replicas: c.engine.replicas(),
		AllowRollup: true, AllowDirect: !c.engine.Clustered(),
		AllowMsgTTL: cfg.LimitMarkerTTL > 0, SubjectDeleteMarkerTTL: cfg.LimitMarkerTTL,
	})
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return nil
	}
	return err
}

// rewriteIndex has the server write the index of a bucket, which names its keys, anew: it does so when it purges. The last
// message stays, so that the stream's last sequence is one that can be read.
func (e *Engine) rewriteIndex(ctx context.Context, stream jetstream.Stream, bucket string) error {
	subject := "$KV." + bucket + "." + SweptKey
	for range 2 {
		if _, err := e.home.js.Publish(ctx, subject, nil); err != nil {
			return err
		}
	}
	return stream.Purge(ctx, jetstream.WithPurgeSubject(subject), jetstream.WithPurgeKeep(1))
}
