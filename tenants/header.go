package tenants

import (
	"encoding/base64"
	"errors"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"parley/internal/fault"
)

// Bounds on a token, checked before anything of it is decoded.
const (
	maxTokenBytes    = 4 << 10
	maxTokenKidBytes = 256 // of key ids in tokens: those of identity providers are longer than ours
)

// header is the part of a JOSE header that is looked at. Whatever else it holds (jku, jwk, x5u, x5c …) is not, save
// that `crit` is refused, as RFC 7515 wants.
type header struct {
	Alg  Alg            `json:"alg"`
	Kid  string         `json:"kid"`
	Type string         `json:"typ"`
	Crit jsontext.Value `json:"crit"`
}

// parts is a token cut at its dots, decoded but not verified.
type parts struct {
	signed    string // what the signature is over
	header    header
	payload   []byte
	signature []byte
}

var errForm = fault.New(fault.AuthFailed, "The token is not a JWT: three parts of base64url, joined by dots.")

// checkSize refuses what is not worth looking at.
func checkSize(token string) error {
	if token == "" {
		return fault.New(fault.AuthRequired, "There is no token.").
			WithFix("Send a token as ?token=… or as Authorization: Bearer ….")
	}
	if len(token) > maxTokenBytes {
		return fault.New(fault.AuthFailed, "The token is longer than %d bytes.", maxTokenBytes)
	}
	return nil
}

// cut takes a token apart. Errors are fault.AuthRequired and AuthFailed, and depend on nothing but the token.
func cut(token string) (parts, error) {
	if err := checkSize(token); err != nil {
		return parts{}, err
	}
	first, second := strings.IndexByte(token, '.'), strings.LastIndexByte(token, '.')
	if first <= 0 || second <= first+1 || strings.Count(token, ".") != 2 {
		return parts{}, errForm
	}
	p := parts{signed: token[:second]}
	var raw []byte
	var err error
	for _, segment := range []struct {
		text string
		into *[]byte
	}{{token[:first], &raw}, {token[first+1 : second], &p.payload}, {token[second+1:], &p.signature}} {
		if *segment.into, err = decodeSegment(segment.text); err != nil {
			return parts{}, errForm
		}
	}
	p.header, err = decodeHeader(raw)
	return p, err
}

// decodeSegment decodes base64url without padding. The standard decoder, even a strict one, skips line breaks.
func decodeSegment(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, base64.CorruptInputError(0)
	}
	return base64.RawURLEncoding.Strict().DecodeString(s)
}

func decodeHeader(b []byte) (header, error) {
	var h header
	if err := json.Unmarshal(b, &h); err != nil {
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return h, fault.Wrap(fault.AuthFailed, err, "A field of the token's header occurs twice.")
		}
		return h, fault.Wrap(fault.AuthFailed, err, "The token's header is not a JSON object with alg, kid and typ as strings.")
	}
	if _, err := ParseAlg(string(h.Alg)); err != nil {
		return h, fault.New(fault.AuthFailed, "The token's algorithm is not HS256, ES256, EdDSA or RS256.")
	}
	if h.Crit != nil {
		return h, fault.New(fault.AuthFailed, "The token's header has critical extensions, which are not supported.")
	}
	if len(h.Kid) > maxTokenKidBytes {
		return h, fault.New(fault.AuthFailed, "The token's key id is longer than %d bytes.", maxTokenKidBytes)
	}
	if !tokenType(h.Type) {
		return h, fault.New(fault.AuthFailed, "The token's header says that it is another kind of token.")
	}
	return h, nil
}

// tokenType reports whether a header's typ is one of a token that says who somebody is. Identity providers sign other
// things with the same keys, such as logout tokens.
func tokenType(typ string) bool {
	typ = strings.TrimPrefix(strings.ToLower(typ), "application/")
	return typ == "" || typ == "jwt" || typ == "at+jwt"
}
