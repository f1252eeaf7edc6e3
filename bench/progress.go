package bench

import (
	"fmt"
	"sync"
	"time"
)

// counting returns what is called for each of n things that are done, from any goroutine; it says once a second how many
// there are.
func (s *Session) counting(what string, n int) (one func()) {
	var mu sync.Mutex
	done, told := uint64(0), time.Now()
	return func() {
		mu.Lock()
		defer mu.Unlock()
		done++
		if time.Since(told) >= time.Second {
			told = time.Now()
			s.Progress(fmt.Sprintf("%s: %s of %s", what, thousands(done), thousands(uint64(n))))
		}
	}
}
