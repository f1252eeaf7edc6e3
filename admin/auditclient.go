package admin

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"parley/tenants"
)

// AuditQuery says which entries of the audit log are wanted.
type AuditQuery struct {
	After  uint64     // those behind this sequence
	Since  time.Time  // those not older, when After is 0. Zero means all.
	Tenant tenants.ID // those about this tenant. Zero means all.
	Limit  int        // how many at most. Zero means MaxAudit.
}

// Audit lists entries of the audit log, the oldest first.
func (c *Client) Audit(ctx context.Context, q AuditQuery) (Audit, error) {
	values := url.Values{}
	if q.After > 0 {
		values.Set("after", strconv.FormatUint(q.After, 10))
	}
	if !q.Since.IsZero() {
		values.Set("since", q.Since.UTC().Format(time.RFC3339))
	}
	if q.Tenant != "" {
		values.Set("tenant", string(q.Tenant))
	}
	if q.Limit > 0 {
		values.Set("limit", strconv.Itoa(q.Limit))
	}
	return call[Audit](ctx, c, "GET", "/audit?"+values.Encode(), nil)
}
