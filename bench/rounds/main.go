// Command rounds measures the broker beside the bare reference (bench/limit): every load on a fresh server of each, in
// interleaved rounds, since a machine's speed changes by the minute. It prints a Markdown table of medians and ratios.
//
//	rounds -parley bin/parley -limit bin/limit -rounds 3
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "rounds:", err)
		os.Exit(1) //nolint:forbidigo // it is main that exits here
	}
}

func run(ctx context.Context) error {
	parley := flag.String("parley", "bin/parley", "the broker, which is also the load generator")
	limit := flag.String("limit", "bin/limit", "the bare reference")
	rounds := flag.Int("rounds", 3, "how often everything is measured")
	only := flag.String("only", "", "measure only loads whose name contains this")
	calm := flag.Float64("calm", 0.3, "leave runs out in which other processes took more cores than this")
	flag.Parse()
	results := map[string][]outcome{}
	var measured []load
	for _, l := range loads {
		if strings.Contains(l.name, *only) {
			measured = append(measured, l)
		}
	}
	for round := range *rounds {
		for _, l := range measured {
			for _, s := range []server{{"parley", *parley}, {"limit", *limit}} {
				if s.kind == "limit" && l.durable {
					continue
				}
				fmt.Fprintf(os.Stderr, "round %d of %d: %s, %s\n", round+1, *rounds, l.name, s.kind)
				o, err := s.measure(ctx, *parley, l)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", l.name, s.kind, err)
				}
				results[l.name+"/"+s.kind] = append(results[l.name+"/"+s.kind], o)
			}
		}
	}
	return writeTable(os.Stdout, measured, results, *calm, fmt.Sprintf("%s, %d rounds, %s", machine(), *rounds, time.Now().UTC().Format("2006-01-02")))
}
