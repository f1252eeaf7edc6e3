package admin

import (
	"cmp"
	"context"
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

// Subjects returns what a role may publish on and subscribe to. What a worker needs besides is up to its queue.
func (r Role) Subjects() (publish, subscribe []string, err error) {
	switch r {
	case RoleService, "":
		return []string{"channel.>", "agent.>", "session.*.do.*"},
			[]string{"channel.>", "agent.>", "status.>", "live.session.>", "session.*.feedback", "_INBOX.>"}, nil
	case RoleWorker:
		return nil, nil, nil
	}
	return nil, nil, fault.New(fault.InvalidFormat, "The role is service or worker.")
}

// defaultQueue is where requests wait in sessions that name no bot.
const defaultQueue = "ai"

// workFrom makes the credentials those of a worker of a queue, which exists from then on.
func (s *Server) workFrom(ctx context.Context, t tenants.Tenant, queue string, req *broker.CredsRequest) (err error) {
	if req.Queue, err = broker.ParseToken(cmp.Or(queue, defaultQueue)); err != nil {
		return err
	}
	return s.talks.Ready(ctx, t.Account, req.Queue)
}

func (s *Server) issueToken(w http.ResponseWriter, r *http.Request) error {
	t, err := s.tenant(r)
	if err != nil {
		return err
	}
	body, err := read[NewToken](w, r)
	if err != nil {
		return err
	}
	ttl, err := seconds(body.TTLSeconds)
	if err != nil {
		return err
	}
	spec := tenants.TokenSpec{
		Tenant: t.ID, Channels: body.Channels, Permissions: body.Permissions, Login: body.Login, TTL: ttl, Kid: body.Kid,
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
	publish, subscribe, err := body.Role.Subjects()
	if err != nil {
		return err
	}
	if len(body.Publish)+len(body.Subscribe) > 0 { // whoever says something says everything
		publish, subscribe = body.Publish, body.Subscribe
	}
	ttl, err := seconds(body.TTLSeconds)
	if err != nil {
		return err
	}
	req := broker.CredsRequest{Name: body.Name, Publish: publish, Subscribe: subscribe}
	if body.Role == RoleWorker {
		if err := s.workFrom(r.Context(), t, body.Queue, &req); err != nil {
			return err
		}
	}
	if ttl > 0 {
		req.Expires = time.Now().Add(ttl)
	}
	creds, userKey, err := s.engine.Creds(t.Account, req)
	if err != nil {
		return err
	}
	s.reply(w, http.StatusCreated, Creds{string(creds), userKey})
	return nil
}

const maxTTL = 100 * 365 * 24 * time.Hour

func seconds(n int64) (time.Duration, error) {
	if n < 0 || n > int64(maxTTL/time.Second) {
		return 0, fault.New(fault.InvalidFormat, "ttl_seconds lies between 0 and %d.", int64(maxTTL/time.Second))
	}
	return time.Duration(n) * time.Second, nil
}
