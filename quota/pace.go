package quota

import (
	"strings"
	"time"

	"parley/broker"
	"parley/tenants"
)

const (
	// serviceBurst is for how long a tenant's services may have sent ahead of their limit before they are cut off: so many
	// seconds' worth may come at once.
	serviceBurst = 5 * second
	// longestOut bounds for how long they are kept out.
	longestOut = 60 * second
)

// pace is how fast the services of a tenant publish on this node.
type pace struct {
	id                        tenants.ID
	perSecond, bytesPerSecond int64           // 0 for no limit
	workers                   map[string]bool // the user keys of those that are not measured

	messages, bytes int64 // when all that was sent would have been sent at the allowed speed, as in rate

	over tenants.Limit // for which services are kept out; empty when they are not
	key  string        // of the account
}

// servicesOf returns what a tenant's services may publish in a second, 0 for as much as they like.
func servicesOf(t tenants.Tenant) (messages, bytes int64) {
	return t.Limits[tenants.TenantMessagesPerSecond], t.Limits[tenants.BytesPerSecond]
}

// workersOf returns the user keys of credentials with which nothing can be published but the work of an AI worker, which
// the limit of tokens is for.
func workersOf(t tenants.Tenant) map[string]bool {
	workers := map[string]bool{}
	for _, c := range t.Creds {
		if c.Queue == "" {
			continue
		}
		only := true
		for _, subject := range c.Publish {
			only = only && strings.HasPrefix(subject, "tool.")
		}
		workers[c.UserKey] = only
	}
	return workers
}

// judge takes over what was sent in the time elapsed, until now, and returns the services that are to be cut off: those
// that have sent more than their share in that time.
func (p *pace) judge(now, elapsed int64, t broker.Traffic) (fast []broker.Service) {
	var measured []broker.Sent
	messages, bytes := t.Messages, t.Bytes
	for _, s := range t.Services {
		if s.Messages > 0 && !p.workers[s.Service.UserKey] {
			measured = append(measured, s)
			messages, bytes = messages+s.Messages, bytes+s.Bytes
		}
	}
	p.key = t.AccountKey
	p.messages, p.bytes = owe(p.messages, now, messages, p.perSecond), owe(p.bytes, now, bytes, p.bytesPerSecond)
	switch {
	case p.messages-now > serviceBurst:
		p.over = tenants.TenantMessagesPerSecond
	case p.bytes-now > serviceBurst:
		p.over = tenants.BytesPerSecond
	}
	if p.over == "" {
		return nil
	}
	for _, s := range measured {
		sent, limit := s.Messages, p.perSecond
		if p.over == tenants.BytesPerSecond {
			sent, limit = s.Bytes, p.bytesPerSecond
		}
		if sent*int64(len(measured)) > limit*elapsed/second {
			fast = append(fast, s.Service)
		}
	}
	return fast
}

// owe moves due on by n at limit a second. What is more than longestOut away is forgiven.
func owe(due, now, n, limit int64) int64 {
	if limit == 0 {
		return 0
	}
	if n/limit >= longestOut/second {
		return now + longestOut
	}
	return min(max(due, now)+n/limit*second+n%limit*second/limit, now+longestOut)
}

// owed is for how long services are kept out if they send nothing more.
func (p *pace) owed(now int64) time.Duration {
	return time.Duration(max(p.messages, p.bytes, now) - now)
}

func (p *pace) settled(now int64) bool { return p.owed(now) == 0 }
