// Package door is where clients come in, whatever dialect they speak: it upgrades their requests, knows every open
// connection with what its token allows, and closes those whose grant has ended: at its expiry, and when its tenant or
// key is changed.
//
// A Door is one edge's. Its methods may be called concurrently.
package door
