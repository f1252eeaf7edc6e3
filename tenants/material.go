package tenants

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"

	"github.com/MicahParks/jwkset"

	"parley/internal/fault"
)

// Bounds on what a key may be made of.
const (
	minSecretBytes = 32 // RFC 7518, 3.2: at least as long as the hash
	maxSecretBytes = 1024
	minRSABits     = 2048
	maxRSABits     = 8192 // a longer one is a way to burn the broker's CPU
	maxPublicBytes = 16 << 10
)

// freshKid returns a key id that nobody has used.
func freshKid() string {
	b := make([]byte, 8)
	rand.Read(b) // never fails, see crypto/rand
	return hex.EncodeToString(b)
}

// useSecret makes k a shared secret.
func (k *Key) useSecret(secret []byte) error {
	if k.Alg != HS256 {
		return fault.New(fault.InvalidFormat, "A shared secret is for HS256; %s needs a public key.", k.Alg)
	}
	if len(secret) < minSecretBytes || len(secret) > maxSecretBytes {
		return fault.New(fault.InvalidFormat, "The secret of an HS256 key is %d to %d bytes long.", minSecretBytes, maxSecretBytes).
			WithFix("Make one with: openssl rand -hex 32")
	}
	k.material, k.CanSign = seal(material{secret: bytes.Clone(secret)}), true
	return nil
}

// generate makes k a secret or a pair that only the broker knows.
func (k *Key) generate() error {
	if k.Alg == HS256 {
		secret := make([]byte, minSecretBytes)
		rand.Read(secret)
		return k.useSecret(secret)
	}
	signer, err := newSigner(k.Alg)
	if err != nil {
		return fmt.Errorf("make a key pair: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		return fmt.Errorf("encode a private key: %w", err)
	}
	if k.PublicKey, err = encodePublic(signer.Public()); err != nil {
		return err
	}
	k.material, k.CanSign = seal(material{private: der}), true
	return nil
}

func newSigner(alg Alg) (crypto.Signer, error) {
	switch alg {
	case ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case RS256:
		return rsa.GenerateKey(rand.Reader, minRSABits)
	default:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
}

// signingKey returns what golang-jwt signs with.
func (k Key) signingKey() (any, error) {
	if k.material == nil {
		return nil, fault.New(fault.InvalidFormat, "The broker does not hold the private half of key %q.", k.Kid)
	}
	if k.Alg == HS256 {
		return k.material().secret, nil
	}
	return x509.ParsePKCS8PrivateKey(k.material().private)
}

// verifyKey returns what golang-jwt verifies with, of the one type that k's algorithm takes, or nil for a JWKS.
func (k Key) verifyKey() (any, error) {
	switch {
	case k.JWKSURL != "":
		return nil, nil
	case k.Alg == HS256:
		if k.material == nil || len(k.material().secret) < minSecretBytes {
			return nil, fmt.Errorf("key %q has no secret", k.Kid)
		}
		return k.material().secret, nil
	}
	block, _ := pem.Decode([]byte(k.PublicKey))
	if block == nil {
		return nil, fmt.Errorf("key %q has no public key", k.Kid)
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", k.Kid, err)
	}
	return public, checkPublic(k.Alg, public)
}

// checkPublic refuses a key that is not of the type or strength that alg asks for. A verifier that only ever sees keys
// that passed here can't be talked into using one for another algorithm.
func checkPublic(alg Alg, key any) error {
	switch public := key.(type) {
	case *ecdsa.PublicKey:
		if alg == ES256 && public.Curve == elliptic.P256() {
			return nil
		}
	case ed25519.PublicKey:
		if alg == EdDSA && len(public) == ed25519.PublicKeySize {
			return nil
		}
	case *rsa.PublicKey:
		if bits := public.N.BitLen(); alg == RS256 && (bits < minRSABits || bits > maxRSABits) {
			return fault.New(fault.InvalidFormat, "An RSA key is of %d to %d bits.", minRSABits, maxRSABits)
		}
		if alg == RS256 {
			return nil
		}
	}
	return fault.New(fault.InvalidFormat, "The key is not one for %s.", alg)
}

// normalisePublic returns the PEM form of a public key given as PEM or JWK.
func normalisePublic(alg Alg, given []byte) (string, error) {
	if len(given) > maxPublicBytes {
		return "", fault.New(fault.InvalidFormat, "A public key is at most %d bytes long.", maxPublicBytes)
	}
	public, err := parsePublic(given)
	if err != nil {
		return "", err
	}
	if err := checkPublic(alg, public); err != nil {
		return "", err
	}
	return encodePublic(public)
}

func parsePublic(given []byte) (any, error) {
	given = bytes.TrimSpace(given)
	if bytes.HasPrefix(given, []byte("{")) {
		// Without the option Private, the package refuses secrets; without GetX5U, it fetches nothing.
		jwk, err := jwkset.NewJWKFromRawJSON(given, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
		if err != nil {
			return nil, fault.Wrap(fault.InvalidFormat, err, "The key is not a public JWK.")
		}
		return jwk.Key(), nil
	}
	block, rest := pem.Decode(given)
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fault.New(fault.InvalidFormat, "The key is neither a JWK nor one PEM block.")
	}
	if block.Type != "PUBLIC KEY" {
		return nil, fault.New(fault.InvalidFormat, "The PEM block is not a PUBLIC KEY.").
			WithFix("Give the public half only: openssl pkey -in private.pem -pubout")
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fault.Wrap(fault.InvalidFormat, err, "The PEM block is not a well-formed public key.")
	}
	return public, nil
}

func encodePublic(public any) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", fmt.Errorf("encode a public key: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), nil
}
