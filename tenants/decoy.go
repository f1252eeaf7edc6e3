package tenants

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"math/big"

	"github.com/golang-jwt/jwt/v5"
)

// decoys are keys that nobody has the other half of. A token that no key fits is verified with one of them, only for
// the time it takes.
type decoys map[Alg]any

func newDecoys() (decoys, error) {
	secret := make([]byte, minSecretBytes)
	rand.Read(secret)
	pair, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	edwards, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	// Verifying takes as long with any odd number for a modulus, and a real one takes a tenth of a second to find.
	modulus := make([]byte, minRSABits/8)
	rand.Read(modulus)
	modulus[0] |= 0x80
	modulus[len(modulus)-1] |= 1
	return decoys{
		HS256: secret,
		ES256: &pair.PublicKey,
		EdDSA: edwards,
		RS256: &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: 65537},
	}, nil
}

// verify takes the time that verifying p takes.
func (d decoys) verify(p parts) {
	// The answer is known to be no, whatever it is.
	_ = jwt.GetSigningMethod(string(p.header.Alg)).Verify(p.signed, p.signature, d[p.header.Alg])
}
