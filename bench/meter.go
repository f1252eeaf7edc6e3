package bench

import (
	"context"
	"time"

	"parley/admin"
	"parley/internal/usage"
)

// reading is what has been spent up to a moment.
type reading struct {
	at      time.Time
	broker  *admin.Process // nil when the broker's system does not say
	own     usage.Process
	machine time.Duration
	known   bool // own and machine are
}

func (s *Session) read(ctx context.Context) (reading, error) {
	info, err := s.client.Info(ctx)
	if err != nil {
		return reading{}, err
	}
	r := reading{at: time.Now(), broker: info.Process}
	var known bool
	r.own, r.known = usage.Own()
	r.machine, known = usage.Machine()
	r.known = r.known && known
	return r, nil
}

// Cost is what a load has cost.
type Cost struct {
	CPUMicros float64 `json:"cpu_us_per_unit"`       // the broker's CPU time for each unit, in its own code and in the kernel
	CPUCores  float64 `json:"cpu_cores"`             // how many cores it took on average
	RSS       uint64  `json:"rss_bytes"`             // what it held at the end
	PerConn   float64 `json:"rss_per_conn,omitzero"` // what of it came with each connection
}

// Load is who took the rest of this machine, in cores on average.
type Load struct {
	Generator float64 `json:"generator_cores"`
	Others    float64 `json:"others_cores"` // all but the generator and the broker, if that runs here
}

// fill notes what was spent between two readings for a number of units.
func (r *Result) fill(from, to reading, units uint64) {
	r.Units, r.Seconds = units, to.at.Sub(from.at).Seconds()
	if r.Seconds > 0 {
		r.PerSecond = float64(units) / r.Seconds
	}
	spent := 0.0
	if from.broker != nil && to.broker != nil {
		spent = to.broker.UserSeconds + to.broker.SystemSeconds - from.broker.UserSeconds - from.broker.SystemSeconds
		r.Broker = &Cost{CPUCores: spent / r.Seconds, RSS: to.broker.RSS}
		if units > 0 {
			r.Broker.CPUMicros = spent * 1e6 / float64(units)
		}
	}
	if from.known && to.known {
		own := (to.own.User + to.own.System - from.own.User - from.own.System).Seconds()
		all := (to.machine - from.machine).Seconds()
		r.Load = &Load{Generator: own / r.Seconds, Others: max(0, all-own-spent) / r.Seconds}
	}
}
