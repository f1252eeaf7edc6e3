package assistant

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pings, missing atomic.Int32
		h := &heartbeat{every: 30 * time.Second, within: time.Minute, ask: func() { pings.Add(1) }, missing: func() { missing.Add(1) }}
		h.start()
		defer h.stop()
		rest := func(d time.Duration) {
			time.Sleep(d) //nolint:forbidigo // the bubble's clock jumps
			synctest.Wait()
		}
		for range 20 { // ten times as long as it may be silent
			rest(31 * time.Second)
			h.answered()
		}
		if pings.Load() != 20 || missing.Load() != 0 {
			t.Errorf("%d pings, missing %d times", pings.Load(), missing.Load())
		}
		silent := time.Now()
		for missing.Load() == 0 {
			rest(time.Second)
		}
		// It is asked up to an interval later, and has a minute from then on.
		if took := time.Since(silent); took < time.Minute || took > 91*time.Second {
			t.Errorf("missing after %s", took)
		}
		rest(time.Hour)
		if missing.Load() != 1 {
			t.Errorf("missing %d times", missing.Load())
		}
	})
}
