package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
)

// writeTable writes the medians of all loads. calm bounds what other processes may have taken in a run that counts.
func writeTable(w io.Writer, measured []load, results map[string][]outcome, calm float64, about string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s. Server CPU, medians (least to most).\n\n", about)
	b.WriteString("| load | CPU | rate | p50 / p99 | more | bare program | ratio |\n|---|---|---|---|---|---|---|\n")
	disturbed, others := 0, []outcome{}
	for _, l := range measured {
		own, d := quiet(results[l.name+"/parley"], calm)
		bare, e := quiet(results[l.name+"/limit"], calm)
		disturbed += d + e
		others = append(append(others, own...), bare...)
		b.WriteString(row(l, own, bare))
	}
	if disturbed > 0 {
		fmt.Fprintf(&b, "\nOther processes disturbed %d runs; where a load had calm ones, only those count. In those that count they took %.1f cores at the median.\n",
			disturbed, median(others, func(o outcome) float64 { return o.Load.Others }))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// quiet returns the runs that were not disturbed, or all if there is none, and how many were.
func quiet(all []outcome, calm float64) (kept []outcome, disturbed int) {
	for _, o := range all {
		if o.Load.Others <= calm {
			kept = append(kept, o)
		}
	}
	if disturbed = len(all) - len(kept); len(kept) == 0 {
		kept = all
	}
	return kept, disturbed
}

func row(l load, own, bare []outcome) string {
	if len(own) == 0 {
		return ""
	}
	cpu := func(o outcome) float64 { return o.Broker.CPU }
	more, reference, ratio := "", "–", "–"
	if memory := median(own, func(o outcome) float64 { return o.Broker.PerConn }); memory > 0 {
		more = fmt.Sprintf("%.1f KiB each", memory/1024)
	}
	if l.durable {
		more = fmt.Sprintf("all back in %.2f s", median(own, func(o outcome) float64 { return o.Seconds }))
	}
	if len(bare) > 0 {
		reference = fmt.Sprintf("%s µs, %s/s", short(median(bare, cpu)), count(median(bare, func(o outcome) float64 { return o.PerSecond })))
		ratio = fmt.Sprintf("%.1f", median(own, cpu)/median(bare, cpu))
	}
	low, high := cpu(slices.MinFunc(own, byCPU)), cpu(slices.MaxFunc(own, byCPU))
	return fmt.Sprintf("| %s | **%s µs** each %s (%s–%s) | %s/s | %s / %s ms | %s | %s | %s |\n",
		l.name, short(median(own, cpu)), own[0].Unit, short(low), short(high),
		count(median(own, func(o outcome) float64 { return o.PerSecond })),
		short(median(own, func(o outcome) float64 { return o.Latency.P50 })), short(median(own, func(o outcome) float64 { return o.Latency.P99 })),
		more, reference, ratio)
}

func byCPU(a, b outcome) int {
	if a.Broker.CPU < b.Broker.CPU {
		return -1
	}
	return 1
}

func median(all []outcome, of func(outcome) float64) float64 {
	values := make([]float64, len(all))
	for i, o := range all {
		values[i] = of(o)
	}
	slices.Sort(values)
	n := len(values)
	if n == 0 {
		return 0
	}
	return (values[(n-1)/2] + values[n/2]) / 2
}

// short is a number with as many digits as say something.
func short(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

func count(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.2f M", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%.0f k", v/1e3)
	case v >= 1e3:
		return fmt.Sprintf("%.1f k", v/1e3)
	default:
		return fmt.Sprintf("%.0f", v)
	}
}

// machine names what this runs on.
func machine() string {
	name := runtime.GOARCH
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
				name = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%d × %s, %s, %s", runtime.NumCPU(), name, runtime.GOOS, runtime.Version())
}
