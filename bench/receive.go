package bench

import (
	"fmt"
	"io"
	"net"

	"golang.org/x/sys/unix"
)

// receive hands over what comes until the connection ends. It reads with one system call for each time that something
// has come: a read that does not fill the buffer has emptied the socket, and the poller will tell of more. What it would
// not tell of separately is an end that came together with the last bytes; a broker says goodbye in those.
func (l *link) receive() error {
	tcp, ok := l.conn.(*net.TCPConn)
	if !ok {
		return fmt.Errorf("a connection of type %T", l.conn)
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	if err := l.reader.consume(append([]byte(nil), l.reader.rest...)); err != nil { // came with the handshake
		return err
	}
	var end error
	err = raw.Read(func(fd uintptr) (done bool) {
		for {
			drained, err := l.receiveOnce(int(fd))
			if err != nil {
				end = err
				return true
			}
			if drained {
				return false
			}
		}
	})
	if end != nil {
		return end
	}
	return err
}

// receiveOnce reads once, and reports whether there is nothing more for now.
func (l *link) receiveOnce(fd int) (drained bool, err error) {
	buf := l.buffers.take()
	defer l.buffers.give(buf)
	have := copy(buf[:], l.reader.rest)
	n, err := unix.Read(fd, buf[have:])
	switch {
	case err == unix.EAGAIN:
		return true, nil
	case err == unix.EINTR:
		return false, nil
	case err != nil:
		return false, err
	case n == 0:
		return false, io.EOF
	}
	return n < len(buf)-have, l.reader.consume(buf[:have+n])
}
