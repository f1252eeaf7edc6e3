package worker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// How long a courier waits before it sends again what a session could not take.
const (
	firstPause = 250 * time.Millisecond
	longPause  = 2 * time.Second
)

// incomingBuffer is what may lie between NATS and a courier. Replies are cumulative, so one that is dropped is missed
// only when it was the last; then it is asked for again.
const incomingBuffer = 4 * window

// courier brings what is in an outbox to the session, exactly once and in order, whatever happens in between.
type courier struct {
	link     *link
	box      *outbox
	request  *Request
	patience time.Duration
	beat     time.Duration
	accepted chan struct{} // closed when the session has confirmed the first message

	incoming chan *nats.Msg // replies, and what is said on the control subject
	inbox    string
	round    int // how often everything was sent again; replies to earlier rounds tell no news of failures

	isAccepted bool
	lastSent   time.Time
	replyBy    time.Time     // when what is under way should have been confirmed
	holdUntil  time.Time     // when everything is sent again; until then nothing is. Zero means that all is well.
	pause      time.Duration // the next time that something fails
}

func newCourier(l *link, box *outbox, r *Request, cfg Config) *courier {
	return &courier{
		link: l, box: box, request: r, patience: cfg.Patience, beat: cfg.Heartbeat,
		accepted: make(chan struct{}), incoming: make(chan *nats.Msg, incomingBuffer), inbox: l.nc.NewInbox(), pause: firstPause,
	}
}

// run delivers until the answer is whole and confirmed, which is nil, or until there is no use in it, or ctx ends.
func (c *courier) run(ctx context.Context) error {
	for _, subject := range []string{c.inbox + ".*", c.request.Control} {
		sub, err := c.link.nc.ChanSubscribe(subject, c.incoming)
		if err != nil {
			return fmt.Errorf("subscribe to replies: %w", err)
		}
		defer func() { _ = sub.Unsubscribe() }() // the connection may be closed
	}
	back := c.link.cameBack()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		next, done := c.advance(time.Now())
		if done {
			return nil
		}
		timer.Reset(time.Until(next))
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case m := <-c.incoming:
			if err := c.hear(m); err != nil {
				return err
			}
		case <-back:
			if c.link.nc.IsClosed() {
				return nats.ErrConnectionClosed
			}
			back = c.link.cameBack()
			c.holdUntil = time.Now() // what was under way may be lost
		case <-c.box.changed:
		case <-timer.C:
		}
	}
}

// advance sends what is to be sent now, and returns when to look again, or that there is nothing left.
func (c *courier) advance(now time.Time) (next time.Time, done bool) {
	confirmed, underWay, done := c.box.state()
	if confirmed > 0 && !c.isAccepted {
		c.isAccepted = true
		close(c.accepted)
	}
	if done {
		return now, true
	}
	if !c.link.nc.IsConnected() { // sent now it would pile up; all of it is sent when the connection is back
		return now.Add(c.patience), false
	}
	switch {
	case !c.holdUntil.IsZero():
		if now.Before(c.holdUntil) {
			return c.holdUntil, false
		}
		c.again(now)
	case underWay && !now.Before(c.replyBy):
		c.grow()
		c.again(now)
	case !now.Before(c.lastSent.Add(c.beat)) && c.isAccepted:
		c.send(now, c.box.heartbeat())
	}
	if !underWay {
		c.replyBy = time.Time{}
	}
	c.send(now, c.box.take(now)...)
	return c.nextLook(now), false
}

func (c *courier) nextLook(now time.Time) time.Time {
	next := now.Add(c.beat)
	if c.isAccepted {
		next = c.lastSent.Add(c.beat)
	}
	if _, underWay, _ := c.box.state(); underWay && c.replyBy.Before(next) {
		next = c.replyBy
	}
	if due, waits := c.box.wake(); waits && due.Before(next) {
		next = due
	}
	return next
}

// again sends everything that is unconfirmed once more, or asks for a sign of life.
func (c *courier) again(now time.Time) {
	c.round++
	c.holdUntil = time.Time{}
	lost := c.box.unconfirmed()
	if len(lost) == 0 && c.isAccepted {
		lost = append(lost, c.box.heartbeat())
	}
	c.replyBy = time.Time{}
	c.send(now, lost...)
}

func (c *courier) send(now time.Time, messages ...encoded) {
	for _, m := range messages {
		// An error means that the connection is gone or full; both show in the missing reply.
		_ = c.link.nc.PublishMsg(&nats.Msg{Subject: c.request.ReplyTo, Reply: c.inbox + "." + strconv.Itoa(c.round), Data: m.data})
		c.lastSent = now
	}
	if len(messages) > 0 && !c.replyBy.After(now) {
		c.replyBy = now.Add(c.patience + c.pause - firstPause)
	}
}

// hear takes in what the session says. It returns an error when there is no use in going on.
func (c *courier) hear(m *nats.Msg) error {
	if m.Subject == c.request.Control {
		return c.noticed(m.Data)
	}
	current := strings.TrimPrefix(m.Subject, c.inbox+".") == strconv.Itoa(c.round)
	if len(m.Data) == 0 && m.Header.Get("Status") == "503" { // nobody is there: the node may have died
		c.failed(current)
		return nil
	}
	v, err := parseVerdict(m.Data)
	if err != nil {
		c.link.log.Warn("a reply that makes no sense", "error", err)
		return nil
	}
	if v.OK {
		c.confirmed(v.N)
		return nil
	}
	switch v.Error.Code {
	case codeGone:
		return ErrGone
	case codeOutOfOrder:
		return c.outOfOrder(v.N, current)
	case codeUnavailable, codeDraining, codeOutcomeUnknown, codeStorageFull:
		c.failed(current)
		return nil
	default:
		return fmt.Errorf("%w: %w", ErrRefused, v.Error)
	}
}

// settled reports whether the request need not be delivered to anybody else, given why the answer has ended, if it has.
func (c *courier) settled(ended error) bool {
	select {
	case <-c.accepted:
		return true
	default:
		return errors.Is(ended, ErrGone) || errors.Is(ended, ErrStopped) || errors.Is(ended, ErrDeadline)
	}
}

func (c *courier) noticed(data []byte) error {
	if n, err := parseNotice(data); err == nil && n.Type == noticeStop && n.Run == c.request.Run && n.Attempt == c.request.Attempt {
		return ErrStopped
	}
	return nil
}

// confirmed notes that the log has everything up to n.
func (c *courier) confirmed(n uint64) (news bool) {
	if news = c.box.confirm(n); news {
		c.pause, c.replyBy = firstPause, time.Now().Add(c.patience)
	}
	return news
}

// outOfOrder notes that the log ends with n.
func (c *courier) outOfOrder(n uint64, current bool) error {
	if !current {
		return nil
	}
	if !c.box.has(n + 1) {
		return ErrLost
	}
	if c.confirmed(n) {
		c.holdUntil = time.Now() // there is progress: go on at once
		return nil
	}
	c.failed(current)
	return nil
}

// failed has everything sent again after a pause, and longer pauses the more often it happens. What fails of an earlier
// round has been sent again already.
func (c *courier) failed(current bool) {
	if current && c.holdUntil.IsZero() {
		c.holdUntil = time.Now().Add(c.pause)
		c.grow()
	}
}

func (c *courier) grow() { c.pause = min(2*c.pause, longPause) }
