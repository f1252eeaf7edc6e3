package bench

import (
	"context"
	"fmt"
	"strings"
)

// Part is something that a scenario measures besides its load.
type Part struct {
	Name      string   `json:"name"`
	Unit      string   `json:"unit"`
	Units     uint64   `json:"units"`
	PerSecond float64  `json:"per_second"`
	CPUMicros float64  `json:"cpu_us_per_unit,omitzero"` // the broker's; absent when its system does not say
	Latency   *Latency `json:"latency,omitempty"`
}

// part measures what do does, which is a number of units of something.
func (s *Session) part(ctx context.Context, name, unit string, units int, latency *latencies, do func() error) (p Part, err error) {
	s.Progress(name)
	from, err := s.read(ctx)
	if err != nil {
		return p, err
	}
	if err := do(); err != nil {
		return p, err
	}
	to, err := s.read(ctx)
	if err != nil {
		return p, err
	}
	p = Part{Name: name, Unit: unit, Units: uint64(units), PerSecond: float64(units) / to.at.Sub(from.at).Seconds()}
	if cost, _ := costOf(from, to, p.Units); cost != nil {
		p.CPUMicros = cost.CPUMicros
	}
	if latency != nil {
		p.Latency = latency.summary()
	}
	return p, nil
}

func (p Part) write(b *strings.Builder) {
	fmt.Fprintf(b, "  %s: %s, %.0f µs CPU each", p.Name, plural(p.Units, p.Unit), p.CPUMicros)
	if l := p.Latency; l != nil {
		fmt.Fprintf(b, ", p50 %.2f ms, p99 %.2f ms", l.P50, l.P99)
	}
	b.WriteByte('\n')
}
