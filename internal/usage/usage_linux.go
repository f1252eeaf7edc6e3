package usage

import (
	"bytes"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Own returns what this process spends, and false where the system does not say.
func Own() (Process, bool) {
	var r unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &r) != nil {
		return Process{}, false
	}
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return Process{}, false
	}
	fields := bytes.Fields(statm) // pages: all, resident, …
	if len(fields) < 2 {
		return Process{}, false
	}
	pages, err := strconv.ParseUint(string(fields[1]), 10, 64)
	if err != nil {
		return Process{}, false
	}
	return Process{
		User: time.Duration(r.Utime.Nano()), System: time.Duration(r.Stime.Nano()), RSS: pages * uint64(os.Getpagesize()),
	}, true
}

// tick is the unit of /proc/stat, the same on all of Linux's architectures.
const tick = 10 * time.Millisecond

// Machine returns the CPU time that everything on this machine has spent since it started, and false where the system
// does not say. It is exact to some ticks of 10 ms.
func Machine() (time.Duration, bool) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, false
	}
	line, _, _ := bytes.Cut(stat, []byte("\n"))
	fields := bytes.Fields(line) // cpu user nice system idle iowait irq softirq …
	if len(fields) < 8 {
		return 0, false
	}
	busy := time.Duration(0)
	for i, field := range fields[1:8] {
		n, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			return 0, false
		}
		if i != 3 && i != 4 {
			busy += time.Duration(n) * tick
		}
	}
	return busy, true
}
