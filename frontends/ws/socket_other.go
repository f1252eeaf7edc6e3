//go:build !linux

package ws

import (
	"errors"
	"net"
	"syscall"
)

// rawConn returns nil: outside Linux all connections use the net package's reads and writes.
func rawConn(net.Conn) syscall.RawConn { return nil }

func wouldBlock(error) bool { return false }

func send(uintptr, []byte) (int, error) { return 0, errors.ErrUnsupported }

func receive(uintptr, []byte) (int, error) { return 0, errors.ErrUnsupported }
