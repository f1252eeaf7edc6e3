package rig

import "encoding/json"

// Make asks the admin API to make something, below /admin/v1, and decodes the answer into made. It is what the command line
// does, for things that a test needs and is not about: a process for each of them takes longer than many a test.
func (s *Server) Make(path string, body, made any) {
	s.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	res := Do(s.t, "POST", s.AdminURL()+"/admin/v1"+path, s.AdminKey(), string(b))
	if res.Status/100 != 2 {
		s.t.Fatalf("POST %s: %d %s", path, res.Status, res.Body)
	}
	res.JSON(s.t, made)
}
