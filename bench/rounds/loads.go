package main

import "strings"

// load is one kind of load, as `parley bench` makes it.
type load struct {
	name  string
	args  []string
	bare  []string // what the bare program is measured with, when it can't do the same
	brief []string // further arguments for a run that is to be short
	aim   aim
}

// aim is what the broker should reach on a machine with two cores.
type aim struct {
	cpu  float64 // µs a unit. Zero means that there is none.
	text string
}

var (
	soon   = []string{"--duration", "3s"}
	atOnce = []string{"--settle", "2s"}
)

// loads are those whose figures docs/performance.md has.
func loads() []load {
	return []load{
		{name: "fan-out 1 to 1,000, full rate, 128 B", args: []string{"fanout"}, brief: soon, aim: aim{0.7, "0.7 µs, 1.6 M/s"}},
		{name: "fan-out 1 to 1,000, full rate, 1 KiB", args: []string{"fanout", "--size", "1024"}, brief: soon, aim: aim{1, "1.0 µs, 1.2 M/s"}},
		{name: "fan-out 1 to 1,000, half rate, 128 B", args: []string{"fanout", "--half", "--warmup", "3s"}, brief: soon},
		{name: "fan-out 1 to 1,000, 50 messages/s, 128 B", args: []string{"fanout", "--rate", "50"}, brief: soon, aim: aim{7.5, "7.5 µs, p99 9 ms"}},
		{name: "500 channels × 1 to 2, full rate", args: []string{"channels"}, brief: soon, aim: aim{14, "14 µs"}},
		{name: "500 channels × 1 to 2, 5,000 messages/s", args: []string{"channels", "--rate", "5000"}, brief: soon},
		{name: "publish to ACK, one at a time", args: []string{"ack"}, brief: soon, aim: aim{text: "p50 0.35 ms"}},
		{name: "publish to ACK, 100 connections × 16", args: []string{"ack", "--connections", "100", "--window", "16"}, brief: soon, aim: aim{9, "9 µs, 150 k/s"}},
		{name: "10,000 idle connections", args: []string{"idle"}, brief: atOnce, aim: aim{110, "110 µs, 10 KB"}},
		{name: "500 streams × 50 tokens/s, a connection each", args: []string{"tokens"}, brief: soon, aim: aim{28, "28 µs, p99 5 ms"}},
		{name: "500 streams × 50 tokens/s, one connection", args: []string{"tokens", "--publishers", "1"}, brief: soon},
		{
			name: "500 answers × 50 tokens/s, worker to user", args: []string{"answers"}, brief: soon, aim: aim{40, "40 µs, p99 100 ms"},
			bare: []string{"tokens"},
		},
		{
			name: "5,000 connections cut, 10 messages missed", args: []string{"reconnect"}, aim: aim{text: "all in 0.5 s"},
			bare: []string{"idle", "--connections", "5000", "--channels", "500", "--settle", "0s"},
		},
	}
}

// chosen returns the loads whose name contains a text.
func chosen(all []load, only string) (some []load) {
	for _, l := range all {
		if strings.Contains(l.name, only) {
			some = append(some, l)
		}
	}
	return some
}
