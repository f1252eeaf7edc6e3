package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"parley/internal/chart"
)

// table is the record for docs/performance.md.
func (r record) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s, %s. CPU of the broker, medians (least to most); the ratio is that to the bare program in the same round.\n\n",
		r.Machine, r.Date, plural(r.Rounds, "round"))
	b.WriteString("| load | CPU | aim | rate | p50, p99 | bare program | ratio |\n|---|---|---|---|---|---|---|\n")
	disturbed, restless := 0, 0
	for _, e := range r.Loads {
		b.WriteString(e.row())
		if e.Calm {
			disturbed += e.Disturbed
		} else {
			restless++
		}
	}
	b.WriteString("\nThe bare program stores nothing: of the last load it does the connects alone.\n")
	if disturbed > 0 {
		fmt.Fprintf(&b, "Other processes took part of the machine in %s, which are left out.\n", plural(disturbed, "round of a load", "rounds of loads"))
	}
	if restless > 0 {
		fmt.Fprintf(&b, "**Of %s no round was undisturbed, so that all count: take these figures for rough ones.**\n", plural(restless, "load"))
	}
	return b.String()
}

func (e entry) row() string {
	more := ""
	if e.PerConn > 0 {
		more = fmt.Sprintf("; %s KiB each", short(e.PerConn/1024))
	}
	if strings.HasPrefix(e.Aim, "all in ") {
		more = fmt.Sprintf("; all in %.2f s", e.Seconds)
	}
	return fmt.Sprintf("| %s | **%s µs** %s (%s–%s) | %s | %s/s%s | %s, %s ms | %s µs, %s/s | %s |\n",
		e.Load, short(e.CPU), one(e.Unit), short(e.Least), short(e.Most), e.Aim, chart.Number(e.PerSecond), more,
		short(e.P50), short(e.P99), short(e.BareCPU), chart.Number(e.BareRate), short(e.Ratio))
}

// one is a unit with its article.
func one(unit string) string {
	if unit != "" && strings.ContainsRune("aeiou", rune(unit[0])) {
		return "an " + unit
	}
	return "a " + unit
}

// plural is a number of things in words.
func plural(n int, one string, many ...string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, append(many, one+"s")[0])
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

// picture compares the CPU time of the record's loads.
func (r record) picture() chart.Dots {
	d := chart.Dots{
		Title:  "CPU time for one operation",
		Note:   fmt.Sprintf("Microseconds, logarithmic; less is better. %s, %s.", r.Machine, r.Date),
		Series: []string{"Parley", "aim", "bare program"},
	}
	for _, e := range r.Loads {
		d.Rows = append(d.Rows, chart.Row{Name: e.Load, Values: []float64{e.CPU, e.AimCPU, e.BareCPU}})
	}
	return d
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
