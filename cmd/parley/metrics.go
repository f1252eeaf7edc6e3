package main

import (
	"runtime"
	"slices"
	"time"

	"parley/admin"
	"parley/admin/metrics"
	"parley/internal/meter"
	"parley/tenants"
)

// others is what the metrics call all tenants beyond those that they name; no tenant's id has parentheses.
const others = "(others)"

// observed adds what is known of the node's parts to what the admin API shows.
func (n *node) observed(cfg admin.Config) (admin.Config, error) {
	if err := n.answerNodes(); err != nil {
		return cfg, err
	}
	var err error
	cfg.Metrics = metrics.Broker(append(n.sources, meter.SourceFunc(n.report), reportLogLevel(n.cfg.LogLevel))...)
	cfg.TenantMetrics = metrics.Tenants(meter.SourceFunc(n.reportTenants))
	cfg.Observer = observer{n}
	cfg.MetricsKey, err = admin.EnsureMetricsKey(n.cfg.Broker.DataDir)
	return cfg, err
}

// report tells what is known of the node as a whole.
func (n *node) report(r *meter.Report) {
	r.Info("parley_build_info", "What runs.", meter.Label{Name: "version", Value: currentVersion()}, meter.Label{Name: "go_version", Value: runtime.Version()})
	states := map[tenants.State]int{tenants.Active: 0, tenants.Suspended: 0}
	for _, t := range n.registry.List() {
		states[t.State]++
	}
	waiting, oldest := n.waiting()
	r.Gauge("parley_handoffs_waiting", "Sessions whose users wait for a human, on all nodes.", float64(waiting))
	r.Gauge("parley_handoff_oldest_wait_seconds", "Time that the longest of them have waited by now.", oldest.Seconds())
	for state, count := range states {
		r.Gauge("parley_tenants", "Tenants that there are, by state.", float64(count), meter.Label{Name: "state", Value: string(state)})
	}
}

// waiting returns how many sessions wait for a human, and for how long the first has. Those of a suspended tenant wait for
// something else.
func (n *node) waiting() (sessions int, longest time.Duration) {
	all := n.talks.Handoffs()
	for _, t := range n.registry.List() {
		if w := all[t.Account]; w.Waiting > 0 && !t.Suspended() {
			sessions, longest = sessions+w.Waiting, max(longest, time.Since(w.Since))
		}
	}
	return sessions, longest
}

// tenantUse is what the metrics say of one tenant on this node.
type tenantUse struct {
	name string
	tenants.Usage

	open    int64
	stored  uint64
	waiting int // sessions for a human, on all nodes
}

// reportTenants tells what each tenant uses of this node.
func (n *node) reportTenants(r *meter.Report) {
	for _, u := range n.tenantUses() {
		tenant := meter.Label{Name: "tenant", Value: u.name}
		r.Gauge("parley_tenant_connections", "WebSocket connections of the tenant that are open.", float64(u.open), tenant)
		r.Counter("parley_tenant_connections_total", "WebSocket connections of the tenant that were let in.", u.Connections, tenant)
		r.Counter("parley_tenant_messages_received_total", "WebSocket messages from the tenant's clients.", u.Received, tenant)
		r.Counter("parley_tenant_messages_sent_total", "WebSocket messages to the tenant's clients, answers included.", u.Sent, tenant)
		r.Counter("parley_tenant_received_bytes_total", "Bytes of the messages from the tenant's clients.", u.ReceivedBytes, tenant)
		r.Counter("parley_tenant_sent_bytes_total", "Bytes to the tenant's clients, with all that frames them.", u.SentBytes, tenant)
		r.Counter("parley_tenant_messages_stored_total", "Messages of the tenant that were stored and confirmed.", u.Stored, tenant)
		r.Counter("parley_tenant_runs_total", "Answers of AI workers that have ended.", u.Runs, tenant)
		const tokens, help = "parley_tenant_tokens_total", "Tokens of language models, as the tenant's AI workers report them."
		r.Counter(tokens, help, u.InputTokens, tenant, meter.Label{Name: "type", Value: "input"})
		r.Counter(tokens, help, u.OutputTokens, tenant, meter.Label{Name: "type", Value: "output"})
		r.Gauge("parley_tenant_handoffs_waiting", "Sessions of the tenant whose users wait for a human, on all nodes.", float64(u.waiting), tenant)
		r.Gauge("parley_tenant_stored_bytes", "Bytes of the tenant's streams on this node's disk.", float64(u.stored), tenant)
	}
}

// tenantUses returns what the tenants use, those beyond the first nodeConfig.NamedTenants as one. The oldest are named, on
// all nodes the same: a tenant that has a name keeps it.
func (n *node) tenantUses() (all []tenantUse) {
	list := n.registry.List()
	slices.SortStableFunc(list, func(a, b tenants.Tenant) int { return a.Created.Compare(b.Created) })
	all = n.usesOf(list)
	if len(all) <= n.cfg.NamedTenants {
		return all
	}
	rest := tenantUse{name: others}
	for _, u := range all[n.cfg.NamedTenants:] {
		rest.Usage, rest.open, rest.stored = rest.Usage.Plus(u.Usage), rest.open+u.open, rest.stored+u.stored
		rest.waiting += u.waiting
	}
	return append(all[:n.cfg.NamedTenants], rest)
}

// usesOf returns what tenants use, in the same order.
func (n *node) usesOf(list []tenants.Tenant) []tenantUse {
	held, err := n.engine.Holding()
	if err != nil {
		n.log.Debug("what tenants have stored is not known", "err", err)
	}
	used, waiting := n.meters.All(), n.talks.Handoffs()
	all := make([]tenantUse, len(list))
	for i, t := range list {
		u := tenantUse{name: string(t.ID), stored: held[string(t.ID)], waiting: waiting[t.Account].Waiting}
		if m := used[t.Account]; m != nil {
			u.Usage, u.open = m.Usage(), m.Open.Value()
		}
		all[i] = u
	}
	return all
}
