// Command rounds measures the broker beside the bare program (bench/limit): every load on a fresh server of each, in
// interleaved rounds, since a machine's speed changes by the minute.
//
//	rounds measure    # medians and ratios into docs/performance.md, .json and .svg
//	rounds check      # a short version, compared with the recorded ratios
//	rounds pages      # write the pages again from what is recorded
//	rounds growth     # how cost grows with subscribers, tenants, channels and messages, into docs/scaling.md, .json and .svg
//
// The exit status is 0 when all is well, 1 when something failed or has become worse, 2 for wrong usage and 3 when other
// processes took so much of the machine that not every load could be judged.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "rounds:", err)
	}
	os.Exit(exitStatus(err)) //nolint:forbidigo // it is main that exits here
}

var errUsage = errors.New("say what to do: measure, check, growth or pages")

func exitStatus(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUsage), errors.Is(err, flag.ErrHelp):
		return 2
	case errors.Is(err, errUnjudged):
		return 3
	default:
		return 1
	}
}

// options are the flags.
type options struct {
	rig
	rounds    int
	only      string
	calm      float64
	tolerance float64
	docs      string
	most      int
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	opts := options{}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.StringVar(&opts.parley, "parley", "bin/parley", "the broker, which is also the load generator")
	flags.StringVar(&opts.limit, "limit", "bin/limit", "the bare program")
	flags.IntVar(&opts.rounds, "rounds", 3, "how often everything is measured")
	flags.StringVar(&opts.only, "only", "", "measure only what has this in its name; measure writes nothing then, growth only that curve")
	flags.Float64Var(&opts.calm, "calm", 0.3, "leave rounds out in which other processes took more cores than this")
	flags.Float64Var(&opts.tolerance, "tolerance", 0.3, "by how much a ratio may be above the recorded one")
	flags.StringVar(&opts.docs, "docs", "docs", "where the pages are")
	flags.IntVar(&opts.most, "most", math.MaxInt, "growth: stop at so many of each")
	if err := flags.Parse(args[1:]); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	switch args[0] {
	case "measure":
		return measure(ctx, stdout, opts)
	case "check":
		return check(ctx, stdout, opts)
	case "growth":
		return grow(ctx, stdout, opts)
	case "pages":
		return pages(opts.docs)
	default:
		return errUsage
	}
}

// measure measures loads and prints the table. When it was all loads, it writes the page too.
func measure(ctx context.Context, stdout io.Writer, opts options) error {
	all := chosen(loads(), opts.only)
	pairs, err := opts.measure(ctx, all, opts.rounds, false)
	if err != nil {
		return err
	}
	r := record{Machine: machine(), Date: today(), Rounds: opts.rounds}
	for _, l := range all {
		r.Loads = append(r.Loads, entryOf(l, pairs[l.name], opts.calm))
	}
	if _, err := io.WriteString(stdout, r.table()); err != nil || opts.only != "" {
		return err
	}
	return r.write(opts.docs)
}

// check compares a short measurement with the recorded ratios.
func check(ctx context.Context, stdout io.Writer, opts options) error {
	recorded, err := readJSON[record](performancePage(opts.docs).path(".json"))
	if err != nil {
		return err
	}
	if now := machine(); now != recorded.Machine {
		fmt.Fprintf(os.Stderr, "This machine is %s, the record of %s comes from %s: ratios may differ.\n", now, recorded.Date, recorded.Machine)
	}
	return opts.compare(ctx, stdout, recorded, chosen(loads(), opts.only), opts)
}

// grow measures how cost grows, prints the tables and writes the page, with what is recorded of the curves that were left
// out. What there is has taken long, so that it is written also when a step has failed.
func grow(ctx context.Context, stdout io.Writer, opts options) error {
	g, failed := opts.grow(ctx, opts.only, opts.most)
	all, err := readJSON[growth](scalingPage(opts.docs).path(".json"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(failed, err)
	}
	if all == nil {
		all = growth{}
	}
	maps.Copy(all, g)
	_, err = io.WriteString(stdout, g.table())
	return errors.Join(failed, err, all.write(opts.docs))
}

func today() string { return time.Now().UTC().Format("2006-01-02") }

// pages writes all pages from what is recorded.
func pages(docs string) error {
	r, err := readJSON[record](performancePage(docs).path(".json"))
	if err == nil {
		err = r.write(docs)
	}
	g, missing := readJSON[growth](scalingPage(docs).path(".json"))
	if missing == nil {
		missing = g.write(docs)
	}
	return errors.Join(err, missing)
}

func performancePage(docs string) document { return document{docs, "performance"} }
func scalingPage(docs string) document     { return document{docs, "scaling"} }

// write writes the record, its picture and its page.
func (r record) write(docs string) error {
	return performancePage(docs).write(r, r.table(), r.picture().Write)
}

// write writes the curves, their picture and their page.
func (g growth) write(docs string) error {
	return scalingPage(docs).write(g, g.table(), g.picture().Write)
}
