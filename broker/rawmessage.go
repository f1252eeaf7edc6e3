package broker

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Check refuses what no stream could hold: it is for messages that somebody else has written down.
func (m RawMessage) Check() error {
	switch {
	case m.Seq == 0 || m.Seq > math.MaxInt64:
		return errors.New("a message has no sequence")
	case m.Time.Before(time.Unix(0, 0)) || m.Time.After(time.Unix(0, math.MaxInt64)):
		return fmt.Errorf("message %d has no time that could be", m.Seq)
	case len(m.Header)+len(m.Data) > 2*maxPayload:
		return fmt.Errorf("message %d is longer than any can be", m.Seq)
	case len(m.Header) > 0 && (!bytes.HasPrefix(m.Header, []byte("NATS/1.0")) || !bytes.HasSuffix(m.Header, []byte("\r\n\r\n"))):
		return fmt.Errorf("message %d has a header that is none", m.Seq)
	case !literalSubject(m.Subject):
		return fmt.Errorf("message %d has no subject that could be", m.Seq)
	}
	return nil
}

// literalSubject reports whether a message may be published on s: tokens that are not empty, without wildcards and space.
func literalSubject(s string) bool {
	if len(s) > 4<<10 || strings.ContainsAny(s, " \t\r\n\f\x00") {
		return false
	}
	for token := range strings.SplitSeq(s, ".") {
		if token == "" || token == "*" || token == ">" {
			return false
		}
	}
	return true
}

// Check refuses what no server could have said of a stream.
func (i StreamImage) Check() error {
	var cfg server.StreamConfig
	if err := json.Unmarshal(i.Config, &cfg); err != nil {
		return fmt.Errorf("the configuration can't be read: %w", err)
	}
	switch {
	case cfg.Name != i.Name || len(cfg.Subjects) == 0:
		return errors.New("the configuration is one of another stream")
	case cfg.Mirror != nil || len(cfg.Sources) > 0 || cfg.SubjectTransform != nil:
		return errForeign
	case i.FirstSeq > i.LastSeq+1 || i.LastSeq > math.MaxInt64 || i.Bytes > math.MaxInt64:
		return errors.New("its sequences can't be")
	case i.Messages > 0 && (i.FirstSeq == 0 || i.Messages > i.LastSeq-i.FirstSeq+1):
		return errors.New("it can't have so many messages")
	}
	for _, place := range i.Places {
		if _, err := placeName(place); err != nil {
			return err
		}
	}
	return nil
}

// Subjects are what the stream stores.
func (i StreamImage) Subjects() []string {
	var cfg struct {
		Subjects []string `json:"subjects"`
	}
	_ = json.Unmarshal(i.Config, &cfg) // Check has read it
	return cfg.Subjects
}

// SubjectIn reports whether one of the filters, which may have wildcards, covers a subject.
func SubjectIn(subject string, filters []string) bool {
	return slices.ContainsFunc(filters, func(filter string) bool { return server.SubjectMatchesFilter(subject, filter) })
}

// placeName is the name of the durable consumer whose place it is.
func placeName(place json.RawMessage) (string, error) {
	var consumer struct {
		Config struct {
			Durable string `json:"durable_name"`
		} `json:"config"`
		State *server.ConsumerState `json:"state"`
	}
	if err := json.Unmarshal(place, &consumer); err != nil {
		return "", fmt.Errorf("a place can't be read: %w", err)
	}
	name := consumer.Config.Durable
	if name == "" || len(name) > 255 || strings.ContainsAny(name, " \t\r\n\f.*>/\\\x00") || consumer.State == nil {
		return "", errors.New("a place is of nobody")
	}
	return name, nil
}
