// Package frontends is the edge that clients reach: it accepts HTTP and WebSocket connections, proves who they are, hands
// them to their dialect and ends them when what they were granted ends. The dialects are the packages below it; they
// know their own frames and nothing of listeners, tokens in URLs or draining.
//
// An Edge is one node's listeners with everything behind them. Its methods may be called concurrently.
package frontends
