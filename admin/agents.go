package admin

import (
	"net/http"

	"parley/broker"
	"parley/channels"
	"parley/internal/fault"
	"parley/tenants"
)

// space opens the tenant that the path names, for looking into it. The caller releases it.
func (s *Server) space(r *http.Request) (*channels.Space, tenants.Tenant, error) {
	t, err := s.tenant(r)
	if err != nil {
		return nil, t, err
	}
	if t.Suspended() {
		return nil, t, suspended(t.ID)
	}
	space, err := s.hub.Open(r.Context(), t.ID, t.Account)
	return space, t, err
}

func suspended(id tenants.ID) error {
	return fault.New(fault.TenantSuspended, "The tenant %s is suspended.", id).WithFix("Resume it first: parley tenant resume %s", id)
}

func (s *Server) listAgents(w http.ResponseWriter, r *http.Request) error {
	space, _, err := s.space(r)
	if err != nil {
		return err
	}
	defer space.Release()
	all := Agents{Agents: []Agent{}}
	for _, a := range space.Agents() {
		all.Agents = append(all.Agents, agentOf(a))
	}
	s.reply(w, http.StatusOK, all)
	return nil
}

func (s *Server) showAgent(w http.ResponseWriter, r *http.Request) error {
	space, _, err := s.space(r)
	if err != nil {
		return err
	}
	defer space.Release()
	id, err := broker.ParseToken(r.PathValue("agent"))
	if err != nil {
		return err
	}
	a, err := space.Agent(id)
	if err != nil {
		return err
	}
	s.reply(w, http.StatusOK, agentOf(a))
	return nil
}

func agentOf(a channels.AgentState) Agent {
	return Agent{ID: a.Agent, Status: a.Status, Sockets: a.Sockets, Channels: a.Channels, LastSeen: a.LastSeen}
}
