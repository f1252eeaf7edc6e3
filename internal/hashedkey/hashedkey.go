// Package hashedkey makes keys that are known to whoever got them when they were made, and to nobody else: what is kept of
// one is a hash. A key has 256 random bits, so that no hash needs to be slow to be safe.
package hashedkey

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"strings"
)

const secretBytes = 32

// separator stands between the parts of a key. So it needs no escaping in a URL, a double click selects it whole, and a
// scanner for leaked secrets can tell it by its form.
const separator = "_"

// Sum is what is kept of a key. The zero value fits none.
type Sum [sha256.Size]byte

// New makes a key that begins with prefix, and its Sum.
func New(prefix string) (text string, sum Sum) {
	var random [secretBytes]byte
	rand.Read(random[:]) // never fails, see crypto/rand
	text = prefix + separator + hex.EncodeToString(random[:])
	return text, Of(text)
}

// Of returns the Sum of a key.
func Of(text string) Sum { return sha256.Sum256([]byte(text)) }

// Fits reports whether text is the key. The time it takes says nothing about how much of it is right, nor how long the key
// is.
func (s Sum) Fits(text string) bool {
	own := Of(text)
	return subtle.ConstantTimeCompare(own[:], s[:]) == 1
}

// Prefix returns what the text of a key begins with.
func Prefix(text string) (prefix string, ok bool) {
	end := strings.LastIndex(text, separator)
	if end < 0 {
		return "", false
	}
	return text[:end], true
}
