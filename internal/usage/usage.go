// Package usage says what this process and its machine spend.
package usage

import "time"

// Process is what a process has spent since it began, and what it holds now.
type Process struct {
	User   time.Duration // CPU time in its own code
	System time.Duration // CPU time in the kernel on its behalf
	RSS    uint64        // bytes of memory that it holds
}
