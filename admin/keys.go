package admin

import (
	"net/http"

	"parley/tenants"
)

// signingKey stands in a path for the key that tokens are signed with.
const signingKey = "-"

func (s *Server) listKeys(w http.ResponseWriter, r *http.Request) error {
	t, err := s.tenant(r)
	if err != nil {
		return err
	}
	s.reply(w, http.StatusOK, Keys{t.Keys})
	return nil
}

func (s *Server) addKey(w http.ResponseWriter, r *http.Request) error {
	t, err := s.tenant(r)
	if err != nil {
		return err
	}
	body, err := read[NewKey](w, r)
	if err != nil {
		return err
	}
	spec := tenants.KeySpec{
		Kid: body.Kid, Alg: body.Alg, Secret: body.Secret, JWKSURL: body.JWKSURL,
		Issuer: body.Issuer, Audience: body.Audience, NotAfter: body.NotAfter,
	}
	if body.PublicKey != "" {
		spec.PublicKey = []byte(body.PublicKey)
	}
	key, added, err := s.registry.AddKey(r.Context(), t.ID, spec)
	if err != nil {
		return err
	}
	s.replyMade(w, added, key)
	return nil
}

func (s *Server) revokeKey(w http.ResponseWriter, r *http.Request) error {
	t, err := s.tenant(r)
	if err != nil {
		return err
	}
	key, err := s.registry.RevokeKey(r.Context(), t.ID, r.PathValue("kid"))
	if err != nil {
		return err
	}
	s.reply(w, http.StatusOK, key)
	return nil
}

func (s *Server) rotateKey(w http.ResponseWriter, r *http.Request) error {
	t, err := s.tenant(r)
	if err != nil {
		return err
	}
	body, err := read[Rotation](w, r)
	if err != nil {
		return err
	}
	overlap, err := seconds("overlap_seconds", body.OverlapSeconds)
	if err != nil {
		return err
	}
	rotation := tenants.Rotation{Overlap: overlap, New: tenants.KeySpec{Kid: body.Kid, Alg: body.Alg, Secret: body.Secret}}
	if kid := r.PathValue("kid"); kid != signingKey {
		rotation.Kid = kid
	}
	if body.PublicKey != "" {
		rotation.New.PublicKey = []byte(body.PublicKey)
	}
	old, fresh, err := s.registry.RotateKey(r.Context(), t.ID, rotation)
	if err != nil {
		return err
	}
	s.reply(w, http.StatusCreated, Rotated{Old: old, New: fresh})
	return nil
}
