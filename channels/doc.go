// Package channels carries messages to channels and to agents' inboxes: publish, local fan-out, history, resume,
// presence. All exported methods may be called concurrently. It opens no sockets and knows no wire format: how a message
// is framed is a function that its Config names, and a socket is a Sink.
//
// The nouns: an Address is a channel or an inbox of a tenant; a Message is what a client wants to be stored there; a Hub
// is this node's fan-out for all tenants and a Space its part for one; a Subscription is one socket's place in one
// address, known by the sequence up to which it has been served.
//
// How a message travels: Space.Publish stores it (acks), the stream republishes what it has stored with its sequence, or the
// feed hands it on where only this node stores anything, the shard that owns the topic encodes it once and sends the same bytes
// to every Subscription. What a shard misses it reads back from the stream, so that a Subscription gets everything once and in
// order.
package channels
