package broker

import (
	"errors"
	"runtime"
	"strings"
	"sync"

	"github.com/nats-io/nats-server/v2/server"
)

// opener has the embedded server open each account once, and thousands of them without keeping a start waiting
// (docs/adr/0020). To open an account is to recover its streams.
//
// The server opens an account when somebody connects to it, and at its start all that have stored something. Whoever connects
// while another is just opening the account gets it as it is at that moment, without some of its streams. But before all
// this the server asks its resolver for the account's token, which is where the opener stands. Who asks, it reads off the call
// stack: the server at its start is refused, so that it leaves the account for later; the opener itself gets the token;
// and everybody else waits until the opener has opened the account.
type opener struct {
	*server.DirAccResolver // which keeps the tokens

	store  string // the directory of what the accounts have stored
	log    *natsLog
	sound  func() error    // why nothing can be stored any more, nil while it can
	own    map[string]bool // keys of accounts that no tenant owns: nobody connects to them before the server has started
	server *server.Server  // set when it starts
	slots  chan struct{}   // held while opening, so that those who came first do not wait for all others

	life   sync.RWMutex // read-locked while opening
	closed bool         // guarded by life

	mu    sync.Mutex
	doors map[string]*door     // guarded by mu; by the account's key
	later map[string]*unopened // guarded by mu; accounts that the start has left for later and that are not open yet
}

// door is one account's.
type door struct {
	sync.Mutex      // held while the account is opened, or kept from being opened
	open       bool // guarded by the Mutex
}

var (
	errLater  = errors.New("the account is opened later")
	errClosed = errors.New("the server is being stopped")
)

var _ server.AccountResolver = (*opener)(nil)

func newOpener(tokens *server.DirAccResolver, store string, sound func() error) *opener {
	return &opener{
		DirAccResolver: tokens, store: store, sound: sound, own: map[string]bool{}, slots: make(chan struct{}, 2*runtime.GOMAXPROCS(0)),
		doors: map[string]*door{}, later: map[string]*unopened{},
	}
}

// Start implements server.AccountResolver. The server calls it when it starts.
func (o *opener) Start(s *server.Server) error {
	o.server = s
	return o.DirAccResolver.Start(s)
}

// Fetch implements server.AccountResolver. It returns the token of an account that the server is then to open, or that is open.
func (o *opener) Fetch(key string) (string, error) {
	if _, err := o.LoadAcc(key); err == nil && !o.own[key] {
		switch o.asked() {
		case byStart:
			o.mu.Lock()
			o.later[key] = &unopened{}
			o.mu.Unlock()
			return "", errLater
		case byStranger:
			if err := o.open(key); err != nil {
				return "", err
			}
		case byOpener:
		}
	}
	return o.DirAccResolver.Fetch(key)
}

// asker is on whose behalf the server asks for a token.
type asker int

const (
	byStranger asker = iota
	byStart          // below startServer
	byOpener         // below openNow
)

// asked tells from the stack of its caller who asks.
func (o *opener) asked() asker {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for {
		frame, more := frames.Next()
		switch {
		case strings.HasSuffix(frame.Function, "(*opener).openNow"):
			return byOpener
		case strings.HasSuffix(frame.Function, "(*opener).startServer"):
			return byStart
		case !more:
			return byStranger
		}
	}
}

// startServer starts a server whose resolver this is.
func (o *opener) startServer(s *server.Server) { s.Start() }

// open opens an account, or waits for whoever does. Of one that is open it returns at once.
func (o *opener) open(key string) error {
	d := o.door(key)
	d.Lock()
	defer d.Unlock()
	if d.open {
		return nil
	}
	o.slots <- struct{}{}
	defer func() { <-o.slots }()
	o.life.RLock()
	defer o.life.RUnlock()
	if o.closed {
		return errClosed
	}
	if err := o.openNow(key); err != nil {
		return err
	}
	d.open = true
	o.mu.Lock()
	delete(o.later, key)
	o.mu.Unlock()
	return nil
}

// openNow returns when the server has opened an account. The error says too when it could not recover what is stored there.
func (o *opener) openNow(key string) error {
	defer o.log.recover()()
	if _, err := o.server.LookupAccount(key); err != nil {
		return err
	}
	return o.sound()
}

// hold keeps an account from being opened until release is called: an opening would apply the token that it has just read,
// and a change of the account that comes meanwhile would be lost.
func (o *opener) hold(key string) (release func()) {
	d := o.door(key)
	d.Lock()
	return d.Unlock
}

func (o *opener) door(key string) *door {
	o.mu.Lock()
	defer o.mu.Unlock()
	d := o.doors[key]
	if d == nil {
		d = &door{}
		o.doors[key] = d
	}
	return d
}

// stop waits for what is being opened. Nothing is opened any more.
func (o *opener) stop() {
	o.life.Lock()
	defer o.life.Unlock()
	o.closed = true
}
