package backup

import (
	"errors"
	"io"
)

// Contents is what an archive holds.
type Contents struct {
	Header  Header          `json:"header"`
	Tenants []TenantSummary `json:"tenants"`
}

// Verify reads a whole archive and returns what it holds, or fault.InvalidFormat with what is wrong with it; other errors
// are those of in.
func Verify(in io.Reader) (Contents, error) {
	r, err := newReader(in)
	if err != nil {
		return Contents{}, err
	}
	found := Contents{Header: r.header, Tenants: []TenantSummary{}}
	for {
		p, err := r.next()
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return Contents{}, err
		}
		if p.record != nil {
			found.Tenants = append(found.Tenants, TenantSummary{Tenant: p.tenant.ID, Keys: len(p.tenant.Keys), APIKeys: len(p.tenant.APIKeys)})
			continue
		}
		latest := &found.Tenants[len(found.Tenants)-1]
		if p.stream != nil {
			latest.Streams++
			latest.Places += len(p.stream.Places)
		} else {
			latest.message(*p.message)
		}
	}
}
