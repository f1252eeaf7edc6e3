package main

import (
	"encoding/json"
	"os"
	"slices"
)

// record is what a measurement has found, as docs/performance.json keeps it.
type record struct {
	Machine string  `json:"machine"`
	Date    string  `json:"date"`
	Rounds  int     `json:"rounds"`
	Loads   []entry `json:"loads"`
}

// entry is the medians of one load.
type entry struct {
	Load      string  `json:"load"`
	Unit      string  `json:"unit"`
	CPU       float64 `json:"cpu_us"` // of the broker, for a unit
	Least     float64 `json:"cpu_us_least"`
	Most      float64 `json:"cpu_us_most"`
	PerSecond float64 `json:"per_second"`
	P50       float64 `json:"p50_ms"`
	P99       float64 `json:"p99_ms"`
	PerConn   float64 `json:"rss_per_conn,omitzero"`
	Seconds   float64 `json:"seconds"` // that the units took
	BareCPU   float64 `json:"bare_cpu_us"`
	BareRate  float64 `json:"bare_per_second"`
	Ratio     float64 `json:"ratio"` // of a round's broker to its bare program
	AimCPU    float64 `json:"aim_cpu_us,omitzero"`
	Aim       string  `json:"aim,omitempty"`
	Disturbed int     `json:"disturbed_rounds"`
	Calm      bool    `json:"calm"`         // only rounds without much else on the machine count
	Others    float64 `json:"others_cores"` // what else was on the machine in those that count
}

// entryOf sums up the rounds of a load. Those that were disturbed count only when there are no others.
func entryOf(l load, pairs []pair, limit float64) entry {
	var kept []pair
	for _, p := range pairs {
		if p.calm(limit) {
			kept = append(kept, p)
		}
	}
	e := entry{Load: l.name, Aim: l.aim.text, AimCPU: l.aim.cpu, Disturbed: len(pairs) - len(kept), Calm: len(kept) > 0}
	if len(kept) == 0 {
		kept = pairs
	}
	if len(kept) == 0 {
		return e
	}
	own := func(f func(outcome) float64) float64 { return median(kept, func(p pair) float64 { return f(p.own) }) }
	e.Unit = kept[0].own.Unit
	e.CPU = own(func(o outcome) float64 { return o.Broker.CPU })
	e.PerSecond = own(func(o outcome) float64 { return o.PerSecond })
	e.P50, e.P99 = own(func(o outcome) float64 { return o.Latency.P50 }), own(func(o outcome) float64 { return o.Latency.P99 })
	e.PerConn = own(func(o outcome) float64 { return o.Broker.PerConn })
	e.Seconds = own(func(o outcome) float64 { return o.Seconds })
	e.BareCPU = median(kept, func(p pair) float64 { return p.bare.Broker.CPU })
	e.BareRate = median(kept, func(p pair) float64 { return p.bare.PerSecond })
	e.Ratio = median(kept, pair.ratio)
	e.Others = median(kept, func(p pair) float64 { return max(p.own.Load.Others, p.bare.Load.Others) })
	e.Least, e.Most = kept[0].own.Broker.CPU, kept[0].own.Broker.CPU
	for _, p := range kept {
		e.Least, e.Most = min(e.Least, p.own.Broker.CPU), max(e.Most, p.own.Broker.CPU)
	}
	return e
}

func median(all []pair, of func(pair) float64) float64 {
	values := make([]float64, len(all))
	for i, p := range all {
		values[i] = of(p)
	}
	slices.Sort(values)
	n := len(values)
	if n == 0 {
		return 0
	}
	return (values[(n-1)/2] + values[n/2]) / 2
}

func (r record) entry(name string) (entry, bool) {
	i := slices.IndexFunc(r.Loads, func(e entry) bool { return e.Load == name })
	if i < 0 {
		return entry{}, false
	}
	return r.Loads[i], true
}

// readJSON and writeJSON keep records in files that a person can read, too.
func readJSON[T any](path string) (v T, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return v, err
	}
	return v, json.Unmarshal(b, &v)
}

func writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return publish(path, append(b, '\n'))
}
