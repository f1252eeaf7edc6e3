package admin

import (
	"net/http"
	"slices"

	"parley/broker"
	"parley/internal/fault"
	"parley/tenants"
)

func (s *Server) listPolicies(w http.ResponseWriter, r *http.Request) error {
	t, err := s.tenant(r)
	if err != nil {
		return err
	}
	s.reply(w, http.StatusOK, Policies{t.Policies})
	return nil
}

func (s *Server) setPolicy(w http.ResponseWriter, r *http.Request) error {
	t, err := s.tenant(r)
	if err != nil {
		return err
	}
	p, err := read[tenants.Policy](w, r)
	if err != nil {
		return err
	}
	added, err := s.registry.PutPolicy(r.Context(), t.ID, p)
	if err != nil {
		return err
	}
	s.replyMade(w, added, p)
	return nil
}

func (s *Server) removePolicy(w http.ResponseWriter, r *http.Request) error {
	t, err := s.tenant(r)
	if err != nil {
		return err
	}
	if err := s.registry.RemovePolicy(r.Context(), t.ID, r.PathValue("pattern")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) showChannel(w http.ResponseWriter, r *http.Request) error {
	space, at, err := s.channel(r)
	if err != nil {
		return err
	}
	defer space.Release()
	shown := ChannelDetail{Channel: Channel{ID: at.Channel}, Policy: space.Policy(at.Channel), Agents: []broker.Token{}}
	if shown.Messages, err = space.Count(r.Context(), at.Channel); err != nil {
		return err
	}
	for _, a := range space.Agents() {
		if slices.Contains(a.Channels, at.Channel) {
			shown.Agents = append(shown.Agents, a.Agent)
		}
	}
	slices.Sort(shown.Agents)
	if shown.Messages == 0 && shown.Policy == nil && len(shown.Agents) == 0 {
		return fault.New(fault.NotFound, "There is no channel %s: it holds nothing and nobody is subscribed to it.", at.Channel).
			WithFix("See those that hold messages with: parley channel list --tenant %s", at.Tenant)
	}
	s.reply(w, http.StatusOK, shown)
	return nil
}

func (s *Server) purgeChannel(w http.ResponseWriter, r *http.Request) error {
	space, at, err := s.channel(r)
	if err != nil {
		return err
	}
	defer space.Release()
	n, err := space.Purge(r.Context(), at.Channel)
	if err != nil {
		return err
	}
	s.reply(w, http.StatusOK, Purged{n})
	return nil
}
