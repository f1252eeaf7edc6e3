package admin

import (
	"context"
	"net/url"
	"strconv"

	"parley/rooms"
)

// Rooms lists the rooms of a tenant by their ids, at most MaxSessions of them.
func (c *Client) Rooms(ctx context.Context, tenant string, offset, limit int) (Rooms, error) {
	query := url.Values{"offset": {strconv.Itoa(offset)}, "limit": {strconv.Itoa(limit)}}
	return call[Rooms](ctx, c, "GET", path("tenants", tenant, "rooms")+"?"+query.Encode(), nil)
}

// Room returns a room with who is in it.
func (c *Client) Room(ctx context.Context, tenant, id string) (rooms.Info, error) {
	return call[rooms.Info](ctx, c, "GET", path("tenants", tenant, "rooms", id), nil)
}

// CloseRoom takes everybody out of a room, which then is no more.
func (c *Client) CloseRoom(ctx context.Context, tenant, id string) error {
	_, err := call[struct{}](ctx, c, "DELETE", path("tenants", tenant, "rooms", id), nil)
	return err
}

// Kick takes a participant out of a room.
func (c *Client) Kick(ctx context.Context, tenant, room, participant string) error {
	_, err := call[struct{}](ctx, c, "DELETE", path("tenants", tenant, "rooms", room, "participants", participant), nil)
	return err
}

// Move puts a participant into another room, which it returns.
func (c *Client) Move(ctx context.Context, tenant, room, participant string, t Transfer) (rooms.Info, error) {
	return call[rooms.Info](ctx, c, "POST", path("tenants", tenant, "rooms", room, "participants", participant, "move"), t)
}
