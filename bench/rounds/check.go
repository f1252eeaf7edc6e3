package main

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// How a comparison ends that finds anything but good; main has an exit status for each.
var (
	errWorse    = errors.New("the broker has become more expensive than recorded")
	errUnjudged = errors.New("not everything could be judged")
)

// verdict is how a load's ratio compares with the recorded one.
type verdict int

const (
	same verdict = iota
	better
	worse
	unjudged
)

func (v verdict) String() string {
	return [...]string{"same", "better", "WORSE", "not judged"}[v]
}

// finding is what a comparison says about one load.
type finding struct {
	load     string
	verdict  verdict
	was, is  float64 // the ratios, as far as there are any
	why      string  // of what was not judged
	disturbs float64 // cores that other processes took
}

// judge compares a load with its record. A ratio that is larger by more than the tolerance (0.3 is 30 %) is worse, one
// that is smaller by as much is better.
func judge(recorded record, now entry, tolerance float64) finding {
	was, known := recorded.entry(now.Load)
	f := finding{load: now.Load, was: was.Ratio, is: now.Ratio, disturbs: now.Others}
	switch {
	case !known || was.Ratio <= 0:
		f.verdict, f.why = unjudged, "it is not recorded; run make bench on a calm machine"
	case !was.Calm:
		f.verdict, f.why = unjudged, "it was recorded on a busy machine; run make bench on a calm one"
	case now.Ratio <= 0:
		f.verdict, f.why = unjudged, "the system does not say what it cost"
	case !now.Calm:
		f.verdict, f.why = unjudged, fmt.Sprintf("other processes took %.1f cores", now.Others)
	case now.Ratio > was.Ratio*(1+tolerance):
		f.verdict = worse
	case now.Ratio < was.Ratio/(1+tolerance):
		f.verdict = better
	}
	return f
}

// compare measures loads shortly and compares them with the record. What seems worse is measured once more before it is
// called so. It writes one line for each load.
func (r rig) compare(ctx context.Context, w io.Writer, recorded record, all []load, opts options) error {
	pairs, err := r.measure(ctx, all, opts.rounds, true)
	if err != nil {
		return err
	}
	var findings []finding
	for _, l := range all {
		f := judge(recorded, entryOf(l, pairs[l.name], opts.calm), opts.tolerance)
		if f.verdict == worse {
			again, err := r.measure(ctx, []load{l}, opts.rounds, true)
			if err != nil {
				return err
			}
			f = judge(recorded, entryOf(l, append(pairs[l.name], again[l.name]...), opts.calm), opts.tolerance)
		}
		findings = append(findings, f)
	}
	return conclude(w, findings, opts.tolerance)
}

// conclude writes the findings, and returns the worst of them as an error.
func conclude(w io.Writer, findings []finding, tolerance float64) error {
	count := map[verdict]int{}
	for _, f := range findings {
		count[f.verdict]++
		line := fmt.Sprintf("%-10s  %-46s", f.verdict, f.load)
		if f.verdict == unjudged {
			line += "  " + f.why
		} else {
			line += fmt.Sprintf("  %.2f times the bare program, recorded %.2f (%+.0f %%)", f.is, f.was, 100*(f.is/f.was-1))
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	if count[worse] > 0 {
		return fmt.Errorf("%w: %s by more than %.0f %%", errWorse, plural(count[worse], "load"), 100*tolerance)
	}
	if count[unjudged] > 0 {
		return fmt.Errorf("%w: %s; nothing else is worse", errUnjudged, plural(count[unjudged], "load"))
	}
	return nil
}
