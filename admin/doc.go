// Package admin is the HTTP API by which a broker is administered, and the client for it that the command line uses.
//
// It stands on a listener of its own. Every request but /healthz and /readyz carries the admin key, which the server
// keeps in its data directory: Authorization: Bearer KEY. Bodies are JSON both ways; a refusal is a Problem with the
// codes of package fault. Browsers are turned away, whatever key they bring.
//
// All endpoints are in the tables of routes.go, from which the server is made, and the OpenAPI description that it serves
// under /admin/v1/openapi.json. Beside them there are GET /healthz, which says that the process lives, and GET /readyz,
// which says that clients, services and admins can be served.
package admin
