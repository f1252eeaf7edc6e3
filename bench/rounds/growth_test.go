package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestGrowthPage(t *testing.T) {
	at := func(n int, cpu float64) point {
		p := point{At: n, Restart: &restart{
			Seconds: 1.25, CPUSeconds: 2.5, RSS: 64 << 20, First: &firsts{20, 45}, Open: &opened{75, 15, 128 << 20},
		}}
		p.Found.Broker.CPU, p.Found.Broker.RSS, p.Found.PerSecond = cpu, float64(50<<20+n*300<<10), 2000
		p.Found.Parts = []part{{Name: "making", CPU: 900}, {Name: "touching", CPU: 5000, Latency: latency{P50: 1}}}
		return p
	}
	g := growth{
		"tenants":            {"A machine", "2026-11-21", []point{at(1, 50), at(1000, 55)}},
		"start with tenants": {"A machine", "2026-11-21", []point{at(5000, 50)}},
		"subscribers":        {"Another", "2026-11-20", []point{{At: 10}}},
	}
	text := g.table()
	for _, want := range []string{
		"| tenants | CPU a message | memory a tenant | CPU to make one | to its first ACK |\n|---|---|---|---|---|\n",
		"| 1 k | 55.0 µs | 300 KiB | 900 µs | 5000 µs |\n",
		"| 5 k | 1.25 s | 2.50 s | 64.0 MiB | 20.0 ms, 45.0 ms | 75.0 s | 15.0 s | 128 MiB |\n",
		"\nA machine, 2026-11-21; other processes took 0.00 to 0.00 cores.\n",
		"| 10 | – | 0/s | –, – | – |\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "| messages |") {
		t.Errorf("a table of nothing in\n%s", text)
	}
	var b bytes.Buffer
	if err := g.picture().Write(&b); err != nil || strings.Contains(b.String(), "NaN") {
		t.Errorf("%v: %s", err, b.String())
	}
}

// TestCurves: every step can be asked for, and every curve has a table.
func TestCurves(t *testing.T) {
	for _, c := range curves() {
		if len(columns(c.name, point{})) == 0 || len(c.steps) == 0 || len(c.args(c.steps[0])) == 0 {
			t.Errorf("the curve %q is not whole", c.name)
		}
	}
	for unit, want := range map[string]string{"ack": "an ack", "delivery": "a delivery", "": "a "} {
		if got := one(unit); got != want {
			t.Errorf("one(%q) = %q", unit, got)
		}
	}
}
