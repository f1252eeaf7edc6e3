package tenants

import (
	"fmt"
	"time"

	"parley/broker"
	"parley/internal/fault"
)

// Revocation refuses tokens that were good: one by its claim jti, or all of a subject or of the whole tenant that were
// issued until some time. A token that does not say when it was issued counts as issued before any time.
type Revocation struct {
	JTI     string       `json:"jti,omitempty"`     // of the one token
	Subject broker.Token `json:"subject,omitempty"` // the agent or user whose tokens; "" beside a JTI, and for everybody's
	Before  time.Time    `json:"before,omitzero"`   // issued until then; zero beside a JTI
	Created time.Time    `json:"created"`           // when it was asked for
	Until   time.Time    `json:"until"`             // whatever it refuses has expired by then, and it may be forgotten
}

// same reports whether r and other are about the same tokens, whenever these were issued.
func (r Revocation) same(other Revocation) bool {
	return r.JTI == other.JTI && r.Subject == other.Subject
}

// what names the tokens, for admins.
func (r Revocation) what() string {
	switch {
	case r.JTI != "":
		return fmt.Sprintf("the token with jti %q", r.JTI)
	case r.Subject != "":
		return fmt.Sprintf("every token of %s issued until %s", r.Subject, r.Before.Format(time.RFC3339))
	}
	return fmt.Sprintf("every token of the tenant issued until %s", r.Before.Format(time.RFC3339))
}

// refusals is a tenant's revocations made ready for looking tokens up. The zero value refuses nothing.
type refusals struct {
	jtis     map[string]Revocation
	subjects map[broker.Token]Revocation // everybody's under ""
}

func newRefusals(all []Revocation) refusals {
	r := refusals{}
	if len(all) > 0 {
		r.jtis, r.subjects = map[string]Revocation{}, map[broker.Token]Revocation{}
	}
	for _, one := range all {
		if one.JTI != "" {
			r.jtis[one.JTI] = one
		} else if one.Before.After(r.subjects[one.Subject].Before) {
			r.subjects[one.Subject] = one
		}
	}
	return r
}

// check returns fault.AuthFailed for a token that was revoked. It does not allocate for others.
func (r refusals) check(g *Grant) error {
	if r.subjects == nil {
		return nil
	}
	if one, ok := r.jtis[g.JTI]; ok && g.JTI != "" {
		return revoked(one)
	}
	for _, subject := range [...]broker.Token{g.Agent, ""} {
		if one, ok := r.subjects[subject]; ok && !g.Issued.After(one.Before) {
			return revoked(one)
		}
	}
	return nil
}

// floor is the time until which tokens of a subject are refused, zero when none are.
func (r refusals) floor(subject broker.Token) time.Time {
	at := r.subjects[""].Before
	if own := r.subjects[subject].Before; own.After(at) {
		at = own
	}
	return at
}

func revoked(by Revocation) error {
	cause := fmt.Errorf("%s was revoked at %s", by.what(), by.Created.Format(time.RFC3339))
	return fault.Wrap(fault.AuthFailed, cause, "The token was revoked.").WithFix("Get a new token.")
}
