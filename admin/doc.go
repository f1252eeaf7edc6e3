// Package admin is the HTTP API by which a broker is administered, and the client for it that the command line uses.
//
// It stands on a listener of its own. Every request but /healthz and /readyz carries the admin key, which the server
// keeps in its data directory: Authorization: Bearer KEY. Bodies are JSON both ways; a refusal is a Problem with the
// codes of package fault. Browsers are turned away, whatever key they bring.
//
//	GET    /healthz                                                    the process lives
//	GET    /readyz                                                     clients, services and admins can be served
//	GET    /admin/v1/info                                              Info
//	GET    /admin/v1/nodes                                             Nodes
//	DELETE /admin/v1/nodes/{node}                                      Node, that was removed from the cluster
//	GET    /admin/v1/tenants                                           Tenants
//	POST   /admin/v1/tenants                                           NewTenant: 201, or 200 when it exists: tenants.Tenant
//	GET    /admin/v1/tenants/{tenant}                                  tenants.Tenant
//	DELETE /admin/v1/tenants/{tenant}                                  204, when everything is erased
//	POST   /admin/v1/tenants/{tenant}/suspend                          tenants.Tenant
//	POST   /admin/v1/tenants/{tenant}/resume                           tenants.Tenant
//	GET    /admin/v1/tenants/{tenant}/keys                             Keys
//	POST   /admin/v1/tenants/{tenant}/keys                             NewKey: 201, or 200 when it exists: tenants.Key
//	DELETE /admin/v1/tenants/{tenant}/keys/{kid}                       tenants.Key, revoked
//	GET    /admin/v1/tenants/{tenant}/apikeys                          APIKeys
//	POST   /admin/v1/tenants/{tenant}/apikeys                          NewAPIKey: 201 MadeAPIKey
//	DELETE /admin/v1/tenants/{tenant}/apikeys/{id}                     tenants.APIKey, revoked
//	POST   /admin/v1/tenants/{tenant}/tokens                           NewToken: 201 Token
//	POST   /admin/v1/tenants/{tenant}/creds                            NewCreds: 201 Creds
//	GET    /admin/v1/tenants/{tenant}/agents                           Agents
//	GET    /admin/v1/tenants/{tenant}/agents/{agent}                   Agent
//	GET    /admin/v1/tenants/{tenant}/channels                         Channels
//	POST   /admin/v1/tenants/{tenant}/channels/{channel}/messages      NewMessage: 201 Receipt
//	GET    /admin/v1/tenants/{tenant}/channels/{channel}/messages      ?since&limit: Page
//	GET    /admin/v1/tenants/{tenant}/channels/{channel}/tail          ?since: messages as they come, one a line, until either side ends it
//	GET    /admin/v1/tenants/{tenant}/deadletters                      ?after&limit: DeadLetters
//	POST   /admin/v1/tenants/{tenant}/deadletters/{number}/replay      204, when it is on its way again and off the list
//	DELETE /admin/v1/tenants/{tenant}/deadletters/{number}             204
//	GET    /admin/v1/tenants/{tenant}/queue                            Sessions: all that wait for a human
//	GET    /admin/v1/tenants/{tenant}/sessions                         ?user&offset&limit: Sessions
//	GET    /admin/v1/tenants/{tenant}/sessions/{session}               sessions.Overview
//	GET    /admin/v1/tenants/{tenant}/sessions/{session}/messages      ?offset&limit: Said
//	GET    /admin/v1/tenants/{tenant}/sessions/{session}/tail          ?from: events of its log as they come, one a line, until either side ends it
//	POST   /admin/v1/tenants/{tenant}/sessions/{session}/{verb}        Order; verb is claim, release, stop, escalate or close: sessions.Overview; reply: 201 Reply
//	POST   /admin/v1/tokens/inspect                                    Token: tenants.Report
package admin
