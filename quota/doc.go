// Package quota holds tenants to their limits on this node, and counts together with the other nodes what is limited for
// the whole cluster.
//
// The nouns: a Book is a node's; a Tenant in it has the tenant's limits as they are at this moment, counts what the tenant
// has open (an Entry for each connection, a number for each other Kind) and measures how fast it sends; a Meter measures
// one connection; a Dialect says what counts for its connections while an operator has set nothing else.
//
// All methods may be called concurrently, except those of a Meter, which belongs to its connection's reader. Limits of
// what NATS services do are their account's: see package tenants.
package quota
