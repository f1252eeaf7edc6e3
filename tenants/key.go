package tenants

import (
	"log/slog"
	"net/url"
	"time"

	"parley/internal/fault"
)

// Alg is a signature algorithm of JOSE. A key has exactly one, and verifies nothing that says another.
type Alg string

// The algorithms that tokens may be signed with.
const (
	HS256 Alg = "HS256"
	ES256 Alg = "ES256"
	EdDSA Alg = "EdDSA"
	RS256 Alg = "RS256"
)

// ParseAlg returns s as an Alg, or fault.InvalidFormat.
func ParseAlg(s string) (Alg, error) {
	switch a := Alg(s); a {
	case HS256, ES256, EdDSA, RS256:
		return a, nil
	}
	return "", fault.New(fault.InvalidFormat, "Keys are of the algorithm HS256, ES256, EdDSA or RS256.")
}

// Limits of a key ring.
const (
	maxKeys     = 50 // of a tenant, the revoked ones included
	maxKidBytes = 64
	maxURLBytes = 2048
)

// Key verifies a tenant's tokens. It is one of: a shared secret (HS256), a public key, the key set of an identity
// provider (JWKSURL), or a pair that the broker made, with which it can issue tokens itself.
type Key struct {
	Kid       string    `json:"kid"`                  // id of the key, which tokens name
	Alg       Alg       `json:"alg"`                  // how it signs
	PublicKey string    `json:"public_key,omitempty"` // PKIX in PEM
	JWKSURL   string    `json:"jwks_url,omitempty"`   // fetched when a token needs it; see Config
	Issuer    string    `json:"issuer,omitempty"`     // what `iss` must be. Zero means anything.
	Audience  string    `json:"audience,omitempty"`   // what `aud` must hold. Zero means anything.
	CanSign   bool      `json:"can_sign"`             // the broker holds what is needed to issue tokens with it
	Created   time.Time `json:"created"`              // when it was added
	NotAfter  time.Time `json:"not_after,omitzero"`   // Zero means never.
	Revoked   time.Time `json:"revoked,omitzero"`     // Zero means it is not.

	material sealed // nil for a key of which the broker knows only the public half
}

// sealed hands out the secret half of a key. A function is what neither fmt, whatever the verb, nor an encoder looks
// into.
type sealed func() material

func seal(m material) sealed { return func() material { return m } }

// material is the part of a key that nobody but the verifier and the issuer may see.
type material struct {
	secret  []byte // HS256
	private []byte // PKCS #8 of a pair that the broker made
}

// LogValue keeps what the key is made of out of logs.
func (k Key) LogValue() slog.Value {
	return slog.GroupValue(slog.String("kid", k.Kid), slog.String("alg", string(k.Alg)))
}

// Live reports whether the key verifies tokens at the time now.
func (k Key) Live(now time.Time) bool {
	return k.Revoked.IsZero() && (k.NotAfter.IsZero() || now.Before(k.NotAfter))
}

// KeySpec asks for a key. At most one of Secret, PublicKey and JWKSURL is set; none means that the broker makes one and
// keeps it.
type KeySpec struct {
	Kid       string // Defaults to a fresh one.
	Alg       Alg    // Defaults to HS256.
	Secret    []byte // HS256: at least 32 bytes
	PublicKey []byte // PEM or JWK
	JWKSURL   string // https
	Issuer    string
	Audience  string
	NotAfter  time.Time
}

// NewKey checks spec and returns the key it asks for, or fault.InvalidFormat.
func NewKey(spec KeySpec, now time.Time) (Key, error) {
	k := Key{Kid: spec.Kid, Alg: spec.Alg, Issuer: spec.Issuer, Audience: spec.Audience, Created: now.UTC().Truncate(time.Millisecond), NotAfter: spec.NotAfter}
	if k.Alg == "" {
		k.Alg = HS256
	}
	if _, err := ParseAlg(string(k.Alg)); err != nil {
		return Key{}, err
	}
	if k.Kid == "" {
		k.Kid = freshKid()
	}
	if !validKid(k.Kid) {
		return Key{}, fault.New(fault.InvalidFormat, "A key id is 1 to %d characters of A-Z a-z 0-9 . _ and -.", maxKidBytes)
	}
	if !k.NotAfter.IsZero() && !now.Before(k.NotAfter) {
		return Key{}, fault.New(fault.InvalidFormat, "The key would have expired already.")
	}
	if err := k.fill(spec); err != nil {
		return Key{}, err
	}
	return k, nil
}

// fill sets what the key is made of.
func (k *Key) fill(spec KeySpec) (err error) {
	switch given := countSet(spec.Secret != nil, spec.PublicKey != nil, spec.JWKSURL != ""); {
	case given > 1:
		return fault.New(fault.InvalidFormat, "A key is a secret, a public key or a JWKS URL: only one of them.")
	case given == 0:
		return k.generate()
	case spec.Secret != nil:
		return k.useSecret(spec.Secret)
	case k.Alg == HS256:
		return fault.New(fault.InvalidFormat, "HS256 is verified with a shared secret, never with a public key.")
	case spec.PublicKey != nil:
		k.PublicKey, err = normalisePublic(k.Alg, spec.PublicKey)
		return err
	default:
		k.JWKSURL, err = checkJWKSURL(spec.JWKSURL)
		return err
	}
}

func countSet(flags ...bool) (n int) {
	for _, f := range flags {
		if f {
			n++
		}
	}
	return n
}

func validKid(s string) bool {
	if s == "" || len(s) > maxKidBytes {
		return false
	}
	for _, c := range []byte(s) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}

func checkJWKSURL(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" || len(s) > maxURLBytes {
		return "", fault.New(fault.InvalidFormat, "A JWKS URL begins with https:// and holds neither a password nor a fragment.")
	}
	return u.String(), nil
}
