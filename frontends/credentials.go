package frontends

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"parley/internal/fault"
)

// bearerProtocol is the subprotocol by which a browser, which can set no header on a WebSocket, may present its token.
const bearerProtocol = "base64url.bearer.parley."

// credentialParameters are the query parameters that carry secrets in one dialect or another.
var credentialParameters = [...]string{"token", "access_token", "api_key"}

// apiKeyHeader carries an API key where a dialect takes one.
const apiKeyHeader = "X-API-Key"

// takeToken takes the credential off the request, from wherever it may stand, so that nothing behind this point can
// log, trace or echo it. parameter is the dialect's own query parameter, "" when it has none; headers are those that it
// has. Two different credentials are refused: whoever reads the request otherwise would believe the other one.
func takeToken(r *http.Request, parameter string, headers ...string) (string, error) {
	var found []string
	query := r.URL.Query()
	if parameter != "" {
		found = append(found, query[parameter]...)
	}
	if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		found = append(found, strings.TrimSpace(token))
	}
	for _, h := range headers {
		found = append(found, r.Header.Values(h)...)
	}
	protocols, token, err := takeBearerProtocol(r.Header.Values("Sec-WebSocket-Protocol"))
	redact(r, query, protocols)
	if err != nil {
		return "", err
	}
	if token != "" {
		found = append(found, token)
	}
	found = slices.DeleteFunc(found, func(s string) bool { return s == "" })
	if len(found) == 0 {
		return "", noToken(parameter)
	}
	for _, other := range found[1:] {
		if other != found[0] {
			return "", fault.New(fault.AuthFailed, "The request has more than one token.")
		}
	}
	return found[0], nil
}

func noToken(parameter string) error {
	err := fault.New(fault.AuthRequired, "The request has no token.")
	if parameter == "" {
		return err.WithFix("Add the header Authorization: Bearer ….")
	}
	return err.WithFix("Add ?%s=… to the URL, or the header Authorization: Bearer ….", parameter)
}

// takeBearerProtocol separates the offered subprotocols from the token among them.
func takeBearerProtocol(headers []string) (rest []string, token string, err error) {
	for _, h := range headers {
		for p := range strings.SplitSeq(h, ",") {
			p = strings.TrimSpace(p)
			encoded, ok := strings.CutPrefix(p, bearerProtocol)
			if !ok {
				if p != "" {
					rest = append(rest, p)
				}
				continue
			}
			b, err := base64.RawURLEncoding.DecodeString(encoded)
			if err != nil || token != "" {
				return nil, "", fault.New(fault.AuthFailed, "The subprotocol does not hold one token in base64url.")
			}
			token = string(b)
		}
	}
	return rest, token, nil
}

// redact removes every credential from the request.
func redact(r *http.Request, query url.Values, protocols []string) {
	for _, name := range credentialParameters {
		query.Del(name)
	}
	r.URL.RawQuery = query.Encode()
	r.RequestURI = r.URL.RequestURI()
	r.Header.Del("Authorization")
	r.Header.Del(apiKeyHeader)
	r.Header.Del("Sec-WebSocket-Protocol")
	if len(protocols) > 0 {
		r.Header.Set("Sec-WebSocket-Protocol", strings.Join(protocols, ", "))
	}
}
