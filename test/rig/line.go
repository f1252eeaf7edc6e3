package rig

import "testing"

// Line is the network between one client and a server. A test can hold it up, or cut it.
type Line struct{ link *link }

// NewLine returns a line to a server.
func NewLine(t testing.TB, server string) *Line {
	t.Helper()
	return &Line{newLink(t, server)}
}

// Addr is the host:port for the client.
func (l *Line) Addr() string { return l.link.listener.Addr().String() }

// Hold keeps what is on its way in both directions, and new connections, until Flow.
func (l *Line) Hold() { l.link.block(true) }

// Flow lets everything through.
func (l *Line) Flow() { l.link.block(false) }

// Cut ends all connections. New ones lead nowhere until Flow.
func (l *Line) Cut() {
	l.Hold()
	l.link.cut()
}
