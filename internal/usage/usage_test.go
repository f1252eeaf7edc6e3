package usage

import (
	"runtime"
	"testing"
	"time"
)

func TestUsageRises(t *testing.T) {
	before, ok := Own()
	if ok != (runtime.GOOS == "linux") {
		t.Fatalf("known: %t on %s", ok, runtime.GOOS)
	}
	if !ok {
		return
	}
	machine, _ := Machine()
	if before.RSS == 0 || machine <= 0 {
		t.Errorf("%+v on a machine that has spent %s", before, machine)
	}
	for {
		now, _ := Own()
		all, _ := Machine()
		if now.User+now.System > before.User+before.System+20*time.Millisecond && all > machine {
			return
		}
	}
}
