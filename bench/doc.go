// Package bench loads a running broker and counts exactly what becomes of every message. It is the generator behind
// `parley bench`; it knows the broker from its protocol and its admin API only.
//
// The nouns: a Target is a broker, reached over its admin API, with a tenant made for one run; a stream is a channel
// with numbered messages; a link is one WebSocket connection; a tally is what one subscriber has received of a stream
// and a ledger what has been acknowledged to its publisher; a Result is what a scenario has found.
//
// It shares the machine with the broker, so it is built to be cheap: frames are made once and patched, received ones are
// searched and never decoded, a read takes one system call, buffers are borrowed only while bytes are at hand, and
// nothing on the way of a message allocates. Each message's content begins with a marker that names its stream, its
// number and the time it was sent at:
//
//	~SSSSSS-NNNNNNNN-TTTTTTTT      hexadecimal: stream, number, microseconds since the run began
package bench
