package admin

import (
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"parley/backup"
	"parley/internal/loglevel"
	"parley/internal/openapi"
	"parley/sessions"
	"parley/tenants"
)

// route is one endpoint: the server answers it with handle, and describes it with the rest.
type route struct {
	id     string // names the act, in the description and for whoever asks what was done
	method string
	path   string // below prefix
	handle handler
	says   string // what it does, in a line

	takes any         // a value of the type of the body; nil for none
	query query       // what may follow the path; the variable parts of that are in pathParameters
	gives map[int]any // by status, a value of the type of the answer; nil for none

	// Who may: every key for what a tenant's path is about, keys for the whole broker for all else.
	common bool // is about the broker, and for keys of single tenants, too
	full   bool // is not for keys that may only read, although it is a GET: it hands out secrets, or is a burden

	// All but GET is recorded in the audit log.
	harmless bool                                                         // is not, since it changes nothing
	private  bool                                                         // is although it is a GET: it shows what a tenant's people have said
	names    func(w http.ResponseWriter, r *http.Request) (string, error) // the tenant, when the path does not
}

// changes reports whether the act changes anything.
func (r route) changes() bool { return r.method != http.MethodGet && !r.harmless }

// recorded reports whether the act belongs into the audit log.
func (r route) recorded() bool { return r.private || r.changes() }

type query []openapi.Parameter

// answer is the only one that a route gives when all is well.
func answer(v any) map[int]any { return map[int]any{200: v} }

// made are the answers of a route that makes what may be there already.
func made(v any) map[int]any { return map[int]any{201: v, 200: v} }

// What routes answer that make something new each time, and that have nothing to say.
func fresh(v any) map[int]any { return map[int]any{201: v} }

func nothing() map[int]any { return map[int]any{204: nil} }

const ofTenant = "/tenants/{tenant}"

// table is all endpoints that want an admin key.
func (s *Server) table() (all []route) {
	for _, part := range [][]route{
		s.nodeRoutes(), s.usageRoutes(), s.auditRoutes(), s.tenantRoutes(), s.credentialRoutes(), s.agentRoutes(), s.channelRoutes(), s.sessionRoutes(),
		s.roomRoutes(), s.backupRoutes(), s.adminKeyRoutes(), s.logLevelRoutes(),
	} {
		all = append(all, part...)
	}
	return all
}

func (s *Server) nodeRoutes() []route {
	return []route{
		{id: "getInfo", method: "GET", path: "/info", handle: s.info, says: "What runs, and where.", gives: answer(Info{}), common: true},
		{id: "getOpenAPI", method: "GET", path: "/openapi.json", handle: s.openAPI, says: "This description.", gives: answer(jsontext.Value{}), common: true},
		{id: "listNodes", method: "GET", path: "/nodes", handle: s.listNodes, says: "List the nodes of the cluster.", gives: answer(Nodes{})},
		{id: "removeNode", method: "DELETE", path: "/nodes/{node}", handle: s.removeNode, says: "Take a dead node out of the cluster for good.", gives: answer(Node{})},
	}
}

func (s *Server) auditRoutes() []route {
	return []route{
		{id: "listAudit", method: "GET", path: "/audit", handle: s.listAudit, says: "List what admins have done, the oldest first.", query: query{
			{Name: "after", About: "Only entries with higher sequences.", Number: true},
			{Name: "since", About: "Only entries not older than this RFC 3339 time; after counts more."},
			{Name: "tenant", About: "Only entries about this tenant."},
			{Name: "limit", About: "At most so many.", Number: true},
		}, gives: answer(Audit{})},
	}
}

func (s *Server) tenantRoutes() []route {
	return []route{
		{id: "listTenants", method: "GET", path: "/tenants", handle: s.listTenants, says: "List tenants in the order of their ids.", query: query{
			{Name: "after", About: "Only tenants whose ids come behind this one."},
			{Name: "limit", About: "At most so many; without it, and at most, 500.", Number: true},
		}, gives: answer(Tenants{})},
		{id: "createTenant", method: "POST", path: "/tenants", handle: s.createTenant, says: "Make a tenant; one that is there already is no error when it is the same.", takes: NewTenant{}, gives: made(tenants.Tenant{}), names: newTenantID},
		{id: "getTenant", method: "GET", path: ofTenant, handle: s.showTenant, says: "Show a tenant.", gives: answer(tenants.Tenant{})},
		{id: "updateTenant", method: "PATCH", path: ofTenant, handle: s.updateTenant, says: "Change a tenant's name, limits and origins, while it is in use.", takes: TenantChange{}, gives: answer(tenants.Tenant{})},
		{id: "deleteTenant", method: "DELETE", path: ofTenant, handle: s.deleteTenant, says: "Remove a tenant; all its data is erased when the answer comes.", gives: nothing()},
		{id: "suspendTenant", method: "POST", path: ofTenant + "/suspend", handle: s.suspendTenant, says: "Refuse all of a tenant's agents and services; its data stays.", gives: answer(tenants.Tenant{})},
		{id: "resumeTenant", method: "POST", path: ofTenant + "/resume", handle: s.resumeTenant, says: "Undo suspend.", gives: answer(tenants.Tenant{})},
	}
}

func (s *Server) backupRoutes() []route {
	archive := openapi.Bytes{Media: tarType}
	yes := []string{"yes", "no"}
	return []route{
		{id: "backup", method: "GET", path: "/backup", handle: s.backup, says: "Copy tenants into an archive, which is whole when it ends with its checksums.", query: query{
			{Name: "tenant", About: "Only this tenant."},
			{Name: "secrets", About: "Whether what tokens are signed with is in it, and the API keys; without it, yes.", OneOf: yes},
		}, gives: answer(archive), private: true, full: true, names: queriedTenant},
		{id: "restore", method: "POST", path: "/restore", handle: s.restore, says: "Bring tenants back from an archive, which is proven before anything is done.", takes: archive, query: query{
			{Name: "tenant", About: "Only this tenant."},
			{Name: "as", About: "What that one is to be called."},
			{Name: "replace", About: "Whether to take the places of tenants that exist; without it, no.", OneOf: yes},
		}, gives: answer(backup.Restored{}), names: queriedTenant},
	}
}

func (s *Server) credentialRoutes() []route {
	return []route{
		{id: "listKeys", method: "GET", path: ofTenant + "/keys", handle: s.listKeys, says: "List the keys that verify a tenant's tokens.", gives: answer(Keys{})},
		{id: "addKey", method: "POST", path: ofTenant + "/keys", handle: s.addKey, says: "Add a key.", takes: NewKey{}, gives: made(tenants.Key{})},
		{id: "rotateKey", method: "POST", path: ofTenant + "/keys/{kid}/rotate", handle: s.rotateKey, says: "Put a new key in the place of one, or of the one that signs (-); the old one verifies for the overlap.", takes: Rotation{}, gives: fresh(Rotated{})},
		{id: "revokeKey", method: "DELETE", path: ofTenant + "/keys/{kid}", handle: s.revokeKey, says: "Refuse what a key has signed, also on open connections.", gives: answer(tenants.Key{})},
		{id: "listAPIKeys", method: "GET", path: ofTenant + "/apikeys", handle: s.listAPIKeys, says: "List a tenant's API keys.", gives: answer(APIKeys{})},
		{id: "createAPIKey", method: "POST", path: ofTenant + "/apikeys", handle: s.createAPIKey, says: "Make an API key; its text can't be had a second time.", takes: NewAPIKey{}, gives: fresh(MadeAPIKey{})},
		{id: "revokeAPIKey", method: "DELETE", path: ofTenant + "/apikeys/{id}", handle: s.revokeAPIKey, says: "Refuse an API key, also on open connections.", gives: answer(tenants.APIKey{})},
		{id: "issueToken", method: "POST", path: ofTenant + "/tokens", handle: s.issueToken, says: "Sign a token for an agent or a user.", takes: NewToken{}, gives: fresh(Token{})},
		{id: "inspectToken", method: "POST", path: "/tokens/inspect", handle: s.inspectToken, says: "Say what a token holds, and why it is good or refused.", takes: Token{}, gives: answer(tenants.Report{}), harmless: true},
		{id: "issueCreds", method: "POST", path: ofTenant + "/creds", handle: s.issueCreds, says: "Make NATS credentials for a service.", takes: NewCreds{}, gives: fresh(IssuedCreds{})},
		{id: "listCreds", method: "GET", path: ofTenant + "/creds", handle: s.listCreds, says: "List the credentials of a tenant's services, without their secrets.", gives: answer(AllCreds{})},
		{id: "revokeCreds", method: "POST", path: ofTenant + "/creds/revoke", handle: s.revokeCreds, says: "Cut services off, and refuse their credentials from now on.", takes: RevokeCreds{}, gives: answer(AllCreds{})},
		{id: "listRevocations", method: "GET", path: ofTenant + "/revocations", handle: s.listRevocations, says: "List the tokens that are refused although they would be good.", gives: answer(Revocations{})},
		{id: "revokeTokens", method: "POST", path: ofTenant + "/revocations", handle: s.revokeTokens, says: "Refuse tokens from now on, also on open connections.", takes: NewRevocation{}, gives: answer(tenants.Revocation{})},
	}
}

func (s *Server) agentRoutes() []route {
	return []route{
		{id: "listAgents", method: "GET", path: ofTenant + "/agents", handle: s.listAgents, says: "List the agents that were seen.", gives: answer(Agents{})},
		{id: "getAgent", method: "GET", path: ofTenant + "/agents/{agent}", handle: s.showAgent, says: "Show an agent.", gives: answer(Agent{})},
		{id: "kickAgent", method: "POST", path: ofTenant + "/agents/{agent}/kick", handle: s.kickAgent, says: "Close the connections of an agent or a user.", takes: Kick{}, gives: answer(Kicked{})},
	}
}

func (s *Server) channelRoutes() []route {
	const channel = ofTenant + "/channels/{channel}"
	since := openapi.Parameter{Name: "since", About: "What is behind this sequence, or not older than this RFC 3339 time."}
	limit := openapi.Parameter{Name: "limit", About: "At most so many.", Number: true}
	after := openapi.Parameter{Name: "after", About: "Only those with higher numbers.", Number: true}
	return []route{
		{id: "listChannels", method: "GET", path: ofTenant + "/channels", handle: s.listChannels, says: "List the channels that hold messages.", gives: answer(Channels{})},
		{id: "getChannel", method: "GET", path: channel, handle: s.showChannel, says: "Show a channel.", gives: answer(ChannelDetail{})},
		{id: "purgeChannel", method: "DELETE", path: channel + "/messages", handle: s.purgeChannel, says: "Remove all messages of a channel for good.", gives: answer(Purged{})},
		{id: "listPolicies", method: "GET", path: ofTenant + "/policies", handle: s.listPolicies, says: "List a tenant's channel policies, the more particular ones first.", gives: answer(Policies{})},
		{id: "setPolicy", method: "PUT", path: ofTenant + "/policies", handle: s.setPolicy, says: "Set the policy of the pattern in the body, on open connections, too.", takes: tenants.Policy{}, gives: made(tenants.Policy{})},
		{id: "removePolicy", method: "DELETE", path: ofTenant + "/policies/{pattern}", handle: s.removePolicy, says: "Remove the policy of a pattern.", gives: nothing()},
		{id: "publish", method: "POST", path: channel + "/messages", handle: s.publish, says: "Publish a message; it is on disk when the answer comes.", takes: NewMessage{}, gives: fresh(Receipt{})},
		{id: "listMessages", method: "GET", path: channel + "/messages", handle: s.history, says: "List what a channel holds, without since the newest.", query: query{since, limit}, gives: answer(Page{}), private: true},
		{id: "tailChannel", method: "GET", path: channel + "/tail", handle: s.tail, says: "Follow a channel. An empty line means nothing.", query: query{since}, gives: answer(openapi.Lines{Of: jsontext.Value{}}), private: true},
		{id: "listDeadLetters", method: "GET", path: ofTenant + "/deadletters", handle: s.listDeadLetters, says: "List the messages that receivers did not acknowledge in time.", query: query{after, limit}, gives: answer(DeadLetters{}), private: true},
		{id: "replayDeadLetter", method: "POST", path: ofTenant + "/deadletters/{number}/replay", handle: s.replayDeadLetter, says: "Deliver a dead letter once more, and take it off the list.", gives: nothing()},
		{id: "dropDeadLetter", method: "DELETE", path: ofTenant + "/deadletters/{number}", handle: s.dropDeadLetter, says: "Take a dead letter off the list.", gives: nothing()},
	}
}

func (s *Server) sessionRoutes() []route {
	const session = ofTenant + "/sessions/{session}"
	user := openapi.Parameter{Name: "user", About: "Only this user's."}
	offset := openapi.Parameter{Name: "offset", About: "Leave out so many.", Number: true}
	limit := openapi.Parameter{Name: "limit", About: "At most so many.", Number: true}
	from := openapi.Parameter{Name: "from", About: "Begin with the event of this index; without it, with the next.", Number: true}
	return []route{
		{id: "listWaiting", method: "GET", path: ofTenant + "/queue", handle: s.listWaiting, says: "List the sessions that wait for a human, the longest waiting first.", gives: answer(Sessions{})},
		{id: "listSessions", method: "GET", path: ofTenant + "/sessions", handle: s.listSessions, says: "List sessions, the newest first.", query: query{user, offset, limit}, gives: answer(Sessions{})},
		{id: "getSession", method: "GET", path: session, handle: s.showSession, says: "Show a session.", gives: answer(sessions.Overview{})},
		{id: "listSaid", method: "GET", path: session + "/messages", handle: s.listSaid, says: "List what was said in a session, the oldest first.", query: query{offset, limit}, gives: answer(Said{}), private: true},
		{id: "tailSession", method: "GET", path: session + "/tail", handle: s.tailSession, says: "Follow the log of a session. An empty line means nothing.", query: query{from}, gives: answer(openapi.Lines{Of: sessions.Event{}}), private: true},
		{id: "orderSession", method: "POST", path: session + "/{verb}", handle: s.orderSession, says: "Do something in a session. A reply is answered with 201, all else with what then holds.", takes: Order{}, gives: map[int]any{200: sessions.Overview{}, 201: Reply{}}},
	}
}

// pathParameters are the variable parts of paths.
func pathParameters() []openapi.Parameter {
	return []openapi.Parameter{
		{Name: "node", About: "Name or id of the node."},
		{Name: "level", About: "Least severe level that is to be logged.", OneOf: loglevel.Names()},
		{Name: "name", About: "Name of the admin key."},
		{Name: "tenant", About: "Id of the tenant."},
		{Name: "kid", About: "Id of the key."},
		{Name: "id", About: "Id of what the path is about."},
		{Name: "agent", About: "Id of the agent."},
		{Name: "channel", About: "Name of the channel."},
		{Name: "pattern", About: "Pattern of the policy."},
		{Name: "number", About: "Number of the dead letter.", Number: true},
		{Name: "session", About: "Id of the session."},
		{Name: "room", About: "Id of the room."},
		{Name: "participant", About: "Id of the participant."},
		{Name: "verb", About: "What to do.", OneOf: []string{"reply", "claim", "release", "stop", "escalate", "close"}},
	}
}
