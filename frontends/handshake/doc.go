// Package handshake stands before an http.Server and answers WebSocket handshakes without it: the server would give each
// connection 12 KiB of buffers, which the connection never uses again, a goroutine whose stack has to grow anew, and a
// second one that watches for the client to leave. That was a third of what a connect cost, and most of its garbage.
//
// Here a head is read into a borrowed buffer by one of a few goroutines that stay, and parsed by http.ReadRequest. Whatever
// is not plainly a handshake goes on to the http.Server as it came, and is that one's affair.
package handshake
