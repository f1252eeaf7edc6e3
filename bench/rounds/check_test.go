package main

import (
	"errors"
	"flag"
	"fmt"
	"strings"
	"testing"
)

func TestJudge(t *testing.T) {
	recorded := record{Loads: []entry{{Load: "a", Ratio: 2, Calm: true}, {Load: "unknown then"}, {Load: "restless", Ratio: 2}}}
	for name, c := range map[string]struct {
		now  entry
		want verdict
		why  string
	}{
		"the same":                   {entry{Load: "a", Ratio: 2, Calm: true}, same, ""},
		"as much as is tolerated":    {entry{Load: "a", Ratio: 2.59, Calm: true}, same, ""},
		"more":                       {entry{Load: "a", Ratio: 2.61, Calm: true}, worse, ""},
		"less":                       {entry{Load: "a", Ratio: 1.5, Calm: true}, better, ""},
		"a little less":              {entry{Load: "a", Ratio: 1.6, Calm: true}, same, ""},
		"a busy machine":             {entry{Load: "a", Ratio: 9, Others: 0.8}, unjudged, "0.8 cores"},
		"a system that says nothing": {entry{Load: "a", Calm: true}, unjudged, "does not say"},
		"a new load":                 {entry{Load: "b", Ratio: 1, Calm: true}, unjudged, "not recorded"},
		"a record of a busy machine": {entry{Load: "restless", Ratio: 1, Calm: true}, unjudged, "on a busy machine"},
		"an incomplete record":       {entry{Load: "unknown then", Ratio: 1, Calm: true}, unjudged, "not recorded"},
	} {
		if got := judge(recorded, c.now, 0.3); got.verdict != c.want || !strings.Contains(got.why, c.why) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestConclude(t *testing.T) {
	good := finding{load: "good", verdict: same, was: 2, is: 2.2}
	bad := finding{load: "bad", verdict: worse, was: 2, is: 3}
	open := finding{load: "open", verdict: unjudged, why: "other processes took 0.8 cores"}
	for name, c := range map[string]struct {
		findings []finding
		want     error
		status   int
	}{
		"nothing":                         {nil, nil, 0},
		"all is well":                     {[]finding{good}, nil, 0},
		"one is worse":                    {[]finding{good, bad}, errWorse, 1},
		"one could not be judged":         {[]finding{good, open}, errUnjudged, 3},
		"worse counts more than unjudged": {[]finding{open, bad}, errWorse, 1},
	} {
		var b strings.Builder
		if err := conclude(&b, c.findings, 0.3); !errors.Is(err, c.want) || exitStatus(err) != c.status {
			t.Errorf("%s: %v, status %d", name, err, exitStatus(err))
		}
		for _, f := range c.findings {
			if !strings.Contains(b.String(), f.load) {
				t.Errorf("%s: no word of %s in\n%s", name, f.load, b.String())
			}
		}
	}
	var b strings.Builder
	_ = conclude(&b, []finding{bad, open}, 0.3)
	for _, want := range []string{"WORSE ", "3.00 times the bare program, recorded 2.00 (+50 %)", "not judged  open", "took 0.8 cores"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestExitStatus(t *testing.T) {
	for want, err := range map[int]error{0: nil, 1: errors.New("no"), 2: fmt.Errorf("%w: %w", errUsage, flag.ErrHelp), 3: fmt.Errorf("x: %w", errUnjudged)} {
		if got := exitStatus(err); got != want {
			t.Errorf("%v: %d", err, got)
		}
	}
	for _, args := range [][]string{nil, {"sing"}, {"check", "-nonsense"}} {
		if err := run(t.Context(), args, nil); exitStatus(err) != 2 {
			t.Errorf("%v: %v", args, err)
		}
	}
	if err := run(t.Context(), []string{"check", "-docs", t.TempDir()}, nil); exitStatus(err) != 1 {
		t.Errorf("without a record: %v", err)
	}
}
