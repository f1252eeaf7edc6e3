package admin

import (
	"net/http"

	"parley/broker"
)

func (s *Server) listNodes(w http.ResponseWriter, r *http.Request) error {
	members, err := s.engine.Members(r.Context())
	if err != nil {
		return err
	}
	all := Nodes{Nodes: []Node{}}
	for _, m := range members {
		all.Nodes = append(all.Nodes, nodeOf(m))
	}
	s.reply(w, http.StatusOK, all)
	return nil
}

func (s *Server) removeNode(w http.ResponseWriter, r *http.Request) error {
	m, err := s.engine.RemoveMember(r.Context(), r.PathValue("node"))
	if err != nil {
		return err
	}
	s.log.Info("A node was removed from the cluster.", "node", m.Name, "id", m.ID)
	s.reply(w, http.StatusOK, nodeOf(m))
	return nil
}

func nodeOf(m broker.Member) Node {
	state := "down"
	if m.Alive {
		state = "up"
	}
	return Node{ID: m.ID, Name: m.Name, State: state, Leads: m.Leads, Streams: m.Streams, Behind: m.Behind}
}
