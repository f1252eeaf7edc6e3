// Package broker owns NATS: it runs the embedded server in operator mode, or uses external ones, makes one NATS account
// a tenant, holds one lazily opened connection for each active one, creates the streams that keep their messages, and is
// the only place that builds a subject. It knows nothing of tokens, WebSockets or what a message means.
//
// The nouns: an Engine is NATS as one node sees it; an Account is what NATS knows of a tenant; a Conn is the node's shared
// connection to one account, and its Link a second one for what there is most of; Token, Name and Subject are the grammar
// of ids. Everything exported may be called concurrently unless it says otherwise.
package broker
