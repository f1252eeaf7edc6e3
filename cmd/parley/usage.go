package main

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"parley/admin"
	"parley/internal/fault"
	"parley/tenants"
)

type usageCmd struct {
	remote
	asJSON
	Tenant string `placeholder:"ID" help:"Only this tenant."`
	Since  string `placeholder:"WHEN" help:"The first day: a date such as 2027-01-31, or how long ago, such as 168h. Defaults to the first of this month."`
	Until  string `placeholder:"DATE" help:"The last day. Defaults to today."`
	Daily  bool   `help:"A line for each day."`
}

// Help shows how to use it.
func (usageCmd) Help() string {
	return `Days are those of UTC; sums are kept for 100 days, also of tenants that were deleted. A node that is killed forgets at most what it counted in its last 15 seconds. STORAGE is what there is now, on the disks of all nodes together: in a cluster each message is there up to three times.

  parley usage
  parley usage --since 2027-01-01 --until 2027-01-31 --json
  parley usage --tenant acme --since 168h --daily`
}

// Run prints what tenants have used.
func (cmd *usageCmd) Run(c *console) error {
	from, err := parseInstant(cmd.Since, time.Now(), -1)
	if err != nil {
		return err
	}
	until, err := parseInstant(cmd.Until, time.Now(), -1)
	if err != nil {
		return err
	}
	if !from.IsZero() && !until.IsZero() && until.Before(from) {
		return fault.New(fault.Usage, "The last day is before the first.")
	}
	return cmd.with(c, func(client *admin.Client) error {
		report, err := client.Usage(c.ctx, from, until, cmd.Tenant)
		if err != nil {
			return err
		}
		load, err := client.Load(c.ctx)
		if err != nil {
			return err
		}
		if !cmd.Daily {
			report.Usage = total(report.Usage)
		}
		used := withStorage(report, load, cmd.Tenant)
		if cmd.JSON {
			return c.printJSON(used)
		}
		return c.table(used.rows(cmd.Daily)...)
	})
}

// usageReport is what the command prints.
type usageReport struct {
	From  string      `json:"from"`
	Until string      `json:"until"`
	Usage []usageLine `json:"usage"`
}

type usageLine struct {
	Day     string     `json:"day,omitempty"` // absent in a sum of several
	Tenant  tenants.ID `json:"tenant,omitempty"`
	Account string     `json:"account"`

	tenants.Usage `json:",inline"`

	Storage uint64 `json:"storage_bytes"` // now, on all nodes
}

// total adds up the days of each tenant.
func total(daily []admin.TenantUsage) (sums []admin.TenantUsage) {
	at := map[string]int{}
	for _, u := range daily {
		i, known := at[string(u.Account)]
		if !known {
			i = len(sums)
			at[string(u.Account)] = i
			sums = append(sums, admin.TenantUsage{Tenant: u.Tenant, Account: u.Account})
		}
		sums[i].Usage = sums[i].Usage.Plus(u.Usage)
	}
	return sums
}

// withStorage adds what the tenants have stored now; only limits that to one tenant unless it is empty.
func withStorage(r admin.UsageReport, load admin.Load, only string) usageReport {
	stored := map[tenants.ID]uint64{}
	for _, n := range load.Nodes {
		for _, t := range n.Tenants {
			stored[t.Tenant] += t.Held
		}
	}
	all := usageReport{From: r.From, Until: r.Until, Usage: []usageLine{}}
	seen := map[tenants.ID]bool{}
	for _, u := range r.Usage {
		line := usageLine{Day: u.Day, Tenant: u.Tenant, Account: string(u.Account), Usage: u.Usage}
		if u.Tenant != "" && (u.Day == "" || u.Day == r.Until) {
			line.Storage = stored[u.Tenant]
		}
		seen[u.Tenant] = true
		all.Usage = append(all.Usage, line)
	}
	for id, bytes := range stored { // those that have done nothing else
		if !seen[id] && bytes > 0 && (only == "" || only == string(id)) {
			all.Usage = append(all.Usage, usageLine{Tenant: id, Storage: bytes})
		}
	}
	slices.SortStableFunc(all.Usage, func(a, b usageLine) int {
		return cmp.Or(cmp.Compare(a.Day, b.Day), cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Account, b.Account))
	})
	return all
}

// rows are a report for people.
func (r usageReport) rows(daily bool) [][]string {
	head := []string{"TENANT", "CONNECTIONS", "RECEIVED", "SENT", "BYTES IN", "BYTES OUT", "STORED", "STORAGE", "RUNS", "TOKENS IN", "TOKENS OUT"}
	if daily {
		head = append([]string{"DAY"}, head...)
	}
	rows := [][]string{head}
	for _, u := range r.Usage {
		row := []string{
			cmp.Or(string(u.Tenant), "(deleted "+u.Account+")"), count(u.Connections), count(u.Received), count(u.Sent),
			size(u.ReceivedBytes), size(u.SentBytes), count(u.Stored), size(u.Storage), count(u.Runs), count(u.InputTokens), count(u.OutputTokens),
		}
		if daily {
			row = append([]string{u.Day}, row...)
		}
		rows = append(rows, row)
	}
	return rows
}

func count(n uint64) string { return strconv.FormatUint(n, 10) }

// size writes bytes for people.
func size(n uint64) string {
	if n < 1<<10 {
		return count(n) + " B"
	}
	x := float64(n)
	for _, unit := range []string{"KiB", "MiB", "GiB"} {
		if x /= 1 << 10; x < 1<<10 {
			return strconv.FormatFloat(x, 'f', 1, 64) + " " + unit
		}
	}
	return strconv.FormatFloat(x/(1<<10), 'f', 1, 64) + " TiB"
}
