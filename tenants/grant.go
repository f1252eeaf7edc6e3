package tenants

import (
	"log/slog"
	"slices"
	"strings"
	"time"

	"parley/broker"
	"parley/internal/fault"
)

// Grant is what a verified token or API key allows. It is immutable and may be shared between connections; whether it still holds
// after a change of the tenant is what Registry.Recheck answers.
type Grant struct {
	Tenant  ID
	Account broker.AccountID
	Agent   broker.Token // the agent or the user that the token names
	Kid     string       // the tenant's key that signed it, by its name in the registry
	JTI     string       // may be empty
	Issued  time.Time    // Zero when the token does not say.
	Expires time.Time    // Zero means never, which only an API key may have.
	APIKey  string       // the id of the API key that it stands for: one for all users, so that Agent is empty
	Claims  []byte       // the token's claims that mean nothing to the broker, as a JSON object; nil when there are none
	Login   bool         // proves who somebody is, but opens no connection: MayPublish and MaySubscribe refuse all
	Guest   bool         // a room token: good for meetings, and for nothing else

	scopes     []Scope // of an API key
	inbox      string  // "agent.<Agent>"
	anyChannel bool
	channels   []string // patterns of channel names, when !anyChannel
	anyRoom    bool
	rooms      []string // patterns of room ids, when !anyRoom
	publishes  rule
	subscribes rule
}

// rule is one half of the claim `permissions`.
type rule struct {
	limited bool     // allow counts; else everything is allowed
	allow   []string // patterns of subjects
	deny    []string // patterns of subjects; stronger than allow
}

func (r rule) permits(subject string) bool {
	return (!r.limited || matchesAny(r.allow, subject)) && !matchesAny(r.deny, subject)
}

const (
	channelRoot = "channel."
	agentRoot   = "agent."
	roomRoot    = "meet."
)

// CheckAccess returns fault.PermissionDenied for what opens no connection, or only one to a meeting.
func (g *Grant) CheckAccess() error {
	switch {
	case g.Login:
		return fault.New(fault.PermissionDenied, "A login token opens no connection.").
			WithFix("Exchange it for an access token first.")
	case g.Guest:
		return fault.New(fault.PermissionDenied, "A room token is good for its rooms only.").
			WithFix("Connect to /ws/meet with it, or get an access token.")
	}
	return nil
}

// MayJoin reports whether the token lets its holder into a meet room.
func (g *Grant) MayJoin(room string) bool {
	if g.Login || g.APIKey != "" || !literal(room) {
		return false
	}
	subject := roomRoot + room
	return (g.anyRoom || matchesAny(g.rooms, room)) && g.publishes.permits(subject) && g.subscribes.permits(subject)
}

// MayPublish reports whether the token allows to publish on a subject such as channel.news or agent.bob. It does not
// allocate.
func (g *Grant) MayPublish(subject string) bool {
	return g.reaches(subject) && g.publishes.permits(subject)
}

// MaySubscribe reports whether the token allows to receive what is published on subject. An agent always may receive
// its own direct messages, and those of others only when the token says so in so many words. It does not allocate.
func (g *Grant) MaySubscribe(subject string) bool {
	if !g.reaches(subject) {
		return false
	}
	if strings.HasPrefix(subject, agentRoot) {
		return subject == g.inbox || g.subscribes.limited && g.subscribes.permits(subject)
	}
	return g.subscribes.permits(subject)
}

// reaches reports whether subject is one that agents use at all and, if a channel, one of the token's.
func (g *Grant) reaches(subject string) bool {
	if g.Login || g.Guest || g.APIKey != "" || !literal(subject) {
		return false
	}
	if channel, ok := strings.CutPrefix(subject, channelRoot); ok {
		return g.anyChannel || matchesAny(g.channels, channel)
	}
	return strings.HasPrefix(subject, agentRoot)
}

// Has reports whether the scopes of an API key hold s. Tokens have no scopes: they are good for what their user may do.
func (g *Grant) Has(s Scope) bool {
	return g.APIKey == "" && g.CheckAccess() == nil || slices.Contains(g.scopes, s)
}

// LogValue shows who, not what for.
func (g *Grant) LogValue() slog.Value {
	if g.APIKey != "" {
		return slog.GroupValue(slog.String("tenant", string(g.Tenant)), slog.String("api_key", g.APIKey))
	}
	return slog.GroupValue(slog.String("tenant", string(g.Tenant)), slog.String("agent", string(g.Agent)), slog.String("kid", g.Kid))
}

// newGrant turns claims, already verified, into a Grant. Errors are fault.AuthFailed.
func newGrant(c *claims) (*Grant, error) {
	agent, err := c.principal()
	if err != nil {
		return nil, err
	}
	g := &Grant{
		Tenant: ID(c.Tenant), Agent: agent, JTI: c.JTI, Issued: c.IssuedAt.time(), Expires: c.Expires.time(),
		Login: c.login(), Guest: c.Type == guestType, inbox: agentRoot + string(agent),
		anyChannel: !c.Channels.present, channels: c.Channels.items, anyRoom: !c.Rooms.present, rooms: c.Rooms.items,
		Claims: c.Others,
	}
	for _, p := range g.channels {
		if !validPattern(p) || len(p) > broker.MaxNameBytes {
			return nil, badClaim("channels", "is not a list of channel patterns")
		}
	}
	for _, p := range g.rooms {
		if !validPattern(p) {
			return nil, badClaim("rooms", "is not a list of room ids")
		}
	}
	if g.publishes, err = c.Permissions.Publish.rule(); err != nil {
		return nil, err
	}
	if g.subscribes, err = c.Permissions.Subscribe.rule(); err != nil {
		return nil, err
	}
	return g, nil
}

// permissionRoots are the first tokens that a pattern in `permissions` may have. A misspelt root is refused: in a deny
// list it would silently deny nothing.
var permissionRoots = [...]string{"channel", "agent", "session", "meet", "status", "work", "*", ">"}

func checkPermission(p string) error {
	root, _, _ := strings.Cut(p, ".")
	for _, known := range permissionRoots {
		if root == known && validPattern(p) {
			return nil
		}
	}
	return badClaim("permissions", "is not made of subject patterns such as channel.news.*")
}

func badClaim(name, problem string) *fault.Error {
	return fault.New(fault.AuthFailed, "The token's claim %s %s.", name, problem)
}
