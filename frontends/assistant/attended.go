package assistant

import (
	"sync"

	"parley/broker"
)

// attended counts, for each conversation, the connections of this node whose clients have named it. A page names its
// conversation only when its user says something, so that one which comes back after it was cut off can't be told from a
// page that has just been opened: an answer that nobody attends is meant for it, one that somebody does is not.
type attended struct {
	mu    sync.Mutex
	count map[attendance]int // guarded by mu
}

type attendance struct {
	account broker.AccountID
	session string
}

func newAttended() *attended { return &attended{count: map[attendance]int{}} }

func (a *attended) enter(account broker.AccountID, session string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.count[attendance{account, session}]++
}

func (a *attended) leave(account broker.AccountID, session string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	k := attendance{account, session}
	if a.count[k]--; a.count[k] <= 0 {
		delete(a.count, k)
	}
}

func (a *attended) has(account broker.AccountID, session string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.count[attendance{account, session}] > 0
}
