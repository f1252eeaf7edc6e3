//go:build !linux

package usage

import "time"

// Own returns what this process spends, and false where the system does not say.
func Own() (Process, bool) { return Process{}, false }

// Machine returns the CPU time that everything on this machine has spent since it started, and false where the system
// does not say.
func Machine() (time.Duration, bool) { return 0, false }
