package backup

import (
	"fmt"
	"path"
	"time"

	"parley/broker"
	"parley/internal/fault"
	"parley/tenants"
)

// The files of an archive, in their order:
//
//	parley-backup.json                                   Header
//	tenants/ID/tenant.json                               the record
//	tenants/ID/streams/NAME/stream.json                  broker.StreamImage
//	tenants/ID/streams/NAME/messages-000001.jsonl        one message a line; then 000002 and so on
//	…
//	SHA256SUMS                                           of all files before it, as sha256sum -c reads it
const (
	headerFile  = "parley-backup.json"
	sumsFile    = "SHA256SUMS"
	tenantsDir  = "tenants"
	recordFile  = "tenant.json"
	streamFile  = "stream.json"
	messagesFmt = "messages-%06d.jsonl"
	failureFile = "FAILED" // in the place of SHA256SUMS: why the backup could not be finished
)

// formatName and formatVersion stand in the header, so that a later version can tell what it reads.
const (
	formatName    = "parley-backup"
	formatVersion = 1
)

// Bounds on what is read into memory, whatever an archive claims.
const (
	maxHeaderBytes  = 64 << 10
	maxRecordBytes  = 4 << 20
	maxStreamBytes  = 64 << 20 // it holds a place for each durable consumer
	maxSumsBytes    = 256 << 20
	maxMessageBytes = 4 << 20 // of a line
	chunkBytes      = 2 << 20 // a file of messages ends with the message that makes it longer
	maxChunkBytes   = chunkBytes + maxMessageBytes
)

// Header says what an archive is.
type Header struct {
	Format  string    `json:"format"`
	Version int       `json:"version"`
	Created time.Time `json:"created"`
	Parley  string    `json:"parley"`  // the version that wrote it
	Secrets bool      `json:"secrets"` // it holds what tokens are signed with
}

func (h Header) check() error {
	if h.Format != formatName {
		return foreign("it does not begin as one")
	}
	if h.Version != formatVersion {
		return fault.New(fault.InvalidFormat, "The backup has the format %d; this version of parley reads %d.", h.Version, formatVersion).
			WithFix("Use a newer version of parley.")
	}
	return nil
}

func foreign(why string, args ...any) error {
	return fault.New(fault.InvalidFormat, "This is not a backup of parley: %s.", fmt.Sprintf(why, args...))
}

// damaged says that an archive is not as it was written.
func damaged(why string, args ...any) error {
	return fault.New(fault.InvalidFormat, "The backup is damaged: %s.", fmt.Sprintf(why, args...)).
		WithFix("Nothing of it was restored. Use another backup.")
}

// validStream reports whether a stream or bucket may be called so: neither separators nor wildcards.
func validStream(name string) bool {
	if name == "" || len(name) > 255 {
		return false
	}
	for _, c := range []byte(name) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}

func recordPath(t tenants.ID) string { return path.Join(tenantsDir, string(t), recordFile) }

func streamPath(t tenants.ID, stream, file string) string {
	return path.Join(tenantsDir, string(t), "streams", stream, file)
}

func messagesPath(t tenants.ID, stream string, number int) string {
	return streamPath(t, stream, fmt.Sprintf(messagesFmt, number))
}

// Counts says how much of something there is.
type Counts struct {
	Streams  int    `json:"streams"`  // of the tenant
	Messages uint64 `json:"messages"` // of all streams
	Bytes    uint64 `json:"bytes"`    // of messages with their headers
	Places   int    `json:"places"`   // of consumers: how far somebody has read
}

func (c *Counts) message(m broker.RawMessage) {
	c.Messages++
	c.Bytes += uint64(len(m.Header) + len(m.Data))
}

// TenantSummary is what an archive holds of a tenant.
type TenantSummary struct {
	Counts

	Tenant  tenants.ID `json:"tenant"`   // id of the tenant in the archive
	Keys    int        `json:"keys"`     // how many, the dead ones included
	APIKeys int        `json:"api_keys"` // how many, the dead ones included
}
