package admin

import (
	"net/http"

	"parley/broker"
	"parley/internal/fault"
	"parley/tenants"
)

func (s *Server) listRevocations(w http.ResponseWriter, r *http.Request) error {
	t, err := s.tenant(r)
	if err != nil {
		return err
	}
	s.reply(w, http.StatusOK, Revocations{nonNil(t.Revocations)})
	return nil
}

func (s *Server) revokeTokens(w http.ResponseWriter, r *http.Request) error {
	t, err := s.tenant(r)
	if err != nil {
		return err
	}
	body, err := read[NewRevocation](w, r)
	if err != nil {
		return err
	}
	spec, err := body.spec()
	if err != nil {
		return err
	}
	made, err := s.registry.RevokeTokens(r.Context(), t.ID, spec)
	if err != nil {
		return err
	}
	s.reply(w, http.StatusOK, made)
	return nil
}

// spec is what the registry is asked for. Agents and users share their names.
func (n NewRevocation) spec() (tenants.RevocationSpec, error) {
	spec := tenants.RevocationSpec{JTI: n.JTI, All: n.All, Before: n.Before}
	who := n.Agent + n.User
	if n.Agent != "" && n.User != "" {
		return spec, fault.New(fault.InvalidFormat, "Tokens are revoked for an agent or for a user: name one of them.")
	}
	if who == "" {
		return spec, nil
	}
	var err error
	spec.Subject, err = broker.ParseToken(who)
	return spec, err
}

func (s *Server) kickAgent(w http.ResponseWriter, r *http.Request) error {
	t, err := s.tenant(r)
	if err != nil {
		return err
	}
	body, err := read[Kick](w, r)
	if err != nil {
		return err
	}
	who := r.PathValue("agent")
	made, err := s.registry.Kick(r.Context(), t.ID, who, body.Revoke)
	if err != nil {
		return err
	}
	answer := Kicked{Agent: who}
	if body.Revoke {
		answer.Revocation = &made
	}
	s.reply(w, http.StatusOK, answer)
	return nil
}
