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
	nodes   []*admin.Process // nil when a node's system does not say
	own     usage.Process
	machine time.Duration
	known   bool // own and machine are
}

func (s *Session) read(ctx context.Context) (reading, error) {
	var r reading
	for _, node := range s.nodes {
		info, err := node.Info(ctx)
		if err != nil {
			return reading{}, err
		}
		if info.Process == nil {
			r.nodes = nil
			break
		}
		r.nodes = append(r.nodes, info.Process)
	}
	r.at = time.Now()
	var known bool
	r.own, r.known = usage.Own()
	r.machine, known = usage.Machine()
	r.known = r.known && known
	return r, nil
}

// rss is what all nodes hold.
func (r reading) rss() (sum uint64) {
	for _, p := range r.nodes {
		sum += p.RSS
	}
	return sum
}

// Cost is what a load has cost all nodes together.
type Cost struct {
	CPUMicros  float64 `json:"cpu_us_per_unit"`          // CPU time for each unit, in the broker's own code and in the kernel
	CPUCores   float64 `json:"cpu_cores"`                // how many cores it took on average
	RSS        uint64  `json:"rss_bytes"`                // what it held at the end
	PerConn    float64 `json:"rss_per_conn,omitzero"`    // what of it came with each connection
	PerTenant  float64 `json:"rss_per_tenant,omitzero"`  // what of it came with each tenant
	PerChannel float64 `json:"rss_per_channel,omitzero"` // what of it came with each channel
	Nodes      []Node  `json:"nodes,omitempty"`          // of a cluster, in the order in which they were named
}

// Node is one node's share of a Cost.
type Node struct {
	CPUCores float64 `json:"cpu_cores"`
	RSS      uint64  `json:"rss_bytes"`
}

// Load is who took the rest of this machine, in cores on average.
type Load struct {
	Generator float64 `json:"generator_cores"`
	Others    float64 `json:"others_cores"` // all but the generator and the broker, if that runs here
}

// costOf returns what was spent between two readings for a number of units, and how many seconds of CPU time that is. It
// is nil when the system does not say.
func costOf(from, to reading, units uint64) (c *Cost, spent float64) {
	if len(from.nodes) == 0 || len(from.nodes) != len(to.nodes) {
		return nil, 0
	}
	seconds := to.at.Sub(from.at).Seconds()
	c = &Cost{RSS: to.rss()}
	for i, p := range to.nodes {
		was := from.nodes[i]
		took := p.UserSeconds + p.SystemSeconds - was.UserSeconds - was.SystemSeconds
		spent += took
		if len(to.nodes) > 1 {
			c.Nodes = append(c.Nodes, Node{CPUCores: took / seconds, RSS: p.RSS})
		}
	}
	c.CPUCores = spent / seconds
	if units > 0 {
		c.CPUMicros = spent * 1e6 / float64(units)
	}
	return c, spent
}

// fill notes what was spent between two readings for a number of units.
func (r *Result) fill(from, to reading, units uint64) {
	r.Units, r.Seconds = units, to.at.Sub(from.at).Seconds()
	if r.Seconds > 0 {
		r.PerSecond = float64(units) / r.Seconds
	}
	var spent float64
	r.Broker, spent = costOf(from, to, units)
	if from.known && to.known {
		own := (to.own.User + to.own.System - from.own.User - from.own.System).Seconds()
		all := (to.machine - from.machine).Seconds()
		r.Load = &Load{Generator: own / r.Seconds, Others: max(0, all-own-spent) / r.Seconds}
	}
}

// settle leaves the broker alone for a while, takes the least memory that it held meanwhile, and returns how much that is
// above a reading: what a load has taken for the moment goes back to the system little by little.
func (s *Session) settle(ctx context.Context, c *Cost, before reading) (more float64, err error) {
	if c == nil {
		return 0, nil
	}
	for end := time.Now().Add(s.Settle); time.Now().Before(end); {
		s.Progress("leaving it alone: " + mebibytes(c.RSS))
		if !pause(ctx, min(time.Second, time.Until(end))) {
			return 0, ctx.Err()
		}
		now, err := s.read(ctx)
		if err != nil {
			return 0, err
		}
		if len(now.nodes) == len(before.nodes) {
			c.RSS = min(c.RSS, now.rss())
		}
	}
	return float64(c.RSS) - float64(before.rss()), nil
}
