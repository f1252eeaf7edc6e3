package ws

import (
	"errors"
	"net"
	"syscall"
	"unsafe"
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

// send writes to a non-blocking socket once; b is not empty. sendto(2) is a shorter way to a socket than write(2).
func send(fd uintptr, b []byte) (int, error) { return transfer(syscall.SYS_SENDTO, fd, b) }

// receive reads from a non-blocking socket once; b is not empty. Zero bytes without an error mean that the peer has finished.
func receive(fd uintptr, b []byte) (int, error) { return transfer(syscall.SYS_RECVFROM, fd, b) }

// transfer makes a system call that never waits, so that the scheduler need not be told of it.
func transfer(call, fd uintptr, b []byte) (int, error) {
	for {
		//nolint:gosec // G103: the package syscall has no send and receive that return how much they moved
		n, _, err := syscall.RawSyscall6(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), syscall.MSG_NOSIGNAL, 0, 0)
		switch err {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		default:
			return 0, err
		}
	}
}
