package main

import (
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	run := func(cpu, others float64) outcome {
		o := outcome{Unit: "delivery", Seconds: 5, PerSecond: 1.5e6}
		o.Broker.CPU, o.Load.Others, o.Latency.P50, o.Latency.P99 = cpu, others, 1, 12.34
		return o
	}
	measured := []load{{name: "a"}, {name: "b", durable: true}, {name: "c"}, {name: "nothing"}}
	results := map[string][]outcome{
		"a/parley": {run(0.7, 0), run(0.6, 0.1), run(0.9, 0), run(5, 1)}, "a/limit": {run(0.35, 0)},
		"b/parley": {run(100, 0)}, "c/parley": {run(8, 1), run(10, 2)},
	}
	var b strings.Builder
	if err := writeTable(&b, measured, results, 0.3, "A machine"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"A machine. ",
		"| a | **0.70 µs** each delivery (0.60–0.90) | 1.50 M/s | 1.00 / 12.3 ms |  | 0.35 µs, 1.50 M/s | 2.0 |\n",
		"| b | **100 µs** each delivery (100–100) | 1.50 M/s | 1.00 / 12.3 ms | all back in 5.00 s | – | – |\n",
		"| c | **9.00 µs** each delivery (8.00–10.0) |",
		"\nOther processes disturbed 3 runs; where a load had calm ones, only those count. In those that count they took 0.0 cores at the median.\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "nothing") {
		t.Errorf("a row of nothing in\n%s", b.String())
	}
}

func TestNumbers(t *testing.T) {
	for v, want := range map[float64]string{0.123: "0.12", 12.34: "12.3", 123.4: "123"} {
		if got := short(v); got != want {
			t.Errorf("short(%v) = %s, want %s", v, got, want)
		}
	}
	for v, want := range map[float64]string{12: "12", 1234: "1.2 k", 12345: "12 k", 1234567: "1.23 M"} {
		if got := count(v); got != want {
			t.Errorf("count(%v) = %s, want %s", v, got, want)
		}
	}
}
