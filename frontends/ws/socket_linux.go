package ws

import (
	"errors"
	"net"
	"syscall"
)

// rawConn returns the descriptor of a plain socket, and nil for everything else: TLS, or a wrapper that may hold bytes of
// its own.
func rawConn(nc net.Conn) syscall.RawConn {
	var sc syscall.Conn
	switch c := nc.(type) {
	case *net.TCPConn:
		sc = c
	case *net.UnixConn:
		sc = c
	default:
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// wouldBlock reports whether err means that the kernel's buffer is full, or empty.
func wouldBlock(err error) bool { return errors.Is(err, syscall.EAGAIN) }

// send writes to a non-blocking socket once.
func send(fd uintptr, b []byte) (int, error) {
	for {
		n, err := syscall.Write(int(fd), b)
		if !errors.Is(err, syscall.EINTR) {
			return max(n, 0), err
		}
	}
}

// receive reads from a non-blocking socket once. Zero bytes without an error mean that the peer has finished.
func receive(fd uintptr, b []byte) (int, error) {
	for {
		n, err := syscall.Read(int(fd), b)
		if !errors.Is(err, syscall.EINTR) {
			return max(n, 0), err
		}
	}
}
