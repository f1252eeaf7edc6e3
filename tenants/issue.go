package tenants

import (
	"maps"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"parley/broker"
	"parley/internal/fault"
)

// TokenSpec asks for a token. Exactly one of Agent and User is set.
type TokenSpec struct {
	Tenant      ID
	Agent       broker.Token  // claim agent_id, and sub
	User        broker.Token  // claim sub
	Channels    []string      // claim channels. Nil means every channel; empty means none.
	Rooms       []string      // claim rooms. Nil means every meet room; empty means none.
	Permissions *Permissions  // claim permissions. Nil means no further limits.
	Claims      []byte        // a JSON object of further claims, which mean nothing to the broker; may be nil
	Login       bool          // a login token: to be exchanged, not to connect with
	Guest       bool          // a room token: good for Rooms, and for nothing else
	TTL         time.Duration // Defaults to 1h.
	Kid         string        // Defaults to the newest live key that the broker can sign with.
}

// Permissions is the claim of that name. A nil Allow allows everything, an empty one nothing; Deny is stronger.
type Permissions struct {
	Publish   Rule `json:"publish,omitzero"`   // what may be published
	Subscribe Rule `json:"subscribe,omitzero"` // what may be subscribed to
}

// Rule is one direction of Permissions: subjects in NATS form, such as channel.news.* or agent.>.
type Rule struct {
	Allow []string `json:"allow,omitzero"` // patterns of subjects. Absent means all.
	Deny  []string `json:"deny,omitzero"`  // patterns of subjects that are refused although they are allowed
}

const defaultTTL = time.Hour

// guestType is the claim typ of a room token.
const guestType = "room"

// issue signs a token of a tenant. It refuses what verify would refuse.
func issue(r resident, spec TokenSpec, cfg Config) (string, error) {
	t, now := r.tenant, cfg.Now()
	key, err := signer(t, spec.Kid, now)
	if err != nil {
		return "", err
	}
	c, err := tokenClaims(t, key, spec, now)
	if err != nil {
		return "", err
	}
	// Tokens count whole seconds. One that is made in the second of a revocation says that it is of the next.
	if floor := r.refused.floor(spec.Agent + spec.User); now.Unix() <= floor.Unix() {
		c["iat"] = floor.Unix() + 1
	}
	if life := c["exp"].(int64) - c["iat"].(int64); time.Duration(life)*time.Second > cfg.MaxTokenLife {
		return "", fault.New(fault.InvalidFormat, "Tokens live %s at most.", cfg.MaxTokenLife)
	}
	token := jwt.NewWithClaims(jwt.GetSigningMethod(string(key.Alg)), c)
	token.Header["kid"] = key.Kid
	private, err := key.signingKey()
	if err != nil {
		return "", err
	}
	text, err := token.SignedString(private)
	if err != nil {
		return "", fault.Wrap(fault.Internal, err, "sign a token of %s", t.ID)
	}
	return text, checkIssued(text)
}

// checkIssued makes sure that the broker takes what it gives.
func checkIssued(token string) error {
	p, err := cut(token)
	if err != nil {
		return fault.Wrap(fault.InvalidFormat, err, "The token would be too long: it names too many channels or permissions.")
	}
	c, err := decodeClaims(p.payload)
	if err == nil {
		_, err = newGrant(c)
	}
	if err != nil {
		return fault.Wrap(fault.InvalidFormat, err, "The token would not be accepted: %s", fault.Message(err))
	}
	return nil
}

// signer returns the key to sign with.
func signer(t Tenant, kid string, now time.Time) (Key, error) {
	if kid != "" {
		k, ok := t.Key(kid)
		if !ok || !k.Live(now) {
			return Key{}, fault.New(fault.NotFound, "The tenant %s has no live key %q.", t.ID, kid)
		}
		if !k.CanSign {
			return Key{}, fault.New(fault.InvalidFormat, "The broker does not hold the private half of key %q.", kid)
		}
		return k, nil
	}
	for i := len(t.Keys) - 1; i >= 0; i-- {
		if k := t.Keys[i]; k.CanSign && k.Live(now) {
			return k, nil
		}
	}
	return Key{}, fault.New(fault.NotFound, "The tenant %s has no live key that the broker can sign with.", t.ID).
		WithFix("Add one: parley key add --tenant %s", t.ID)
}

func tokenClaims(t Tenant, key Key, spec TokenSpec, now time.Time) (jwt.MapClaims, error) {
	if (spec.Agent == "") == (spec.User == "") {
		return nil, fault.New(fault.InvalidFormat, "A token is for an agent or for a user: name one of them.")
	}
	if spec.TTL == 0 {
		spec.TTL = defaultTTL
	}
	if spec.TTL < time.Second {
		return nil, fault.New(fault.InvalidFormat, "A token lives a second at least.")
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "make a token id")
	}
	c := jwt.MapClaims{}
	if len(spec.Claims) > 0 {
		if err := json.Unmarshal(spec.Claims, &c); err != nil {
			return nil, fault.Wrap(fault.InvalidFormat, err, "Further claims are a JSON object.")
		}
	}
	maps.Copy(c, jwt.MapClaims{
		"tenant_id": string(t.ID), "sub": string(spec.Agent + spec.User), "jti": id.String(),
		"iat": now.Unix(), "exp": now.Add(spec.TTL).Unix(),
	})
	if spec.Agent != "" {
		c["agent_id"] = string(spec.Agent)
	}
	if spec.Channels != nil {
		c["channels"] = spec.Channels
	}
	if spec.Rooms != nil {
		c["rooms"] = spec.Rooms
	}
	if spec.Permissions != nil {
		c["permissions"] = spec.Permissions
	}
	if spec.Login {
		c["typ"] = "login"
	}
	if spec.Guest {
		c["typ"] = guestType
	}
	if key.Issuer != "" {
		c["iss"] = key.Issuer
	}
	if key.Audience != "" {
		c["aud"] = key.Audience
	}
	return c, nil
}
