package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"parley/admin"
	"parley/internal/fault"
)

// Answers is many conversations in which an AI worker streams an answer, at the pace of a language model, to a user in
// the chat dialect: from the worker's connection through the log of the session to the user's.
type Answers struct {
	Streams   int     // conversations with one user and one answer each
	PerSecond float64 // pieces a second in each
	Size      int     // of a piece, in bytes
}

// maxAhead is how many pieces of an answer a worker sends before the first of them is confirmed.
const maxAhead = 64

// answers is a run of Answers.
type answers struct {
	Answers
	session *Session
	all     []*answer
	worker  *nats.Conn
	inbox   string
	latency latencies
	sent    atomic.Uint64
	acked   atomic.Uint64
	arrived atomic.Uint64
	trouble trouble
}

// answer is one conversation: a worker's side and a user's.
type answer struct {
	run   *answers
	index uint32
	link  *link
	reply string // where the log takes what the worker says
	head  string // of each message of the worker's
	pad   string // of each piece, behind its marker

	pieces atomic.Uint32 // that were sent
	logged atomic.Uint32 // that were confirmed

	tally tally
	now   uint32 // when what is being handled was read; 0 means not known yet
}

// Run implements Scenario.
func (a Answers) Run(ctx context.Context, s *Session) (_ *Result, err error) {
	if a.Streams < 1 || a.PerSecond <= 0 {
		return nil, fault.New(fault.Usage, "There has to be a stream, and something in it.")
	}
	run := &answers{Answers: a, session: s}
	r := &Result{
		Scenario: "answers", Unit: "token",
		Setting: fmt.Sprintf("%s of %g tokens/s, %d bytes, from an AI worker through the log to a user in the chat dialect", plural(uint64(a.Streams), "answer"), a.PerSecond, a.Size),
	}
	defer func() {
		run.close()
		r.Counts = run.counts()
	}()
	if err := run.connect(ctx); err != nil {
		return nil, err
	}
	return r, run.measure(ctx, r)
}

// connect opens the worker's connection and the users', has each user ask something, and accepts what they ask.
func (a *answers) connect(ctx context.Context) error {
	s := a.session
	s.Progress("connecting the worker")
	queue, err := a.connectWorker(ctx)
	if err != nil {
		return err
	}
	said := s.counting("connecting users", a.Streams)
	for i := range a.Streams {
		a.all = append(a.all, &answer{run: a, index: uint32(i), pad: strings.Repeat("x", max(0, a.Size-markerLen-1)) + " "})
	}
	err = inParallel(ctx, a.Streams, dialing, func(ctx context.Context, i int) error {
		defer said()
		token, err := s.tenants[0].token(fmt.Sprintf("user-%d", i))
		if err != nil {
			return err
		}
		one := a.all[i]
		if one.link, err = s.openPath(ctx, one, "/", token, "&session_id="+sessionName(i)); err != nil {
			return err
		}
		_, err = one.link.conn.Write(appendFrame(nil, textFrame, `{"type":"chat","content":"go on"}`))
		return err
	})
	if err != nil {
		return err
	}
	return a.accept(ctx, queue)
}

func sessionName(i int) string { return "load-" + strconv.Itoa(i) }

// connectWorker connects to the tenant's account as a worker, and returns where requests are.
func (a *answers) connectWorker(ctx context.Context) (jetstream.Consumer, error) {
	node := a.session.nodes[0]
	info, err := node.Info(ctx)
	if err != nil {
		return nil, err
	}
	if info.NATS == "" {
		return nil, fault.New(fault.Usage, "The broker takes no NATS connections, and so no workers.")
	}
	creds, err := node.IssueCreds(ctx, a.session.tenants[0].id, admin.NewCreds{Name: "bench", Role: admin.RoleWorker})
	if err != nil {
		return nil, err
	}
	a.worker, err = nats.Connect(info.NATS, nats.UserCredentialBytes([]byte(creds.Creds)), nats.CustomInboxPrefix(nats.InboxPrefix+"bench"))
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "A worker's connection failed: %s.", err)
	}
	a.inbox = a.worker.NewInbox()
	if _, err := a.worker.Subscribe(a.inbox+".*", a.confirmed); err != nil {
		return nil, err
	}
	js, err := jetstream.New(a.worker)
	if err != nil {
		return nil, err
	}
	return js.Consumer(ctx, "WORK", "ai")
}

// accept takes the users' requests.
func (a *answers) accept(ctx context.Context, queue jetstream.Consumer) error {
	said := a.session.counting("accepting requests", a.Streams)
	for accepted := 0; accepted < a.Streams; {
		batch, err := queue.Fetch(dialing, jetstream.FetchMaxWait(time.Second))
		if err != nil {
			return fault.Wrap(fault.Unavailable, err, "Requests could not be taken: %s.", err)
		}
		for m := range batch.Messages() {
			if err := a.take(ctx, m); err != nil {
				return err
			}
			accepted++
			said()
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// take accepts one request.
func (a *answers) take(ctx context.Context, m jetstream.Msg) error {
	var request struct {
		Session, Run string
		Attempt      int
		Epoch        uint64
		ReplyTo      string `json:"reply_to"`
	}
	if err := json.Unmarshal(m.Data(), &request); err != nil {
		return err
	}
	i, err := strconv.Atoi(strings.TrimPrefix(request.Session, "load-"))
	if err != nil || i < 0 || i >= len(a.all) {
		return fault.New(fault.Internal, "A request came for the session %q, which is not of this run.", request.Session)
	}
	one := a.all[i]
	one.reply = request.ReplyTo
	one.head = fmt.Sprintf(`{"run":%q,"attempt":%d,"epoch":%d,`, request.Run, request.Attempt, request.Epoch)
	answer, err := a.worker.RequestWithContext(ctx, one.reply, []byte(one.head+`"n":1,"type":"accept","worker":"bench"}`))
	if err != nil {
		return err
	}
	if !bytes.Contains(answer.Data, []byte(`"ok":true`)) {
		return fault.New(fault.Unavailable, "The broker refused a worker: %s", answer.Data)
	}
	return m.Ack()
}

// measure streams, and fills in what happened between the warm-up and the end.
func (a *answers) measure(ctx context.Context, r *Result) error {
	streaming, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { // awaited below
		defer close(done)
		a.stream(streaming)
	}()
	err := a.watch(ctx, r)
	stop()
	<-done
	if err != nil {
		return err
	}
	a.session.Progress("waiting for what is on its way")
	for since, last := time.Now(), a.arrived.Load(); a.arrived.Load() < a.sent.Load() || a.acked.Load() < a.sent.Load(); {
		if now := a.arrived.Load() + a.acked.Load(); now != last {
			since, last = time.Now(), now
		}
		if time.Since(since) > stallAfter || !pause(ctx, 2*time.Millisecond) {
			break
		}
	}
	return ctx.Err()
}

func (a *answers) watch(ctx context.Context, r *Result) error {
	a.session.Progress("warming up")
	if !pause(ctx, a.session.Warmup) {
		return ctx.Err()
	}
	from, err := a.session.read(ctx)
	if err != nil {
		return err
	}
	before := a.arrived.Load()
	a.latency.reset()
	a.session.Progress("measuring")
	if !pause(ctx, a.session.Duration) {
		return ctx.Err()
	}
	units := a.arrived.Load() - before
	to, err := a.session.read(ctx)
	if err != nil {
		return err
	}
	r.fill(from, to, units)
	r.Latency = a.latency.summary()
	return nil
}

// stream sends the answers' pieces in turn at their rate, until ctx ends.
func (a *answers) stream(ctx context.Context) {
	began, every := time.Now(), time.Duration(float64(time.Second)/a.PerSecond/float64(a.Streams))
	for next := 0; ; {
		if !pause(ctx, max(paceTick, time.Until(began.Add(time.Duration(next)*every)))) {
			return
		}
		for now := time.Now(); time.Duration(next)*every <= now.Sub(began); next++ {
			if err := a.all[next%len(a.all)].send(); err != nil {
				a.trouble.lost(err)
				return
			}
		}
		if err := a.worker.Flush(); err != nil {
			a.trouble.lost(err)
			return
		}
	}
}

// send sends the next piece of an answer, unless too many are on their way.
func (o *answer) send() error {
	n := o.pieces.Load()
	if n-o.logged.Load() >= maxAhead {
		return nil
	}
	o.pieces.Add(1)
	o.run.sent.Add(1)
	text := fmt.Appendf(nil, `%s"n":%d,"type":"chunk","text":"~%0*x-%0*x-%0*x%s"}`, o.head, n+2, streamDigits, o.index, numberDigits, n, timeDigits, o.run.session.micros(), o.pad)
	return o.run.worker.PublishRequest(o.reply, o.run.inbox+"."+strconv.Itoa(int(o.index)), text)
}

// confirmed takes what the log says to a worker: everything up to a number is in it.
func (a *answers) confirmed(m *nats.Msg) {
	var reply struct {
		OK bool
		N  uint32
	}
	i, err := strconv.Atoi(m.Subject[strings.LastIndexByte(m.Subject, '.')+1:])
	if err != nil || i >= len(a.all) || json.Unmarshal(m.Data, &reply) != nil || !reply.OK || reply.N == 0 {
		a.trouble.refuse(m.Data)
		return
	}
	one := a.all[i]
	if was := one.logged.Load(); reply.N-1 > was {
		one.logged.Store(reply.N - 1) // only this goroutine does
		a.acked.Add(uint64(reply.N - 1 - was))
	}
}

// message implements receiver. Nothing in the chat dialect looks to the reader like a message of the agents'.
func (o *answer) message(marker, []byte) {
	o.run.trouble.refuse([]byte("a message of another dialect"))
}

// acknowledged implements receiver.
func (o *answer) acknowledged(uint32, uint32) {}

var (
	tokenKind = []byte(`"type":"stream-token"`)
	errorKind = []byte(`"type":"error"`)
)

// other implements receiver: it takes the pieces that a frame of the chat dialect has.
func (o *answer) other(payload []byte) {
	if bytes.Contains(payload, errorKind) {
		o.run.trouble.refuse(payload)
	}
	if !bytes.Contains(payload, tokenKind) {
		return
	}
	if o.now == 0 {
		o.now = o.run.session.micros()
	}
	fresh := uint64(0)
	for {
		at := bytes.IndexByte(payload, '~')
		if at < 0 || len(payload) < at+markerLen {
			break
		}
		payload = payload[at+1:]
		m, ok := readMarker(payload)
		if ok && m.stream == o.index && o.tally.take(m.number) {
			o.run.latency.add(o.now - min(m.micros, o.now))
			fresh++
		}
	}
	o.run.arrived.Add(fresh)
}

// settle implements receiver.
func (o *answer) settle() { o.now = 0 }

var _ receiver = (*answer)(nil)

// close ends all connections. Only then may the counts be read.
func (a *answers) close() {
	if a.worker != nil {
		a.worker.Close()
	}
	for _, o := range a.all {
		if o.link == nil {
			continue
		}
		o.link.close()
		if o.link.err != nil {
			a.trouble.lost(o.link.err)
		}
	}
}

// counts sums up what became of all pieces.
func (a *answers) counts() Counts {
	c := Counts{Sent: a.sent.Load(), Acknowledged: a.acked.Load(), Expected: a.sent.Load()}
	a.trouble.fill(&c)
	for _, o := range a.all {
		c.Delivered += o.tally.delivered
		c.Duplicated += o.tally.duplicated
		c.Reordered += o.tally.reordered
		c.Missing += o.tally.missing(o.pieces.Load())
	}
	return c
}
