package main

import (
	"cmp"
	"context"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"parley/admin"
	"parley/internal/tick"
	"parley/tenants"
)

type topCmd struct {
	remote
	asJSON
	Once  bool          `help:"Print one table and end."`
	Every time.Duration `default:"1s" help:"How often to look. Defaults to 1s."`
	Limit int           `default:"30" help:"How many tenants to show, the busiest first. Defaults to 30; 0 for all."`
}

// Help shows how to use it.
func (topCmd) Help() string {
	return `Rates are those between two looks, of all nodes together for the tenants. On a terminal the table stays in place; elsewhere each look is printed below the one before, with --json as one document a line.

  parley top
  parley top --once
  parley top --json --every 10s`
}

// rates is what happened in a second between two looks.
type rates struct {
	Open     int64   `json:"open_connections"`
	Received float64 `json:"received_per_second"`
	Sent     float64 `json:"sent_per_second"`
	BytesIn  float64 `json:"received_bytes_per_second"`
	BytesOut float64 `json:"sent_bytes_per_second"`
	Stored   float64 `json:"stored_per_second"`
	Runs     float64 `json:"runs_per_second"`
	Tokens   float64 `json:"tokens_per_second"`
	Storage  uint64  `json:"storage_bytes"`
}

// sight is what one look has found since the one before.
type sight struct {
	Time    time.Time    `json:"time"`
	Nodes   []nodeRates  `json:"nodes"`
	Tenants []tenantRate `json:"tenants"` // the busiest first
}

type nodeRates struct {
	Name    string  `json:"name"`
	Ready   bool    `json:"ready"`
	Problem string  `json:"problem,omitempty"`
	CPU     float64 `json:"cpu_cores"`
	RSS     uint64  `json:"rss_bytes"`
	Free    uint64  `json:"disk_free_bytes"`
	rates   `json:",inline"`
}

type tenantRate struct {
	Tenant tenants.ID `json:"tenant"`
	rates  `json:",inline"`
}

// Run prints what happens until it is interrupted.
func (cmd *topCmd) Run(c *console) error {
	return cmd.with(c, func(client *admin.Client) error {
		before, err := client.Load(c.ctx)
		if err != nil {
			return err
		}
		for range tick.Every(c.ctx, max(cmd.Every, 100*time.Millisecond)) {
			now, err := client.Load(c.ctx)
			if err != nil {
				return err
			}
			if err := cmd.show(c, compare(before, now)); err != nil || cmd.Once {
				return err
			}
			before = now
		}
		return context.Canceled
	})
}

// show prints one look.
func (cmd *topCmd) show(c *console, s sight) error {
	if cmd.Limit > 0 && len(s.Tenants) > cmd.Limit {
		s.Tenants = s.Tenants[:cmd.Limit]
	}
	if cmd.JSON {
		b, err := json.Marshal(s)
		if err != nil {
			return err
		}
		return c.printLine(string(b))
	}
	const home = "\x1b[H\x1b[2J"
	if !cmd.Once && terminal(c) {
		if _, err := c.stdout.Write([]byte(home)); err != nil {
			return err
		}
	}
	columns := []string{"OPEN", "IN/S", "OUT/S", "BYTES IN/S", "BYTES OUT/S", "STORED/S", "RUNS/S", "TOKENS/S", "STORAGE"}
	rows := [][]string{append([]string{"NODE", "READY", "CPU", "MEMORY", "DISK FREE"}, columns...)}
	for _, n := range s.Nodes {
		ready := "yes"
		if !n.Ready {
			ready = "no: " + n.Problem
		}
		rows = append(rows, append([]string{n.Name, ready, strconv.FormatFloat(100*n.CPU, 'f', 0, 64) + " %", size(n.RSS), size(n.Free)}, n.row()...))
	}
	if err := c.table(rows...); err != nil {
		return err
	}
	if err := c.printLine(""); err != nil {
		return err
	}
	rows = [][]string{append([]string{"TENANT"}, columns...)}
	for _, t := range s.Tenants {
		rows = append(rows, append([]string{string(t.Tenant)}, t.row()...))
	}
	if err := c.table(rows...); err != nil || cmd.Once {
		return err
	}
	return c.printLine("")
}

// terminal reports whether a person looks at what is printed.
func terminal(c *console) bool {
	f, ok := c.stdout.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (r rates) row() []string {
	return []string{
		strconv.FormatInt(r.Open, 10), rate(r.Received), rate(r.Sent), size(uint64(r.BytesIn)), size(uint64(r.BytesOut)),
		rate(r.Stored), rate(r.Runs), rate(r.Tokens), size(r.Storage),
	}
}

// rate writes a number of things a second for people.
func rate(x float64) string {
	if x == 0 || x >= 10 {
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	return strconv.FormatFloat(x, 'f', 1, 64)
}

// compare returns what has happened between two looks. A node that was not there at the first has no rates yet.
func compare(before, now admin.Load) sight {
	s := sight{Time: now.Time, Nodes: []nodeRates{}, Tenants: []tenantRate{}}
	seconds := now.Time.Sub(before.Time).Seconds()
	earlier := map[string]admin.NodeLoad{}
	for _, n := range before.Nodes {
		earlier[n.ID] = n
	}
	all := map[tenants.ID]*rates{}
	for _, n := range now.Nodes {
		old, known := earlier[n.ID]
		node := nodeRates{Name: n.Name, Ready: n.Ready, Problem: n.Problem, Free: n.DiskFree}
		if n.Process != nil {
			node.RSS = n.Process.RSS
			if known && old.Process != nil && seconds > 0 {
				node.CPU = (n.Process.UserSeconds + n.Process.SystemSeconds - old.Process.UserSeconds - old.Process.SystemSeconds) / seconds
			}
		}
		used := map[tenants.ID]tenants.Usage{}
		for _, t := range old.Tenants {
			used[t.Tenant] = t.Usage
		}
		for _, t := range n.Tenants {
			r := rates{Open: t.Open, Storage: t.Held}
			if known && seconds > 0 {
				r.since(used[t.Tenant], t.Usage, seconds)
			}
			if all[t.Tenant] == nil {
				all[t.Tenant] = &rates{}
			}
			all[t.Tenant].add(r)
			node.add(r)
		}
		s.Nodes = append(s.Nodes, node)
	}
	for id, r := range all {
		s.Tenants = append(s.Tenants, tenantRate{id, *r})
	}
	slices.SortFunc(s.Tenants, func(a, b tenantRate) int {
		return cmp.Or(-cmp.Compare(a.Sent+a.Received, b.Sent+b.Received), -cmp.Compare(a.Open, b.Open), cmp.Compare(a.Tenant, b.Tenant))
	})
	return s
}

// since sets the rates between two counts of one tenant on one node.
func (r *rates) since(old, now tenants.Usage, seconds float64) {
	per := func(a, b uint64) float64 { return float64(b-min(a, b)) / seconds }
	r.Received, r.Sent = per(old.Received, now.Received), per(old.Sent, now.Sent)
	r.BytesIn, r.BytesOut = per(old.ReceivedBytes, now.ReceivedBytes), per(old.SentBytes, now.SentBytes)
	r.Stored, r.Runs = per(old.Stored, now.Stored), per(old.Runs, now.Runs)
	r.Tokens = per(old.InputTokens+old.OutputTokens, now.InputTokens+now.OutputTokens)
}

func (r *rates) add(o rates) {
	r.Open, r.Storage = r.Open+o.Open, r.Storage+o.Storage
	r.Received, r.Sent, r.BytesIn, r.BytesOut = r.Received+o.Received, r.Sent+o.Sent, r.BytesIn+o.BytesIn, r.BytesOut+o.BytesOut
	r.Stored, r.Runs, r.Tokens = r.Stored+o.Stored, r.Runs+o.Runs, r.Tokens+o.Tokens
}
