package main

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// round makes what a round would find.
func round(own, bare, others float64) pair {
	run := func(cpu float64) outcome {
		o := outcome{Unit: "delivery", Seconds: 5, PerSecond: 1.5e6}
		o.Broker.CPU, o.Load.Others, o.Latency.P50, o.Latency.P99 = cpu, others, 1, 12.34
		return o
	}
	return pair{run(own), run(bare)}
}

func TestEntry(t *testing.T) {
	l := load{name: "a", aim: aim{0.7, "0.7 µs"}}
	for name, c := range map[string]struct {
		pairs     []pair
		cpu       float64
		ratio     float64
		disturbed int
		calm      bool
	}{
		"the middle of three":                   {[]pair{round(1, 0.5, 0), round(3, 0.5, 0), round(2, 0.5, 0)}, 2, 4, 0, true},
		"disturbed ones do not count":           {[]pair{round(1, 0.5, 0), round(9, 1, 0.31)}, 1, 2, 1, true},
		"unless there are no others":            {[]pair{round(1, 0.5, 1), round(3, 0.5, 1)}, 2, 4, 2, false},
		"a ratio is that of a round":            {[]pair{round(1, 1, 0), round(8, 2, 0), round(2, 1, 0)}, 2, 2, 0, true},
		"a bare program of unknown cost":        {[]pair{round(1, 0, 0)}, 1, 0, 0, true},
		"nothing":                               {nil, 0, 0, 0, false},
		"a bare program that others held up":    {[]pair{{round(1, 1, 0).own, round(1, 9, 1).bare}, round(2, 1, 0)}, 2, 2, 1, true},
		"the two in the middle, when it's even": {[]pair{round(1, 1, 0), round(2, 1, 0)}, 1.5, 1.5, 0, true},
	} {
		e := entryOf(l, c.pairs, 0.3)
		if math.Abs(e.CPU-c.cpu) > 1e-9 || math.Abs(e.Ratio-c.ratio) > 1e-9 || e.Disturbed != c.disturbed || e.Calm != c.calm || e.AimCPU != 0.7 {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

func TestTable(t *testing.T) {
	idle := round(110, 36, 0)
	idle.own.Broker.PerConn, idle.own.Unit = 12.5*1024, "connection"
	r := record{Machine: "A machine", Date: "2026-11-21", Rounds: 2, Loads: []entry{
		entryOf(load{name: "a", aim: aim{0.7, "0.7 µs"}}, []pair{round(0.7, 0.36, 0), round(0.6, 0.3, 0), round(5, 1, 2)}, 0.3),
		entryOf(load{name: "idle"}, []pair{idle}, 0.3),
		entryOf(load{name: "back", aim: aim{text: "all in 0.5 s"}}, []pair{round(100, 50, 1)}, 0.3),
	}}
	text := r.table()
	for _, want := range []string{
		"A machine, 2026-11-21, 2 rounds. ",
		"| a | **0.65 µs** a delivery (0.60–0.70) | 0.7 µs | 1.5 M/s | 1.00, 12.3 ms | 0.33 µs, 1.5 M/s | 1.97 |\n",
		"; 12.5 KiB each |", "/s; all in 5.00 s |", "in 1 round of a load, which", "**Of 1 load no round was undisturbed",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	var b bytes.Buffer
	if err := r.picture().Write(&b); err != nil || !strings.Contains(b.String(), ">idle<") {
		t.Errorf("%v: %s", err, b.String())
	}
}

func TestDocument(t *testing.T) {
	d := document{t.TempDir(), "speed"}
	page := "# Speed\n\n<!-- measured -->\nold\n<!-- end of measured -->\n\nby hand\n"
	if err := os.WriteFile(d.path(".md"), []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	r := record{Machine: "A machine", Loads: []entry{{Load: "a", CPU: 1, BareCPU: 0.5, Ratio: 2}}}
	for range 2 {
		if err := d.write(r, "new\n", r.picture().Write); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(d.path(".md"))
	want := "# Speed\n\n<!-- measured -->\n![Chart of the table below](speed.svg)\n\nnew\n<!-- end of measured -->\n\nby hand\n"
	if err != nil || string(got) != want {
		t.Errorf("%v: %s", err, got)
	}
	back, err := readJSON[record](d.path(".json"))
	if e, ok := back.entry("a"); err != nil || !ok || e.Ratio != 2 {
		t.Errorf("%v: %+v", err, back)
	}
	if svg, err := os.ReadFile(filepath.Join(d.dir, "speed.svg")); err != nil || !bytes.HasPrefix(svg, []byte("<svg ")) {
		t.Errorf("%v: %s", err, svg)
	}
	for name, bad := range map[string]string{
		"no part": "# Speed\n", "no end": "<!-- measured -->\n", "two": strings.Repeat("<!-- measured -->\n<!-- end of measured -->\n", 2),
	} {
		if _, err := replacePart([]byte(bad), "measured", "x"); err == nil {
			t.Errorf("%s: replaced", name)
		}
	}
}

// TestLoadsHaveNames: records are found by them.
func TestLoadsHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for _, l := range loads() {
		if l.name == "" || seen[l.name] {
			t.Errorf("the name %q", l.name)
		}
		seen[l.name] = true
	}
	if n := len(chosen(loads(), "ACK")); n != 2 {
		t.Errorf("%d loads about ACKs", n)
	}
}
