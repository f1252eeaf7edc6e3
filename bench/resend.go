package bench

import (
	"bytes"
	"sync"
	"time"
)

// unsettled is messages of a publisher whose outcome the broker did not know, or that it could not take at the moment. As
// clients do, the publisher sends them again with the same id, so that they are stored once.
type unsettled struct {
	mu    sync.Mutex
	names [][nameLen]byte // guarded by mu
}

// Refusals after which a message is sent again.
var (
	unknownOutcome = []byte(`"code":"OUTCOME_UNKNOWN"`)
	unavailable    = []byte(`"code":"UNAVAILABLE"`)
)

// note takes a refusal, and reports whether it is of a message that is to be sent again.
func (u *unsettled) note(payload []byte) bool {
	if !bytes.Contains(payload, unknownOutcome) && !bytes.Contains(payload, unavailable) {
		return false
	}
	_, name, ok := bytes.Cut(payload, idStart)
	if !ok || len(name) < nameLen {
		return false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.names = append(u.names, [nameLen]byte(name))
	return true
}

func (u *unsettled) take() [][nameLen]byte {
	u.mu.Lock()
	defer u.mu.Unlock()
	names := u.names
	u.names = nil
	return names
}

// resend sends what is unsettled again. Nothing else may be sending.
func (f *flow) resend() error {
	for _, p := range f.senders {
		for _, name := range p.unsettled.take() {
			index, number, ok := readName(name[:])
			if !ok || int(index) >= len(f.all) || f.all[index].sender != p {
				f.foreign.Add(1)
				continue
			}
			p.batch = f.all[index].template.append(p.batch, number, micros(time.Since(f.session.started)))
			f.resent.Add(1)
		}
		if err := p.flush(); err != nil {
			return err
		}
	}
	return nil
}
