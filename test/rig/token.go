package rig

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"
)

// Token makes signed tokens, and those that nobody should accept: no library stands in its way.
type Token struct {
	Header map[string]any
	Claims map[string]any
	Key    any // []byte, *rsa.PrivateKey, *ecdsa.PrivateKey or ed25519.PrivateKey; nil leaves the signature empty
}

// NewToken is a good token of an agent, signed with HS256 and valid for an hour.
func NewToken(tenant, agent, kid string, secret []byte) Token {
	now := time.Now()
	return Token{
		Header: map[string]any{"alg": "HS256", "typ": "JWT", "kid": kid},
		Claims: map[string]any{"tenant_id": tenant, "agent_id": agent, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()},
		Key:    secret,
	}
}

// With returns a copy of k with a claim set, or removed when value is nil.
func (k Token) With(claim string, value any) Token {
	k.Claims = set(k.Claims, claim, value)
	return k
}

// WithHeader returns a copy of k with a header set, or removed when value is nil.
func (k Token) WithHeader(name string, value any) Token {
	k.Header = set(k.Header, name, value)
	return k
}

// Signed returns a copy of k that is signed by key with alg.
func (k Token) Signed(alg string, key any) Token {
	k = k.WithHeader("alg", alg)
	k.Key = key
	return k
}

func set(m map[string]any, name string, value any) map[string]any {
	c := make(map[string]any, len(m)+1)
	for n, v := range m {
		c[n] = v
	}
	if value == nil {
		delete(c, name)
	} else {
		c[name] = value
	}
	return c
}

// String returns the token in compact form.
func (k Token) String() string {
	return Compact(mustJSON(k.Header), mustJSON(k.Claims), k.Key)
}

// Compact signs any header and payload, JSON or not, as the type of key has it.
func Compact(header, payload []byte, key any) string {
	input := segment(header) + "." + segment(payload)
	return input + "." + segment(sign([]byte(input), key))
}

func segment(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func sign(input []byte, key any) []byte {
	digest := sha256.Sum256(input)
	switch key := key.(type) {
	case nil:
		return nil
	case []byte:
		mac := hmac.New(sha256.New, key)
		mac.Write(input)
		return mac.Sum(nil)
	case *rsa.PrivateKey:
		return must(rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:]))
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
		must(r, err)
		size := (key.Curve.Params().BitSize + 7) / 8
		return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
	case ed25519.PrivateKey:
		return ed25519.Sign(key, input)
	default:
		panic(fmt.Sprintf("rig: no way to sign with a %T", key))
	}
}

func mustJSON(v any) []byte { return must(json.Marshal(v)) }

// must is for what can't fail with the keys and values that tests make.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
