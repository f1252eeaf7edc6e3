package admin

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"parley/broker"
	"parley/internal/fault"
	"parley/tenants"
)

// UsageReport is what tenants have used, by day and tenant.
type UsageReport struct {
	From  string        `json:"from"`  // the first day, 2006-01-02 in UTC
	Until string        `json:"until"` // the last
	Usage []TenantUsage `json:"usage"`
}

// TenantUsage is what one tenant has used on one day.
type TenantUsage struct {
	Day     string           `json:"day"`
	Tenant  tenants.ID       `json:"tenant,omitempty"` // absent when it has been deleted
	Account broker.AccountID `json:"account"`          // which is never used again

	tenants.Usage `json:",inline"`
}

// Load is what all nodes are doing now.
type Load struct {
	Time  time.Time  `json:"time"`
	Nodes []NodeLoad `json:"nodes"`
}

// NodeLoad is what one node is doing. Whoever wants rates asks twice: the counters of Process and of the tenants' usage
// begin at 0 with each start of the node, which gives it another ID.
type NodeLoad struct {
	ID       string       `json:"id"` // of this run of the node
	Name     string       `json:"name"`
	Ready    bool         `json:"ready"`
	Problem  string       `json:"problem,omitempty"` // why it is not
	Process  *Process     `json:"process,omitempty"` // absent where the system does not say
	DiskFree uint64       `json:"disk_free_bytes"`   // of the data directory
	Tenants  []TenantLoad `json:"tenants"`           // those that have used the node since it started, or have something stored on it
}

// TenantLoad is what one tenant does on a node.
type TenantLoad struct {
	Tenant tenants.ID `json:"tenant"`
	Open   int64      `json:"open_connections"`
	Held   uint64     `json:"storage_bytes"` // of its streams on the node's disk

	tenants.Usage `json:",inline"`
}

// Observer knows what tenants use. Its methods may be called concurrently.
type Observer interface {
	// Usage returns what was used on the days from and until, both included, of one tenant unless that is empty.
	Usage(ctx context.Context, from, until time.Time, tenant tenants.ID) ([]TenantUsage, error)
	// Load returns what all nodes are doing.
	Load(ctx context.Context) (Load, error)
}

func (s *Server) usageRoutes() []route {
	if s.cfg.Observer == nil {
		return nil
	}
	return []route{
		{id: "getUsage", method: "GET", path: "/usage", handle: s.usage, says: "What tenants have used, by day and tenant.", query: query{
			{Name: "from", About: "The first day, 2006-01-02 in UTC; the first of this month unless given."},
			{Name: "until", About: "The last day; today unless given."},
			{Name: "tenant", About: "Only this tenant."},
		}, gives: answer(UsageReport{})},
		{id: "getLoad", method: "GET", path: "/load", handle: s.load, says: "What all nodes and tenants are doing now.", gives: answer(Load{})},
	}
}

func (s *Server) usage(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	now := time.Now().UTC()
	from, until := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC), now
	for name, into := range map[string]*time.Time{"from": &from, "until": &until} {
		if text := q.Get(name); text != "" {
			day, err := time.Parse(time.DateOnly, text)
			if err != nil {
				return fault.New(fault.InvalidFormat, "%s is a day such as 2027-01-31.", name)
			}
			*into = day
		}
	}
	var tenant tenants.ID
	if text := q.Get("tenant"); text != "" {
		t, err := s.registry.Get(tenants.ID(text))
		if err != nil {
			return err
		}
		tenant = t.ID
	}
	all, err := s.cfg.Observer.Usage(r.Context(), from, until, tenant)
	if err != nil {
		return err
	}
	s.reply(w, http.StatusOK, UsageReport{From: from.Format(time.DateOnly), Until: until.Format(time.DateOnly), Usage: append([]TenantUsage{}, all...)})
	return nil
}

func (s *Server) load(w http.ResponseWriter, r *http.Request) error {
	l, err := s.cfg.Observer.Load(r.Context())
	if err != nil {
		return err
	}
	s.reply(w, http.StatusOK, l)
	return nil
}

// Usage returns what tenants have used on the days from and until, both included, of one tenant unless that is empty. Zero
// times mean the first of this month, and today.
func (c *Client) Usage(ctx context.Context, from, until time.Time, tenant string) (UsageReport, error) {
	q := url.Values{}
	for name, t := range map[string]time.Time{"from": from, "until": until} {
		if !t.IsZero() {
			q.Set(name, t.UTC().Format(time.DateOnly))
		}
	}
	if tenant != "" {
		q.Set("tenant", tenant)
	}
	return call[UsageReport](ctx, c, "GET", "/usage?"+q.Encode(), nil)
}

// Load returns what all nodes are doing now.
func (c *Client) Load(ctx context.Context) (Load, error) {
	return call[Load](ctx, c, "GET", "/load", nil)
}
