package admin

import (
	"net/http"

	"parley/tenants"
)

func (s *Server) listAPIKeys(w http.ResponseWriter, r *http.Request) error {
	t, err := s.tenant(r)
	if err != nil {
		return err
	}
	keys, err := s.registry.APIKeys(r.Context(), t.ID)
	if err != nil {
		return err
	}
	s.reply(w, http.StatusOK, APIKeys{keys})
	return nil
}

func (s *Server) createAPIKey(w http.ResponseWriter, r *http.Request) error {
	t, err := s.tenant(r)
	if err != nil {
		return err
	}
	body, err := read[NewAPIKey](w, r)
	if err != nil {
		return err
	}
	key, text, err := s.registry.CreateAPIKey(r.Context(), t.ID, tenants.APIKeySpec{
		Name: body.Name, Scopes: body.Scopes, NotAfter: body.NotAfter,
	})
	if err != nil {
		return err
	}
	s.reply(w, http.StatusCreated, MadeAPIKey{APIKey: key, Key: text})
	return nil
}

func (s *Server) revokeAPIKey(w http.ResponseWriter, r *http.Request) error {
	t, err := s.tenant(r)
	if err != nil {
		return err
	}
	key, err := s.registry.RevokeAPIKey(r.Context(), t.ID, r.PathValue("id"))
	if err != nil {
		return err
	}
	s.reply(w, http.StatusOK, key)
	return nil
}
