package bench

import (
	"cmp"
	"fmt"
	"io"
	"strings"
)

// Result is what a scenario has found.
type Result struct {
	Scenario  string   `json:"scenario"`
	Setting   string   `json:"setting"` // the load in words
	Unit      string   `json:"unit"`    // what is counted
	Units     uint64   `json:"units"`   // in the time that counts
	Seconds   float64  `json:"seconds"` // that time
	PerSecond float64  `json:"per_second"`
	Broker    *Cost    `json:"broker,omitempty"`  // absent when the broker's system does not say
	Latency   *Latency `json:"latency,omitempty"` // from sending to receiving, on this machine's clock
	Load      *Load    `json:"load,omitempty"`    // absent where the system does not say
	Parts     []Part   `json:"parts,omitempty"`   // what was measured besides
	Counts    Counts   `json:"counts"`
}

// Counts is what became of all messages of a run, the warm-up's too.
type Counts struct {
	Sent         uint64 `json:"sent"`
	Acknowledged uint64 `json:"acknowledged"`
	AckedTwice   uint64 `json:"acknowledged_twice"`
	Refused      uint64 `json:"refused"`
	Expected     uint64 `json:"expected"` // deliveries, if each subscriber gets each message of its channel
	Delivered    uint64 `json:"delivered"`
	Duplicated   uint64 `json:"duplicated"`
	Missing      uint64 `json:"missing"`
	Reordered    uint64 `json:"reordered"`
	Foreign      uint64 `json:"foreign"` // deliveries and ACKs that nobody on the connection waited for
	Disconnects  uint64 `json:"disconnects"`
	Resent       uint64 `json:"resent,omitzero"`              // with the same id, since their outcome was unknown; that is no fault
	Retried      uint64 `json:"connections_retried,omitzero"` // the broker said 503 and took them a moment later; that is no fault
	Reason       string `json:"reason,omitempty"`             // of the first refusal or disconnect
}

// Exact reports whether every message was acknowledged once and delivered once, in order, to everyone.
func (c Counts) Exact() bool {
	return c.Acknowledged == c.Sent && c.Delivered == c.Expected &&
		c.AckedTwice+c.Refused+c.Duplicated+c.Missing+c.Reordered+c.Foreign+c.Disconnects == 0
}

// Write writes the result for people.
func (r *Result) Write(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", r.Scenario, r.Setting)
	fmt.Fprintf(&b, "  rate      %s/s (%s in %.1f s)\n", plural(uint64(r.PerSecond), r.Unit), thousands(r.Units), r.Seconds)
	if c := r.Broker; c != nil {
		fmt.Fprintf(&b, "  broker    %s\n", c.words(r.Unit))
		for i, n := range c.Nodes {
			fmt.Fprintf(&b, "    node %d  %.2f cores, %s\n", i+1, n.CPUCores, mebibytes(n.RSS))
		}
	}
	if l := r.Latency; l != nil {
		fmt.Fprintf(&b, "  latency   p50 %.2f ms, p90 %.2f ms, p99 %.2f ms, max %.1f ms\n", l.P50, l.P90, l.P99, l.Max)
	}
	for _, p := range r.Parts {
		p.write(&b)
	}
	r.Counts.write(&b)
	if l := r.Load; l != nil {
		fmt.Fprintf(&b, "  machine   %.2f cores for this generator, %.2f for others\n", l.Generator, l.Others)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// plus is both together.
func (c Counts) plus(d Counts) Counts {
	return Counts{
		Sent: c.Sent + d.Sent, Acknowledged: c.Acknowledged + d.Acknowledged, AckedTwice: c.AckedTwice + d.AckedTwice, Refused: c.Refused + d.Refused,
		Expected: c.Expected + d.Expected, Delivered: c.Delivered + d.Delivered, Duplicated: c.Duplicated + d.Duplicated, Missing: c.Missing + d.Missing,
		Reordered: c.Reordered + d.Reordered, Foreign: c.Foreign + d.Foreign, Disconnects: c.Disconnects + d.Disconnects,
		Retried: c.Retried + d.Retried, Resent: c.Resent + d.Resent,
		Reason: cmp.Or(c.Reason, d.Reason),
	}
}

// words is what a unit has cost, and what came with each thing that was made.
func (c *Cost) words(unit string) string {
	s := fmt.Sprintf("%.2f µs CPU for each %s, %.2f cores, %s", c.CPUMicros, unit, c.CPUCores, mebibytes(c.RSS))
	for _, each := range []struct {
		bytes float64
		thing string
	}{{c.PerConn, "connection"}, {c.PerTenant, "tenant"}, {c.PerChannel, "channel"}} {
		if each.bytes != 0 {
			s += fmt.Sprintf(", %.1f KiB a %s", each.bytes/1024, each.thing)
		}
	}
	return s
}

func mebibytes(n uint64) string { return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20)) }

func (c Counts) write(b *strings.Builder) {
	fmt.Fprintf(b, "  messages  %s sent, %s acknowledged", thousands(c.Sent), thousands(c.Acknowledged))
	if c.Expected > 0 {
		fmt.Fprintf(b, "; %s delivered: %d missing, %d duplicated, %d reordered", thousands(c.Delivered), c.Missing, c.Duplicated, c.Reordered)
	}
	b.WriteByte('\n')
	if c.Retried+c.Resent > 0 {
		fmt.Fprintf(b, "  not now   tried again: %s refused with 503, %s of unknown outcome\n", plural(c.Retried, "connection"), plural(c.Resent, "message"))
	}
	if !c.Exact() {
		fmt.Fprintf(b, "  NOT EXACT %d acknowledged twice, %d refused, %d foreign, %d connections lost%s\n",
			c.AckedTwice, c.Refused, c.Foreign, c.Disconnects, because(c.Reason))
	}
}

// plural is a number of things in words.
func plural(n uint64, unit string) string {
	if stem, ok := strings.CutSuffix(unit, "y"); ok && n != 1 {
		return thousands(n) + " " + stem + "ies"
	}
	if n != 1 {
		unit += "s"
	}
	return thousands(n) + " " + unit
}

// thousands is n with its digits in groups.
func thousands(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}
