package admin

import (
	"context"

	"parley/tenants"
)

// Channel returns what is known of a channel.
func (c *Client) Channel(ctx context.Context, tenant, channel string) (ChannelDetail, error) {
	return call[ChannelDetail](ctx, c, "GET", path("tenants", tenant, "channels", channel), nil)
}

// PurgeChannel removes all messages of a channel and returns how many there were.
func (c *Client) PurgeChannel(ctx context.Context, tenant, channel string) (Purged, error) {
	return call[Purged](ctx, c, "DELETE", path("tenants", tenant, "channels", channel, "messages"), nil)
}

// Policies lists a tenant's channel policies, the more particular ones first.
func (c *Client) Policies(ctx context.Context, tenant string) (tenants.Policies, error) {
	all, err := call[Policies](ctx, c, "GET", path("tenants", tenant, "policies"), nil)
	return all.Policies, err
}

// SetPolicy sets the policy of its pattern.
func (c *Client) SetPolicy(ctx context.Context, tenant string, p tenants.Policy) (tenants.Policy, error) {
	return call[tenants.Policy](ctx, c, "PUT", path("tenants", tenant, "policies"), p)
}

// RemovePolicy removes the policy of a pattern.
func (c *Client) RemovePolicy(ctx context.Context, tenant, pattern string) error {
	_, err := call[struct{}](ctx, c, "DELETE", path("tenants", tenant, "policies", pattern), nil)
	return err
}
