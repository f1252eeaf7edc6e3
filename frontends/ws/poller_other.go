//go:build !linux

package ws

import "errors"

// poller is what only Linux has: elsewhere a connection keeps its goroutine.
type poller struct{}

func newPoller(func(uint64)) (*poller, error) { return nil, errors.ErrUnsupported }

func (*poller) watch(uintptr, uint64, bool) error { return errors.ErrUnsupported }

func (*poller) close() {}
