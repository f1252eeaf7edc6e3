// Package rig runs the built broker as its users do, for the black-box tests: a Server is a `parley serve` process, a
// Socket a WebSocket client of the agents dialect, a Foreign one in another language, a Service a NATS client with a
// .creds file. It knows the protocols from their documents and imports nothing of the broker.
//
// Everything that waits gives up after Patience and fails its test, so that no test needs a timeout of its own and
// none depends on how fast the machine is. Everything started ends with its test. Values may be used from several
// goroutines unless their comments say otherwise.
package rig

import "time"

// Patience is how long anything may take before it counts as not happening.
const Patience = 60 * time.Second
