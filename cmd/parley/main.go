// Command parley is the broker and its command line in one binary: `parley serve` runs a node, everything else
// administers one over its admin API.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(signalled()) }

// signalled runs the command line until it ends or the process is asked to. A second signal ends it at once.
func signalled() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, stop)()
	return run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr)
}
