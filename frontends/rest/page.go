package rest

import (
	"net/http"
	"strconv"

	"parley/internal/fault"
	"parley/internal/openapi"
)

// Page is where a piece of a list lies in all of it.
type Page struct {
	Total  int  `json:"total"`    // how many there are in all
	Offset int  `json:"offset"`   // how many come before it
	Limit  int  `json:"limit"`    // how many it has at most
	More   bool `json:"has_more"` // whether there are some behind it
}

const (
	defaultLimit = 50
	maxLimit     = 100
	maxOffset    = 1 << 30
)

// PageParameters describes what ReadPage reads.
func PageParameters() []openapi.Parameter {
	return []openapi.Parameter{
		{Name: "offset", About: "Leave out so many; without it, none.", Number: true},
		{Name: "limit", About: "At most so many, up to 100; without it, 50.", Number: true},
	}
}

// ReadPage reads offset and limit from the query of a request. Errors are fault.InvalidFormat.
func ReadPage(r *http.Request) (p Page, err error) {
	q := r.URL.Query()
	if p.Offset, err = number(q.Get("offset"), "offset", 0, 0, maxOffset); err != nil {
		return p, err
	}
	p.Limit, err = number(q.Get("limit"), "limit", defaultLimit, 1, maxLimit)
	return p, err
}

// Of returns the page that has got items of a list of total.
func (p Page) Of(total, got int) Page {
	p.Total, p.More = total, p.Offset+got < total
	return p
}

func number(s, name string, otherwise, low, high int) (int, error) {
	if s == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < low || n > high {
		return 0, fault.New(fault.InvalidFormat, "%s is a number from %d to %d.", name, low, high)
	}
	return n, nil
}
