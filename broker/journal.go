package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"parley/internal/fault"
)

// Journal is a log in the broker's own account, which no tenant can reach and all nodes share. Entries are never changed.
// Its methods may be called concurrently.
type Journal struct {
	conn *Conn
	name string // of the stream
	root string // of its subjects, with the dot
}

// journalDedupe is how long the id of an entry is remembered, in case that one has to be sent twice.
const journalDedupe = 2 * time.Minute

// Journal opens, and at first use creates, the journal of that name. Entries older than retention are dropped. A journal
// that exists takes over a new retention.
func (e *Engine) Journal(ctx context.Context, name Token, retention time.Duration) (*Journal, error) {
	j := &Journal{conn: e.home, name: "JOURNAL_" + string(name), root: "journal." + string(name) + "."}
	cfg := jetstream.StreamConfig{
		Name: j.name, Subjects: []string{j.root + ">"}, Storage: jetstream.FileStorage, MaxAge: retention,
		Duplicates: min(journalDedupe, retention), AllowDirect: true, DenyDelete: true,
	}
	err := e.persist(ctx, func(ctx context.Context) error {
		cfg.Replicas = e.replicas()
		_, err := e.home.js.CreateStream(ctx, cfg)
		if !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return err
		}
		stream, err := e.home.js.Stream(ctx, j.name)
		if err != nil || stream.CachedInfo().Config.MaxAge == retention {
			return err
		}
		changed := stream.CachedInfo().Config
		changed.MaxAge, changed.Duplicates = cfg.MaxAge, cfg.Duplicates
		_, err = e.home.js.UpdateStream(ctx, changed)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open the journal %s: %w", name, err)
	}
	return j, nil
}

// Append adds an entry, which survives a power cut when Append returns nil. id is the entry's own: a second one with the
// same id is left out. topic, one token or several with dots, is what Read can be limited to.
func (j *Journal) Append(ctx context.Context, topic Name, id string, entry []byte) error {
	msg := nats.NewMsg(j.root + string(topic))
	msg.Data = entry
	err := j.conn.Insist(ctx, func(ctx context.Context) error {
		_, err := j.conn.js.PublishMsg(ctx, msg, jetstream.WithMsgID(id), jetstream.WithExpectStream(j.name))
		return err
	})
	if err == nil {
		err = j.conn.engine.Sync()
	}
	if err != nil {
		return fault.Wrap(fault.Unavailable, fmt.Errorf("append to %s: %w", j.name, err), "The journal can't be written now.")
	}
	return nil
}

// Read returns entries in order: of one topic or, when that is "", of all; from a sequence on or, when that is 0, from a
// time on; and whether there are more behind them.
func (j *Journal) Read(ctx context.Context, topic Name, from uint64, since time.Time, limit int) (entries []Stored, more bool, err error) {
	subject := j.root + string(topic)
	if topic == "" {
		subject += ">"
	}
	return j.conn.Read(ctx, ReadRequest{
		Stream: Stream(j.name), Subject: Subject(subject), FromSeq: from, FromTime: since, Limit: limit,
	})
}
