package admin

import (
	"cmp"
	"net/http"
	"time"

	"parley/broker"
	"parley/internal/fault"
	"parley/tenants"
)

// Role says what a service's credentials allow when nothing else does.
type Role string

// The roles.
const (
	RoleService Role = "service" // a back end that takes part in channels and writes to agents
	RoleWorker  Role = "worker"  // an AI worker that takes requests and answers in sessions
)

// Allow returns what credentials are to allow. What is asked for replaces what a service may do by default, and adds to
// what a worker needs.
func (c NewCreds) Allow() (broker.CredsRequest, error) {
	req := broker.CredsRequest{Name: c.Name, Publish: c.Publish, Subscribe: c.Subscribe}
	switch c.Role {
	case RoleWorker:
		queue, err := broker.ParseToken(cmp.Or(c.Queue, defaultQueue))
		req.Queue = queue
		return req, err
	case RoleService, "":
		if c.Queue != "" {
			return req, fault.New(fault.InvalidFormat, "Only workers have a queue.")
		}
		if len(c.Publish)+len(c.Subscribe) == 0 {
			req.Publish = []string{"channel.>", "agent.>", "session.*.do.*", "meet.*.do.*"}
			req.Subscribe = []string{"channel.>", "agent.>", "status.>", "live.session.>", "session.*.feedback", "meet.*.event", "_INBOX.>"}
		}
		return req, nil
	}
	return req, fault.New(fault.InvalidFormat, "The role is service or worker.")
}

// defaultQueue is where the requests of sessions wait that name no bot.
const defaultQueue = "ai"

func (s *Server) issueToken(w http.ResponseWriter, r *http.Request) error {
	t, err := s.tenant(r)
	if err != nil {
		return err
	}
	body, err := read[NewToken](w, r)
	if err != nil {
		return err
	}
	ttl, err := seconds("ttl_seconds", body.TTLSeconds)
	if err != nil {
		return err
	}
	spec := tenants.TokenSpec{
		Tenant: t.ID, Channels: body.Channels, Rooms: body.Rooms, Permissions: body.Permissions, Login: body.Login, TTL: ttl, Kid: body.Kid,
	}
	if body.Agent != "" {
		if spec.Agent, err = broker.ParseToken(body.Agent); err != nil {
			return err
		}
	}
	if body.User != "" {
		if spec.User, err = broker.ParseToken(body.User); err != nil {
			return err
		}
	}
	token, err := s.registry.IssueToken(r.Context(), spec)
	if err != nil {
		return err
	}
	s.reply(w, http.StatusCreated, Token{token})
	return nil
}

func (s *Server) inspectToken(w http.ResponseWriter, r *http.Request) error {
	body, err := read[Token](w, r)
	if err != nil {
		return err
	}
	s.reply(w, http.StatusOK, s.registry.Explain(r.Context(), body.Token))
	return nil
}

func (s *Server) issueCreds(w http.ResponseWriter, r *http.Request) error {
	// Opening the tenant makes its streams, so that the first thing that the service publishes is stored.
	space, t, err := s.space(r)
	if err != nil {
		return err
	}
	defer space.Release()
	body, err := read[NewCreds](w, r)
	if err != nil {
		return err
	}
	req, err := body.Allow()
	if err != nil {
		return err
	}
	ttl, err := seconds("ttl_seconds", body.TTLSeconds)
	if err != nil {
		return err
	}
	if req.Queue != "" { // so that a worker can wait there before anybody has said anything
		if err := s.talks.Ready(r.Context(), t.Account, req.Queue); err != nil {
			return err
		}
	}
	if ttl > 0 {
		req.Expires = time.Now().Add(ttl)
	}
	issued, text, err := s.registry.IssueCreds(r.Context(), t.ID, string(cmp.Or(body.Role, RoleService)), req)
	if err != nil {
		return err
	}
	s.reply(w, http.StatusCreated, IssuedCreds{Creds: string(text), UserKey: issued.UserKey})
	return nil
}

func (s *Server) listCreds(w http.ResponseWriter, r *http.Request) error {
	t, err := s.tenant(r)
	if err != nil {
		return err
	}
	s.reply(w, http.StatusOK, AllCreds{nonNil(t.Creds)})
	return nil
}

func (s *Server) revokeCreds(w http.ResponseWriter, r *http.Request) error {
	t, err := s.tenant(r)
	if err != nil {
		return err
	}
	body, err := read[RevokeCreds](w, r)
	if err != nil {
		return err
	}
	revoked, err := s.registry.RevokeCreds(r.Context(), t.ID, tenants.CredsSelector{Name: body.Name, UserKey: body.UserKey})
	if err != nil {
		return err
	}
	s.reply(w, http.StatusOK, AllCreds{revoked})
	return nil
}

// nonNil makes an empty list of none, which JSON writes as one.
func nonNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

const maxTTL = 100 * 365 * 24 * time.Hour

func seconds(name string, n int64) (time.Duration, error) {
	if n < 0 || n > int64(maxTTL/time.Second) {
		return 0, fault.New(fault.InvalidFormat, "%s lies between 0 and %d.", name, int64(maxTTL/time.Second))
	}
	return time.Duration(n) * time.Second, nil
}
