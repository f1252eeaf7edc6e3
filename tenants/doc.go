// Package tenants says who is who: the registry of tenants, the keys that sign their tokens, and what a verified token
// or API key allows.
//
// The nouns: a Tenant owns one NATS account and a ring of Keys; a token signed with one of them becomes a Grant, which
// answers "may it publish there" without allocating. The Registry keeps every tenant in memory, fed by a watch on a
// bucket that all nodes share, so that each node sees each change within moments.
//
// All exported methods may be called concurrently. The package opens no sockets but those that fetch the key set (JWKS)
// of a tenant's own identity provider, and never because of anything a token says.
package tenants
