package admin

import (
	"context"
	"net/http"
	"time"

	"parley/admin/adminkey"
	"parley/tenants"
)

// NamedKeys are the named keys of admins, oldest first.
type NamedKeys struct {
	AdminKeys []adminkey.Key `json:"admin_keys"` // without what they are made of, which the broker does not know
}

// NewNamedKey asks for a named key.
type NewNamedKey struct {
	Role     adminkey.Role `json:"role,omitempty"`     // what its holder may do. Defaults to full.
	Tenants  []tenants.ID  `json:"tenants,omitempty"`  // the only ones that it is good for. Absent means the whole broker.
	NotAfter time.Time     `json:"not_after,omitzero"` // when it ends. Absent means never.
}

// MadeNamedKey is a named key with its text, which can't be had a second time.
type MadeNamedKey struct {
	adminkey.Key `json:",inline"`

	Text string `json:"key"` // what its holder sends as Authorization: Bearer KEY
}

func (s *Server) adminKeyRoutes() []route {
	const key = "/adminkeys/{name}"
	return []route{
		{id: "listAdminKeys", method: "GET", path: "/adminkeys", handle: s.listAdminKeys, says: "List the named keys of admins.", gives: answer(NamedKeys{})},
		{id: "createAdminKey", method: "POST", path: key, handle: s.createAdminKey, says: "Make a named key for an admin; its text can't be had a second time.", takes: NewNamedKey{}, gives: fresh(MadeNamedKey{})},
		{id: "revokeAdminKey", method: "DELETE", path: key, handle: s.revokeAdminKey, says: "Refuse a named key from now on, on all nodes.", gives: answer(adminkey.Key{})},
	}
}

func (s *Server) listAdminKeys(w http.ResponseWriter, r *http.Request) error {
	keys, err := s.cfg.Keys.List(r.Context())
	if err != nil {
		return err
	}
	s.reply(w, http.StatusOK, NamedKeys{keys})
	return nil
}

func (s *Server) createAdminKey(w http.ResponseWriter, r *http.Request) error {
	body, err := read[NewNamedKey](w, r)
	if err != nil {
		return err
	}
	for _, named := range body.Tenants { // else a typing error would show only when the key is used
		id, err := tenants.ParseID(string(named))
		if err == nil {
			_, err = s.registry.Get(id)
		}
		if err != nil {
			return err
		}
	}
	key, text, err := s.cfg.Keys.Create(r.Context(), adminkey.Spec{
		Name: r.PathValue("name"), Role: body.Role, Tenants: body.Tenants, NotAfter: body.NotAfter,
	})
	if err != nil {
		return err
	}
	s.reply(w, http.StatusCreated, MadeNamedKey{Key: key, Text: text})
	return nil
}

func (s *Server) revokeAdminKey(w http.ResponseWriter, r *http.Request) error {
	key, err := s.cfg.Keys.Revoke(r.Context(), r.PathValue("name"))
	if err != nil {
		return err
	}
	s.reply(w, http.StatusOK, key)
	return nil
}

// AdminKeys lists the named keys of admins.
func (c *Client) AdminKeys(ctx context.Context) ([]adminkey.Key, error) {
	all, err := call[NamedKeys](ctx, c, "GET", "/adminkeys", nil)
	return all.AdminKeys, err
}

// CreateAdminKey makes a named key.
func (c *Client) CreateAdminKey(ctx context.Context, name string, spec NewNamedKey) (MadeNamedKey, error) {
	return call[MadeNamedKey](ctx, c, "POST", path("adminkeys", name), spec)
}

// RevokeAdminKey makes a named key good for nothing any more.
func (c *Client) RevokeAdminKey(ctx context.Context, name string) (adminkey.Key, error) {
	return call[adminkey.Key](ctx, c, "DELETE", path("adminkeys", name), nil)
}
