package broker

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

const (
	// pipeBuffer is how much is read from the server at once. It grows for a message that is larger.
	pipeBuffer = 32 << 10
	// maxSpare bounds the buffer that is kept between two writes.
	maxSpare = 256 << 10
	// maxGather bounds how long a write waits for more messages.
	maxGather = time.Millisecond
)

// pipe is a Link to the server in this process. One goroutine reads and calls the takers, another writes whatever has
// gathered meanwhile in one piece. A connection that is lost is made again with all its subscriptions.
type pipe struct {
	engine  *Engine
	account AccountID
	lost    func() // called after messages may have been missed
	ending  chan struct{}
	ended   chan struct{} // closed when run has ended
	wake    chan struct{} // told when out is no longer empty
	enough  chan struct{} // told when out has as much as the writer wants

	mu     sync.Mutex
	conn   net.Conn        // guarded by mu; nil while there is none
	out    []byte          // guarded by mu; to be written
	count  int             // guarded by mu; how many messages out has
	wanted int             // guarded by mu; how many the writer waits for, 0 when it does not
	spare  []byte          // guarded by mu; for out
	pongs  []chan struct{} // guarded by mu; who waits for the server's, in order
	lastID uint64          // guarded by mu
	closed bool            // guarded by mu

	arrival Arrival // what is being taken; touched by the reader only

	subsMu sync.RWMutex        // may be locked under mu
	subs   map[uint64]*LinkSub // guarded by subsMu
}

func newPipe(e *Engine, a AccountID, lost func()) *pipe {
	return &pipe{
		engine: e, account: a, lost: lost, ending: make(chan struct{}), ended: make(chan struct{}),
		wake: make(chan struct{}, 1), enough: make(chan struct{}, 1), subs: map[uint64]*LinkSub{},
	}
}

// open connects. Nobody else uses the pipe yet.
func (p *pipe) open() error {
	conn, in, err := p.dial()
	if err != nil {
		return err
	}
	p.conn = conn
	go p.run(in)
	return nil
}

// close ends the pipe and waits for its goroutines.
func (p *pipe) close() {
	p.mu.Lock()
	p.closed = true
	conn := p.conn
	p.mu.Unlock()
	close(p.ending)
	if conn != nil {
		_ = conn.Close()
	}
	<-p.ended
}

// Publish implements Link.
func (p *pipe) Publish(m Departure) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn == nil {
		return errUnlinked
	}
	p.out = appendPublish(p.out, m)
	p.count++
	switch {
	case p.count == p.wanted:
		nudge(p.enough)
	case p.count == 1:
		p.nudge()
	}
	return nil
}

// Subscribe implements Link.
func (p *pipe) Subscribe(subject string, t Taker) (*LinkSub, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errUnlinked
	}
	p.lastID++
	s := &LinkSub{subject: subject, taker: t, id: p.lastID, paused: true}
	p.subsMu.Lock()
	p.subs[s.id] = s
	p.subsMu.Unlock()
	p.out = appendSubscribe(p.out, s)
	p.nudge()
	return s, nil
}

// Unsubscribe implements Link.
func (p *pipe) Unsubscribe(s *LinkSub) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.subsMu.Lock()
	delete(p.subs, s.id)
	p.subsMu.Unlock()
	p.out = appendUnsubscribe(p.out, s)
	p.nudge()
}

// Flush implements Link.
func (p *pipe) Flush(ctx context.Context) error {
	pong := make(chan struct{})
	p.mu.Lock()
	if p.conn == nil {
		p.mu.Unlock()
		return errUnlinked
	}
	p.pongs = append(p.pongs, pong)
	p.out = append(p.out, "PING\r\n"...)
	p.nudge()
	nudge(p.enough) // somebody waits
	p.mu.Unlock()
	select {
	case <-pong:
		return nil
	case <-p.ending:
		return errUnlinked
	case <-ctx.Done():
		return ctx.Err()
	}
}

// nudge has the writer look. Under mu.
func (p *pipe) nudge() { nudge(p.wake) }

func nudge(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// run serves one connection after the other until the pipe is closed.
func (p *pipe) run(in *bufio.Reader) {
	defer close(p.ended)
	for in != nil {
		p.exchange(in)
		if in = p.redial(); in != nil {
			p.lost()
		}
	}
}

// exchange reads and writes until the connection fails.
func (p *pipe) exchange(in *bufio.Reader) {
	var writing sync.WaitGroup
	broken := make(chan struct{})
	conn := p.conn // set by this goroutine
	writing.Go(func() { p.write(conn, broken) })
	err := p.read(in)
	p.mu.Lock()
	p.conn, p.out, p.count = nil, nil, 0
	closed := p.closed
	p.mu.Unlock()
	_ = conn.Close()
	close(broken)
	writing.Wait()
	if !closed {
		p.engine.log.Warn("a link to the store was lost", "account", p.account, "err", err)
	}
}

// write sends what gathers until the connection is broken.
func (p *pipe) write(conn net.Conn, broken <-chan struct{}) {
	late := time.NewTimer(time.Hour)
	defer late.Stop()
	last := 0 // how many messages the last write had
	for {
		select {
		case <-p.wake:
		case <-broken:
			return
		}
		p.mu.Lock()
		if p.count > 0 { // else it is about subscriptions
			if p.count < last {
				p.gather(last, late)
			}
			last = p.count
		}
		b := p.out
		p.out, p.spare, p.count = p.spare[:0], nil, 0
		p.mu.Unlock()
		if len(b) == 0 {
			continue
		}
		if _, err := conn.Write(b); err != nil {
			_ = conn.Close() // the reader sees it
			return
		}
		if cap(b) <= maxSpare {
			p.mu.Lock()
			p.spare = b
			p.mu.Unlock()
		}
	}
}

// gather waits for as many messages as the last write had, but not for long: each write has half a dozen goroutines between
// here and the disk wake one another. Who waits for an answer before the next message is gathered with others of the same
// kind, a message that is alone waits for nobody, and those that come anyhow make each write larger than the last, up to
// what comes in maxGather. Under mu, which it gives away meanwhile.
func (p *pipe) gather(want int, late *time.Timer) {
	select { // of a write before
	case <-p.enough:
	default:
	}
	p.wanted = want
	p.mu.Unlock()
	late.Reset(maxGather)
	select {
	case <-p.enough:
	case <-late.C:
	}
	p.mu.Lock()
	p.wanted = 0
}

// read hands over what arrives until the connection fails.
func (p *pipe) read(in *bufio.Reader) error {
	buf, n := make([]byte, pipeBuffer), 0
	var took []*LinkSub
	for {
		k, err := in.Read(buf[n:])
		if err != nil {
			return err
		}
		n += k
		used, need := 0, 0
		for used < n {
			var o operation
			var size int
			if o, size, need, err = nextOperation(buf[used:n]); err != nil {
				return err
			}
			if size == 0 {
				break
			}
			used += size
			if took, err = p.carryOut(o, took); err != nil {
				return err
			}
		}
		for i, s := range took {
			s.paused = true
			s.taker.Pause()
			took[i] = nil
		}
		took = took[:0]
		n = copy(buf, buf[used:n])
		if need > len(buf) {
			buf = append(buf[:n], make([]byte, need-n)...)
		}
	}
}

// carryOut acts on one operation and returns the subscriptions that have taken something since their last pause.
func (p *pipe) carryOut(o operation, took []*LinkSub) ([]*LinkSub, error) {
	switch o.op {
	case opMsg:
		p.subsMu.RLock()
		s := p.subs[o.sid]
		p.subsMu.RUnlock()
		if s == nil {
			return took, nil
		}
		if s.paused {
			s.paused = false
			took = append(took, s)
		}
		p.arrival = Arrival{Sub: s, Subject: o.subject, Reply: o.reply, Header: o.header, Data: o.data}
		s.taker.Take(&p.arrival)
	case opPing:
		p.mu.Lock()
		p.out = append(p.out, "PONG\r\n"...)
		p.nudge()
		p.mu.Unlock()
	case opPong:
		p.mu.Lock()
		if len(p.pongs) > 0 {
			close(p.pongs[0])
			p.pongs = p.pongs[1:]
		}
		p.mu.Unlock()
	case opErr:
		return took, fmt.Errorf("the server says %s", o.text)
	case opOther:
	}
	return took, nil
}
