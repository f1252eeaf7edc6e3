package main

import (
	"fmt"
	"math"
	"strings"

	"parley/internal/chart"
)

// column is one figure of a curve's table.
type column struct {
	title string
	of    func(point) string
}

// microseconds, milliseconds and kibibytes are figures with their units; what is not known is a dash.
func microseconds(v float64) string { return figure(v, "µs") }
func milliseconds(v float64) string { return figure(v, "ms") }
func kibibytes(v float64) string    { return figure(v/1024, "KiB") }
func mebibytes(v float64) string    { return figure(v/(1<<20), "MiB") }
func seconds(v float64) string      { return figure(v, "s") }

func figure(v float64, unit string) string {
	if v <= 0 {
		return "–"
	}
	return short(v) + " " + unit
}

// Parts of an outcome by their place, as `parley bench` has them.
const (
	opening  = 0 // channels: a subscription and a message each
	resuming = 1 // channels

	making   = 0 // tenants
	touching = 1 // tenants: a connection and a message each

	newest     = 0 // messages
	anywhere   = 1
	fromStore  = 2
	fromMemory = 3
)

func (p point) cpu() float64 { return p.Found.Broker.CPU }
func (p point) rss() float64 { return p.Found.Broker.RSS }

// each is what one more of what a curve counts adds to an amount, compared with the curve's first point; 0 when there are
// so few that it would say more of the load's own buffers.
func each(first, p point, amount func(point) float64) float64 {
	const few = 1000
	if p.At < few || amount(first) == 0 || amount(p) == 0 {
		return 0
	}
	return (amount(p) - amount(first)) / float64(p.At-first.At)
}

func (r restart) rss() float64 { return float64(r.RSS) }

// first and open are empty when nobody has looked.
func (r restart) first() firsts {
	if r.First == nil {
		return firsts{}
	}
	return *r.First
}

func (r restart) open() opened {
	if r.Open == nil {
		return opened{}
	}
	return *r.Open
}

// part returns a part of what was found, which is empty when there is none.
func (p point) part(i int) part {
	if i >= len(p.Found.Parts) {
		return part{}
	}
	return p.Found.Parts[i]
}

// started is the restart, which is empty when there was none.
func (p point) started() restart {
	if p.Restart == nil {
		return restart{}
	}
	return *p.Restart
}

// columns are the tables' figures by the curve's name; first is the curve's first point.
func columns(curve string, first point) []column {
	look := func(i int) func(point) string {
		return func(p point) string {
			return milliseconds(p.part(i).Latency.P50) + ", " + microseconds(p.part(i).CPU)
		}
	}
	start := []column{
		{"start", func(p point) string { return seconds(p.started().Seconds) }},
		{"memory after it", func(p point) string { return mebibytes(p.started().rss()) }},
	}
	switch curve {
	case "subscribers":
		return []column{
			{"CPU a delivery", func(p point) string { return microseconds(p.cpu()) }},
			{"deliveries", func(p point) string { return chart.Number(p.Found.PerSecond) + "/s" }},
			{"p50, p99", func(p point) string {
				return milliseconds(p.Found.Latency.P50) + ", " + milliseconds(p.Found.Latency.P99)
			}},
			{"memory", func(p point) string { return mebibytes(p.rss()) }},
		}
	case "tenants":
		return []column{
			{"CPU a message", func(p point) string { return microseconds(p.cpu()) }},
			{"memory a tenant", func(p point) string { return kibibytes(each(first, p, point.rss)) }},
			{"CPU to make one", func(p point) string { return microseconds(p.part(making).CPU) }},
			{"to its first ACK", func(p point) string { return microseconds(p.part(touching).CPU) }},
		}
	case "start with tenants":
		return []column{
			{"ready", func(p point) string { return seconds(p.started().Seconds) }},
			{"CPU", func(p point) string { return seconds(p.started().CPUSeconds) }},
			{"memory", func(p point) string { return mebibytes(p.started().rss()) }},
			{"first message of a tenant: p50, most", func(p point) string {
				return milliseconds(p.started().first().P50) + ", " + milliseconds(p.started().first().Most)
			}},
			{"all open", func(p point) string { return seconds(p.started().open().Seconds) }},
			{"CPU by then", func(p point) string { return seconds(p.started().open().CPUSeconds) }},
			{"memory by then", func(p point) string { return mebibytes(float64(p.started().open().RSS)) }},
		}
	case "channels":
		return append([]column{
			{"CPU a message", func(p point) string { return microseconds(p.cpu()) }},
			{"memory a channel", func(p point) string { return kibibytes(each(first, p, point.rss)) }},
			{"CPU to open one", func(p point) string { return microseconds(p.part(opening).CPU) }},
			{"resume of 10: p50, CPU", look(resuming)},
		}, start...)
	default:
		return append([]column{
			{"CPU to store one", func(p point) string { return microseconds(p.cpu()) }},
			{"newest 50: p50, CPU", look(newest)},
			{"50 from anywhere", look(anywhere)},
			{"resume of 100, store", look(fromStore)},
			{"resume of 100, memory", look(fromMemory)},
			{"memory", func(p point) string { return mebibytes(p.rss()) }},
		}, start...)
	}
}

// table is the tables of all curves for docs/scaling.md.
func (g growth) table() string {
	var b strings.Builder
	b.WriteString("One run a line, each on a fresh broker.\n")
	for _, c := range curves() {
		points := g[c.name].Points
		if len(points) == 0 {
			continue
		}
		head, rule := "| "+c.name+" |", "|---|"
		for _, col := range columns(c.name, points[0]) {
			head, rule = head+" "+col.title+" |", rule+"---|"
		}
		fmt.Fprintf(&b, "\n%s\n%s\n", head, rule)
		for _, p := range points {
			fmt.Fprintf(&b, "| %s |", chart.Number(float64(p.At)))
			for _, col := range columns(c.name, points[0]) {
				fmt.Fprintf(&b, " %s |", col.of(p))
			}
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "\n%s\n", g[c.name].about())
	}
	return b.String()
}

// about says what a curve was measured on, and what else was on it.
func (m measured) about() string {
	least, most := math.Inf(1), 0.0
	for _, p := range m.Points {
		least, most = min(least, p.Found.Load.Others), max(most, p.Found.Load.Others)
	}
	return fmt.Sprintf("%s, %s; other processes took %s to %s cores.", m.Machine, m.Date, short(least), short(most))
}

// picture draws the curves.
func (g growth) picture() chart.Panels {
	line := func(curve, name string, of func(point) float64) chart.Series {
		s := chart.Series{Name: name}
		for _, p := range g[curve].Points {
			if v := of(p); v > 0 {
				s.Points = append(s.Points, chart.Point{X: float64(p.At), Y: v})
			}
		}
		return s
	}
	memory := func(curve, name string, amount func(point) float64) chart.Series {
		return line(curve, name, func(p point) float64 { return each(g[curve].Points[0], p, amount) / 1024 })
	}
	one := func(title, curve string, of func(point) float64) chart.Panel {
		return chart.Panel{Title: title, Across: curve, Series: []chart.Series{line(curve, "", of)}}
	}
	looks := func(title string, of func(part) float64) chart.Panel {
		p := chart.Panel{Title: title, Across: "stored messages"}
		for i, name := range []string{"newest 50", "anywhere", "resume: store", "memory"} {
			p.Series = append(p.Series, line("messages", name, func(p point) float64 { return of(p.part(i)) }))
		}
		return p
	}
	return chart.Panels{
		Title: "What grows, and what does not",
		Note:  "Upwards the axes are linear and begin at zero; across, a step is ten times as many.",
		Panels: []chart.Panel{
			one("CPU a delivery, µs", "subscribers", point.cpu),
			one("CPU a message spread over tenants, µs", "tenants", point.cpu),
			one("Memory a tenant in use, KiB", "tenants", func(p point) float64 { return each(g["tenants"].Points[0], p, point.rss) / 1024 }),
			{Title: "Start with tenants, s", Across: "tenants", Series: []chart.Series{
				line("start with tenants", "until ready", func(p point) float64 { return p.started().Seconds }),
			}},
			one("CPU a message spread over channels, µs", "channels", point.cpu),
			{Title: "Memory a channel, KiB", Across: "channels", Series: []chart.Series{memory("channels", "", point.rss)}},
			looks("A look into the past, p50, ms", func(p part) float64 { return p.Latency.P50 }),
			looks("A look into the past, CPU, µs", func(p part) float64 { return p.CPU }),
		},
	}
}
