// Package worker is the Go SDK for AI workers: programs that take what users say in sessions and stream answers. It needs
// nothing of the broker but a NATS connection with worker's credentials; docs/workers.md has the protocol for other languages.
//
// The nouns: a Request is a message that waits for an answer; a Handler gives the Answer. Run takes requests of any number
// of tenants and has each answered by the Handler in a goroutine of its own.
//
// What passes between a worker and a session, as NATS requests on Request.ReplyTo that do not wait for one another:
//
//	> {"run":"m1","attempt":1,"epoch":1,"n":1,"type":"accept","worker":"echo/x7Kp"}
//	< {"ok":true,"n":1}
//	> {"run":"m1","attempt":1,"epoch":1,"n":2,"type":"chunk","text":"Hello"}
//	> {"run":"m1","attempt":1,"epoch":1,"n":3,"type":"chunk","text":", world!"}
//	> {"run":"m1","attempt":1,"epoch":1,"n":4,"type":"end"}
//	< {"ok":true,"n":4}
//
// Everything that is sent is kept until the session has confirmed it, and sent again when a connection or a node of the
// broker is lost, so the log gets each piece of an answer exactly once and in order. When the session has no use for the
// answer any more (the user stopped it, a human took over), the context of the Answer ends.
package worker
