package acks

import (
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go"

	"parley/internal/fault"
)

// JetStream's codes for a store that has no room left, from the server's list of errors.
const (
	codeAccountResources = 10002
	codeStorageResources = 10047
	codeMemoryResources  = 10028
	codeStoreFailed      = 10077 // maximum messages or bytes of a stream that discards new ones
)

// parsePubAck reads the stream's answer.
func parsePubAck(m *nats.Msg) Outcome {
	if status := m.Header.Get("Status"); status != "" {
		// 503 is "no responders": there was nobody to store it, so that it is surely not stored.
		return Outcome{Err: fault.Wrap(fault.Unavailable, fmt.Errorf("status %s", status), "The message was not stored: the store can't be reached now.")}
	}
	var ack struct {
		Seq       uint64 `json:"seq"`
		Duplicate bool   `json:"duplicate"`
		Error     *struct {
			Code        int    `json:"err_code"`
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &ack); err != nil {
		return Outcome{Err: unknown(fmt.Errorf("read the stream's answer: %w", err))}
	}
	if ack.Error == nil {
		return Outcome{Seq: ack.Seq, Duplicate: ack.Duplicate}
	}
	cause := fmt.Errorf("the stream refused: %s (%d)", ack.Error.Description, ack.Error.Code)
	switch ack.Error.Code {
	case codeAccountResources, codeStorageResources, codeMemoryResources, codeStoreFailed:
		return Outcome{Err: fault.Wrap(fault.StorageFull, cause, "The message was not stored: the tenant's storage is full.")}
	}
	return Outcome{Err: fault.Wrap(fault.Unavailable, cause, "The message was not stored: the store refused it.")}
}
