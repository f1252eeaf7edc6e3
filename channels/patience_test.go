package channels

import (
	"context"
	"errors"
	"testing"

	"parley/internal/fault"
)

// TestImpatience: who does not wait until a tenant or a topic is open is told that it can't be reached now, not that the
// broker is broken.
func TestImpatience(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	hub := startNode(t, t.TempDir(), Config{}).hub
	opening := newSpace(hub, "acme", "account")
	hub.mu.Lock()
	hub.spaces["acme"] = opening
	hub.mu.Unlock()
	defer func() { // the hub waits for it when it ends
		opening.err = errors.New("never opened")
		close(opening.ready)
	}()
	if _, err := hub.Open(ctx, "acme", "account"); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("a tenant that opens slowly: %v", err)
	}
	general := Address{Tenant: "acme", Channel: "general"}
	opening.topics[general.Subject()] = &topic{space: opening, addr: general, ready: make(chan struct{})}
	if _, err := opening.topic(ctx, general); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("a channel that opens slowly: %v", err)
	}
	if opening.refs != 0 || opening.topics[general.Subject()].refs != 0 {
		t.Error("references are left")
	}
}
