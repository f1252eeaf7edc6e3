package main

import (
	"strings"

	"parley/admin"
	"parley/admin/adminkey"
)

type auditCmd struct {
	List auditListCmd `cmd:"" help:"List what admins have done, the oldest first."`
}

// act is one act of an admin: both its entries in the audit log together.
type act struct {
	admin.AuditEntry `json:",inline"`

	State string `json:"state"` // done, refused, or open when nothing is known of its end
}

// acts puts entries of the audit log together again.
type acts struct {
	open  map[string]int // where in all the acts are whose outcome is missing
	all   []*act
	ended []*act // since they were taken
}

// add takes the next entry.
func (a *acts) add(e admin.AuditEntry) {
	if a.open == nil {
		a.open = map[string]int{}
	}
	if e.Phase == admin.Attempt {
		a.open[e.ID] = len(a.all)
		a.all = append(a.all, &act{e, "open"})
		return
	}
	i, known := a.open[e.ID]
	if !known { // it began before what was asked for
		i = len(a.all)
		a.all = append(a.all, &act{AuditEntry: e})
	}
	delete(a.open, e.ID)
	a.all[i].Code, a.all[i].Took, a.all[i].State = e.Code, e.Took, "done"
	if e.Code != "" {
		a.all[i].State = "refused"
	}
	a.ended = append(a.ended, a.all[i])
}

// takeEnded returns the acts that have ended since the last call, and forgets them.
func (a *acts) takeEnded() []*act {
	ended := a.ended
	a.ended = nil
	if len(a.open) == 0 {
		a.all = nil
	}
	return ended
}

// row is an act for people: what is long stands at the end.
func (a *act) row() []string {
	outcome := a.State
	if a.Code != "" {
		outcome += " " + string(a.Code)
	}
	by := a.Key
	if a.Person != "" {
		by = a.Person
		if a.Key != adminkey.Root {
			by = a.Key + "/" + a.Person
		}
	}
	return []string{when(a.Time), by, a.Address, outcome, a.Operation, strings.TrimPrefix(a.Path, "/admin/v1/")}
}
