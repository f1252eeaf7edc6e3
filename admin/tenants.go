package admin

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"parley/tenants"
)

// MaxTenants is how many tenants a request lists at most.
const MaxTenants = 500

func (s *Server) listTenants(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	limit, err := auditNumber(query.Get("limit"), "limit", MaxTenants, MaxTenants)
	if err != nil {
		return err
	}
	after := tenants.ID(query.Get("after"))
	all := s.registry.List()
	first, found := slices.BinarySearchFunc(all, after, func(t tenants.Tenant, id tenants.ID) int { return strings.Compare(string(t.ID), string(id)) })
	if found {
		first++
	}
	end := min(first+int(limit), len(all))
	page := Tenants{Tenants: all[first:end], Last: after, More: end < len(all)}
	if end > first {
		page.Last = all[end-1].ID
	}
	s.reply(w, http.StatusOK, page)
	return nil
}

func (s *Server) createTenant(w http.ResponseWriter, r *http.Request) error {
	spec, err := read[NewTenant](w, r)
	if err != nil {
		return err
	}
	t, created, err := s.registry.Create(r.Context(), tenants.Spec{ID: spec.ID, Name: spec.Name, Limits: spec.Limits})
	if err != nil {
		return err
	}
	s.replyMade(w, created, t)
	return nil
}

// newTenantID reads the id of the tenant that a body asks for, and leaves the body for the handler. A body that names
// none is the handler's to refuse.
func newTenantID(w http.ResponseWriter, r *http.Request) (string, error) {
	text, err := readBody(w, r)
	if err != nil {
		return "", err
	}
	r.Body = io.NopCloser(bytes.NewReader(text))
	var spec NewTenant
	_ = json.Unmarshal(text, &spec) // what is there of it
	return string(spec.ID), nil
}

// replyMade answers 201 for what is new, and 200 for what was there.
func (s *Server) replyMade(w http.ResponseWriter, made bool, v any) {
	status := http.StatusOK
	if made {
		status = http.StatusCreated
	}
	s.reply(w, status, v)
}

func (s *Server) showTenant(w http.ResponseWriter, r *http.Request) error {
	t, err := s.tenant(r)
	if err != nil {
		return err
	}
	s.reply(w, http.StatusOK, t)
	return nil
}

// tenant returns the tenant that the path names.
func (s *Server) tenant(r *http.Request) (tenants.Tenant, error) {
	id, err := tenants.ParseID(r.PathValue("tenant"))
	if err != nil {
		return tenants.Tenant{}, err
	}
	return s.registry.Get(id)
}

func (s *Server) updateTenant(w http.ResponseWriter, r *http.Request) error {
	t, err := s.tenant(r)
	if err != nil {
		return err
	}
	change, err := read[TenantChange](w, r)
	if err != nil {
		return err
	}
	t, err = s.registry.Update(r.Context(), t.ID, tenants.Change{Name: change.Name, Limits: change.Limits, Origins: change.Origins})
	if err != nil {
		return err
	}
	s.reply(w, http.StatusOK, t)
	return nil
}

func (s *Server) deleteTenant(w http.ResponseWriter, r *http.Request) error {
	t, err := s.tenant(r)
	if err != nil {
		return err
	}
	if err := s.registry.Delete(r.Context(), t.ID); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) suspendTenant(w http.ResponseWriter, r *http.Request) error {
	return s.switchTenant(w, r, s.registry.Suspend)
}

func (s *Server) resumeTenant(w http.ResponseWriter, r *http.Request) error {
	return s.switchTenant(w, r, s.registry.Resume)
}

func (s *Server) switchTenant(w http.ResponseWriter, r *http.Request, do func(context.Context, tenants.ID) (tenants.Tenant, error)) error {
	t, err := s.tenant(r)
	if err != nil {
		return err
	}
	if t, err = do(r.Context(), t.ID); err != nil {
		return err
	}
	s.reply(w, http.StatusOK, t)
	return nil
}
