// Package rest is what the HTTP endpoints beside the dialects of chat have in common: who acts, what is asked for, and
// how it is answered. Refusals are the dialects' own.
package rest
