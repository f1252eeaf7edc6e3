package admin

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"parley/broker"
	"parley/channels"
	"parley/internal/fault"
	"parley/tenants"
)

// Info says what runs, and where.
type Info struct {
	Version string   `json:"version"`           // of the broker
	Listen  []string `json:"listen"`            // host:port for clients
	Admin   string   `json:"admin"`             // URL of this API
	NATS    string   `json:"nats"`              // URL for services; empty when NATS does not listen
	Process *Process `json:"process,omitempty"` // absent where the system does not say
}

// Process is what the broker's process has spent since it started, and what it holds.
type Process struct {
	UserSeconds   float64 `json:"cpu_user_seconds"`   // CPU that it spent itself
	SystemSeconds float64 `json:"cpu_system_seconds"` // CPU that the kernel spent for it
	RSS           uint64  `json:"rss_bytes"`          // memory that it holds now
}

// Nodes is the cluster, by name; a broker alone is one, too.
type Nodes struct {
	Nodes []Node `json:"nodes"` // those that are down included
}

// Node is one member of the cluster.
type Node struct {
	ID      string `json:"id"`      // names it in the cluster for good
	Name    string `json:"name"`    // empty when nobody who lives has heard it
	State   string `json:"state"`   // up or down; it errs for at most 12 seconds
	Leads   bool   `json:"leads"`   // the cluster
	Streams int    `json:"streams"` // copies that it holds
	Behind  int    `json:"behind"`  // of these, the ones that are not complete
}

// Problem is the body of every refusal.
type Problem struct {
	Code    fault.Code `json:"code"`          // of the list in docs/errors.md, for programs
	Message string     `json:"message"`       // for people; may change at any time
	Fix     string     `json:"fix,omitempty"` // what to do about it, when that is known
}

// Tenants is a part of all tenants, in the order of their ids.
type Tenants struct {
	Tenants []tenants.Tenant `json:"tenants"`        // at most as many as were asked for
	Last    tenants.ID       `json:"last,omitempty"` // the id to go on from
	More    bool             `json:"more"`           // whether there are some behind Last
}

// NewTenant asks for a tenant.
type NewTenant struct {
	ID   tenants.ID `json:"id"`             // 1 to 64 characters of A-Z a-z 0-9 _ and -
	Name string     `json:"name,omitempty"` // for people

	Limits tenants.LimitChanges `json:"limits,omitempty"` // null is the same as absent
}

// TenantChange says what to change of a tenant; what is absent stays.
type TenantChange struct {
	Name    *string              `json:"name,omitempty"`   // for people
	Limits  tenants.LimitChanges `json:"limits,omitempty"` // null puts a limit back to its default, 0 lifts it
	Origins *[]string            `json:"origins,omitzero"` // whose web pages may use it; an empty list means any
}

// Keys is a tenant's ring, oldest first.
type Keys struct {
	Keys []tenants.Key `json:"keys"` // without their secrets
}

// NewKey asks for a key; see tenants.KeySpec.
type NewKey struct {
	Kid       string      `json:"kid,omitempty"`        // id of the key. Defaults to a fresh one.
	Alg       tenants.Alg `json:"alg,omitempty"`        // how it signs. Defaults to HS256.
	Secret    []byte      `json:"secret,omitempty"`     // base64
	PublicKey string      `json:"public_key,omitempty"` // PEM, of whoever signs elsewhere
	JWKSURL   string      `json:"jwks_url,omitempty"`   // where an identity provider publishes its keys, https only
	Issuer    string      `json:"issuer,omitempty"`     // that tokens must name (iss). Absent means any.
	Audience  string      `json:"audience,omitempty"`   // that tokens must name (aud). Absent means any.
	NotAfter  time.Time   `json:"not_after,omitzero"`   // when it ends. Absent means never.
}

// Rotation asks for a new key in the place of the one that the path names, or of the one that signs: "-" names that.
type Rotation struct {
	Kid            string      `json:"kid,omitempty"`        // of the new key. Defaults to a fresh one.
	Alg            tenants.Alg `json:"alg,omitempty"`        // Defaults to that of the old key.
	Secret         []byte      `json:"secret,omitempty"`     // base64. Without it and a public key the broker makes one.
	PublicKey      string      `json:"public_key,omitempty"` // PEM, of whoever signs elsewhere
	OverlapSeconds int64       `json:"overlap_seconds"`      // how long the old key still verifies; 0 revokes it at once
}

// Rotated is an old key with its end, and the one in its place.
type Rotated struct {
	Old tenants.Key `json:"old"` // the key from before, with its end
	New tenants.Key `json:"new"` // the key that signs from now on
}

// APIKeys is what a tenant's back ends present, oldest first.
type APIKeys struct {
	APIKeys []tenants.APIKey `json:"api_keys"` // without what they are made of, which the broker does not know
}

// NewAPIKey asks for an API key; see tenants.APIKeySpec.
type NewAPIKey struct {
	Name     string          `json:"name,omitempty"`     // what it is for, for people
	Scopes   []tenants.Scope `json:"scopes,omitempty"`   // what it is good for. Defaults to everything.
	NotAfter time.Time       `json:"not_after,omitzero"` // when it ends. Absent means never.
}

// MadeAPIKey is an API key with its text, which can't be had a second time.
type MadeAPIKey struct {
	tenants.APIKey `json:",inline"`

	Key string `json:"key"` // what the back end sends; it can't be shown again
}

// NewToken asks for a token; see tenants.TokenSpec.
type NewToken struct {
	Agent       string               `json:"agent,omitempty"`      // whose token it is, unless it is a user's
	User        string               `json:"user,omitempty"`       // whose token it is, unless it is an agent's
	Channels    []string             `json:"channels,omitzero"`    // absent means every channel
	Rooms       []string             `json:"rooms,omitzero"`       // of meetings; absent means every room
	Permissions *tenants.Permissions `json:"permissions,omitzero"` // what it allows beside the channels. Absent means everything.
	Login       bool                 `json:"login,omitzero"`       // good for nothing but being exchanged for access tokens
	TTLSeconds  int64                `json:"ttl_seconds,omitzero"` // how long it is good for. Defaults to an hour.
	Kid         string               `json:"kid,omitempty"`        // of the key that signs. Defaults to the newest one that can.
}

// Token is a token, issued or to be inspected.
type Token struct {
	Token string `json:"token"` // the JWT itself
}

// NewCreds asks for credentials with which a service speaks NATS.
type NewCreds struct {
	Name       string   `json:"name"`                 // who is to hold them; names them in lists and logs
	Role       Role     `json:"role,omitempty"`       // Defaults to RoleService; what that allows counts when nothing else is asked for.
	Queue      string   `json:"queue,omitempty"`      // whose requests a worker takes. Defaults to "ai".
	Publish    []string `json:"publish,omitempty"`    // subjects in NATS form; in addition, for a worker
	Subscribe  []string `json:"subscribe,omitempty"`  // subjects in NATS form
	TTLSeconds int64    `json:"ttl_seconds,omitzero"` // Zero means for ever.
}

// IssuedCreds is the text of a .creds file, which can't be had a second time.
type IssuedCreds struct {
	Creds   string `json:"creds"`    // the whole file, with the seed that proves who it is
	UserKey string `json:"user_key"` // names them from now on
}

// AllCreds is what is known of the credentials of a tenant's services, oldest first.
type AllCreds struct {
	Creds []tenants.Creds `json:"creds"` // without their secrets, which the broker does not know
}

// RevokeCreds says which credentials are to be refused: all of a name, or the ones with a user key.
type RevokeCreds struct {
	Name    string `json:"name,omitempty"`     // all that have this name
	UserKey string `json:"user_key,omitempty"` // the one with this public key
}

// NewRevocation says which tokens are to be refused; exactly one of the first four is set. See tenants.RevocationSpec.
type NewRevocation struct {
	JTI    string    `json:"jti,omitempty"`   // the one token with this id
	Agent  string    `json:"agent,omitempty"` // all tokens of this agent
	User   string    `json:"user,omitempty"`  // all tokens of this user
	All    bool      `json:"all,omitzero"`    // all tokens of the tenant
	Before time.Time `json:"before,omitzero"` // those issued until then. Defaults to now.
}

// Revocations is which tokens of a tenant are refused although they would be good, oldest first.
type Revocations struct {
	Revocations []tenants.Revocation `json:"revocations"` // those that still matter
}

// Kick asks for the end of somebody's connections.
type Kick struct {
	Revoke bool `json:"revoke,omitzero"` // refuse the tokens that were issued until now, too
}

// Kicked says whose connections were closed.
type Kicked struct {
	Agent      string              `json:"agent_id"`             // id of the agent or user
	Revocation *tenants.Revocation `json:"revocation,omitempty"` // of its tokens, if that was asked for
}

// Agents is who has been seen in a tenant.
type Agents struct {
	Agents []Agent `json:"agents"` // all that are known, in the order of their ids
}

// Agent is what is known of one.
type Agent struct {
	ID       broker.Token    `json:"agent_id"`           // id of the agent
	Status   channels.Status `json:"status"`             // as its clients have set it; offline when it has no connection
	Sockets  int             `json:"sockets"`            // connections that it has open, on all nodes
	Channels []broker.Name   `json:"channels"`           // that it is subscribed to
	LastSeen time.Time       `json:"last_seen,omitzero"` // when its last connection ended; now for those that have one
}

// Channels is what holds messages in a tenant.
type Channels struct {
	Channels []Channel `json:"channels"` // in the order of their names
}

// Channel is a channel with messages in it.
type Channel struct {
	ID       broker.Name `json:"channel_id"` // name of the channel
	Messages uint64      `json:"messages"`   // that it holds
}

// ChannelDetail is what is known of one channel.
type ChannelDetail struct {
	Channel `json:",inline"`

	Policy *tenants.Policy `json:"policy,omitempty"` // that holds for it; absent when none does
	Agents []broker.Token  `json:"agents"`           // that are subscribed to it, sorted
}

// Purged says how many messages were removed.
type Purged struct {
	Messages uint64 `json:"messages"` // that were removed
}

// Policies are a tenant's channel policies, the more particular ones first.
type Policies struct {
	Policies tenants.Policies `json:"policies"` // in the order in which they are tried
}

// NewMessage is a message to publish.
type NewMessage struct {
	Agent   broker.Token   `json:"agent_id,omitempty"` // in whose name. Zero means in nobody's, as services do.
	ID      string         `json:"id,omitempty"`       // a repetition with the same id is stored once
	Content jsontext.Value `json:"content"`            // any JSON value
}

// Receipt says that a message is on disk, unless its channel is ephemeral.
type Receipt struct {
	ID        string `json:"message_id"`         // that was given, or a fresh one
	Seq       uint64 `json:"seq,omitzero"`       // where it stands in the store; absent in ephemeral channels
	Duplicate bool   `json:"duplicate,omitzero"` // a message with this id was there already, and this one was left out
	Stored    bool   `json:"stored"`             // false in ephemeral channels: it was handed to who was there
}

// Page is a part of a channel's history, oldest first. Messages are as clients receive them.
type Page struct {
	Messages []jsontext.Value `json:"messages"` // at most as many as were asked for
	Last     uint64           `json:"last"`     // the sequence to go on from
	More     bool             `json:"more"`     // whether there are some behind Last
}

// DeadLetters is a part of what a tenant's receivers have not acknowledged in time, oldest first.
type DeadLetters struct {
	DeadLetters []DeadLetter `json:"dead_letters"` // at most as many as were asked for
	Last        uint64       `json:"last"`         // the number to go on from
	More        bool         `json:"more"`         // whether there are some behind Last
}

// DeadLetter is a message that was delivered as often as its receiver allows and never acknowledged.
type DeadLetter struct {
	Number     uint64         `json:"number"`               // names it within the tenant
	Place      string         `json:"place"`                // "durable NAME", "agent NAME" or "inbox NAME": who did not take it
	Channel    broker.Name    `json:"channel_id,omitempty"` // either this
	Target     broker.Token   `json:"target,omitempty"`     // or this
	Seq        uint64         `json:"seq"`                  // of the message there
	Deliveries int            `json:"deliveries"`           // how often it was delivered
	Time       time.Time      `json:"time"`                 // when it was given up
	Message    jsontext.Value `json:"message,omitempty"`    // as it would be delivered; absent when retention has dropped it
}
