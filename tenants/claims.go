package tenants

import (
	"errors"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/golang-jwt/jwt/v5"

	"parley/broker"
	"parley/internal/fault"
)

// claims are the claims that mean something here; all others are ignored. Decoding is strict: exact names, each at most
// once, valid UTF-8, exact types.
type claims struct {
	Tenant      string       `json:"tenant_id"`
	Agent       *string      `json:"agent_id"`
	Subject     *string      `json:"sub"`
	Issuer      string       `json:"iss"`
	Audience    list         `json:"aud"`
	JTI         string       `json:"jti"`
	Expires     *numericDate `json:"exp"`
	NotBefore   *numericDate `json:"nbf"`
	IssuedAt    *numericDate `json:"iat"`
	Channels    list         `json:"channels"`
	Rooms       list         `json:"rooms"`
	Permissions permissions  `json:"permissions"`
	Type        string       `json:"typ"`
	Scope       list         `json:"scope"` // one string of words, or a list of them

	Others jsontext.Value `json:",unknown"` // an object of the claims that mean nothing here; nil when there are none
}

// decodeClaims reads the claims of a token that is not verified yet. Errors are fault.AuthFailed.
func decodeClaims(b []byte) (*claims, error) {
	c := &claims{}
	if err := json.Unmarshal(b, c); err != nil {
		return nil, claimsFault(err)
	}
	if c.Tenant == "" {
		return nil, badClaim("tenant_id", "is missing")
	}
	if _, err := broker.ParseToken(c.Tenant); err != nil {
		return nil, badClaim("tenant_id", "is not an id")
	}
	if _, err := c.principal(); err != nil {
		return nil, err
	}
	return c, nil
}

func claimsFault(err error) error {
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return fault.Wrap(fault.AuthFailed, err, "A claim of the token occurs twice.")
	}
	if semantic, ok := errors.AsType[*json.SemanticError](err); ok {
		if name := semantic.JSONPointer.LastToken(); name != "" {
			// The pointer leads to a field of claims or below one, but it is the client's text all the same.
			top, _, _ := strings.Cut(strings.TrimPrefix(string(semantic.JSONPointer), "/"), "/")
			return fault.Wrap(fault.AuthFailed, err, "The token's claim %s is not of the right type.", top)
		}
	}
	return fault.Wrap(fault.AuthFailed, err, "The token's claims are not a JSON object.")
}

// principal is who the token is about: agent_id, else sub.
func (c *claims) principal() (broker.Token, error) {
	name, id := "agent_id", c.Agent
	if id == nil {
		name, id = "sub", c.Subject
	}
	if id == nil {
		return "", badClaim("agent_id", "is missing, and so is sub")
	}
	agent, err := broker.ParseToken(*id)
	if err != nil {
		return "", badClaim(name, "is not an id")
	}
	return agent, nil
}

// login reports whether the token is only good for being exchanged.
func (c *claims) login() bool {
	if c.Type == "login" {
		return true
	}
	for _, s := range c.Scope.items {
		for word := range strings.FieldsSeq(s) {
			if word == "login" {
				return true
			}
		}
	}
	return false
}

// list is a claim that is one string or a list of them. An absent one differs from an empty one.
type list struct {
	present bool
	items   []string
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (l *list) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	*l = list{present: true}
	switch dec.PeekKind() {
	case '"':
		l.items = make([]string, 1)
		return json.UnmarshalDecode(dec, &l.items[0])
	case '[':
		// Strings by pointer, since a null among them would be an empty string otherwise.
		var items []*string
		if err := json.UnmarshalDecode(dec, &items); err != nil {
			return err
		}
		for _, s := range items {
			if s == nil {
				return errNotStrings
			}
			l.items = append(l.items, *s)
		}
		return nil
	default:
		return errNotStrings
	}
}

var (
	errNotStrings = errors.New("neither a string nor a list of strings")
	errNotObject  = errors.New("not an object")
)

// permissions is the claim of that name. Unknown members are errors: a misspelt one would allow more than was meant.
type permissions struct {
	Publish   rules `json:"publish"`
	Subscribe rules `json:"subscribe"`
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (p *permissions) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() != '{' {
		return errNotObject
	}
	type plain permissions
	return json.UnmarshalDecode(dec, (*plain)(p), json.RejectUnknownMembers(true))
}

// rules is one direction of permissions, as it stands in the token.
type rules struct {
	Allow list `json:"allow"`
	Deny  list `json:"deny"`
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (r *rules) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() != '{' {
		return errNotObject
	}
	type plain rules
	return json.UnmarshalDecode(dec, (*plain)(r), json.RejectUnknownMembers(true))
}

func (r rules) rule() (rule, error) {
	for _, patterns := range [...][]string{r.Allow.items, r.Deny.items} {
		for _, p := range patterns {
			if err := checkPermission(p); err != nil {
				return rule{}, err
			}
		}
	}
	return rule{limited: r.Allow.present, allow: r.Allow.items, deny: r.Deny.items}, nil
}

// numericDate is seconds since 1970, as RFC 7519 has it.
type numericDate time.Time

const lastSecond = 253402300799 // of the year 9999, the last that RFC 3339 can write

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (d *numericDate) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	var seconds float64
	if dec.PeekKind() != '0' {
		return errors.New("not a number")
	}
	if err := json.UnmarshalDecode(dec, &seconds); err != nil {
		return err
	}
	if seconds < 0 || seconds > lastSecond {
		return errors.New("not a date")
	}
	*d = numericDate(time.UnixMilli(int64(seconds * 1000)).UTC())
	return nil
}

func (d *numericDate) time() time.Time {
	if d == nil {
		return time.Time{}
	}
	return time.Time(*d)
}

func (d *numericDate) jwt() *jwt.NumericDate {
	if d == nil {
		return nil
	}
	return &jwt.NumericDate{Time: time.Time(*d)}
}

// The methods of jwt.Claims. They never fail: decoding has checked the types.

func (c *claims) GetExpirationTime() (*jwt.NumericDate, error) { return c.Expires.jwt(), nil }
func (c *claims) GetIssuedAt() (*jwt.NumericDate, error)       { return c.IssuedAt.jwt(), nil }
func (c *claims) GetNotBefore() (*jwt.NumericDate, error)      { return c.NotBefore.jwt(), nil }
func (c *claims) GetIssuer() (string, error)                   { return c.Issuer, nil }
func (c *claims) GetSubject() (string, error)                  { return "", nil }
func (c *claims) GetAudience() (jwt.ClaimStrings, error)       { return c.Audience.items, nil }

var _ jwt.Claims = (*claims)(nil)
