package tenantchat

import (
	"context"
	"net/http"

	"parley/frontends/rest"
	"parley/internal/fault"
	"parley/sessions"
	"parley/tenants"
)

// claim is what a request says about who comes, and where to.
type claim struct {
	credential string // an API key, or a token of the user
	refused    error  // why there is no credential
	user, chat string
	err        error // what is wrong with user or chat
}

// readClaim reads the parameters of a connection. The credential was taken off the request already.
func readClaim(r *http.Request, credential string, refused error) claim {
	c := claim{credential: credential, refused: refused}
	if c.user, c.err = parameter(r, "user_id", "X-User-ID"); c.err == nil {
		c.chat, c.err = parameter(r, "chat_id", "X-Chat-ID")
	}
	return c
}

// parameter returns a parameter that has to stand in the query or in a header.
func parameter(r *http.Request, name, header string) (string, error) {
	inQuery, inHeader := r.URL.Query().Get(name), r.Header.Get(header)
	switch {
	case inQuery == "" && inHeader == "":
		return "", missing(name, header)
	case inQuery != "" && inHeader != "" && inQuery != inHeader:
		return "", fault.New(fault.AuthFailed, "The %s parameter and the %s header differ", name, header).WithFix("Send one of them.")
	case inQuery != "":
		return inQuery, nil
	}
	return inHeader, nil
}

// prove returns what the claim's credential allows, and as whom the client goes. An API key speaks for every user of its
// tenant, a token for its own.
func (d *Dialect) prove(ctx context.Context, c claim) (*tenants.Grant, sessions.Principal, error) {
	var who sessions.Principal
	switch {
	case fault.CodeOf(c.refused) == fault.AuthRequired:
		return nil, who, missing("api_key", "X-API-Key")
	case c.refused != nil:
		return nil, who, c.refused
	case c.err != nil:
		return nil, who, c.err
	}
	g, err := d.verify(ctx, c.credential)
	if err != nil {
		return nil, who, err
	}
	who, err = rest.Actor(g, tenants.ReadChats, c.user)
	return g, who, err
}

// verify checks an API key, or a token in its place.
func (d *Dialect) verify(ctx context.Context, credential string) (*tenants.Grant, error) {
	if tenants.IsAPIKey(credential) {
		g, err := d.credentials.VerifyAPIKey(credential)
		if fault.CodeOf(err) == fault.AuthFailed {
			err = invalidKey(err)
		}
		return g, err
	}
	g, err := d.credentials.Verify(ctx, credential)
	switch {
	case fault.CodeOf(err) == fault.AuthFailed:
		return nil, invalidKey(err)
	case err == nil:
		err = g.CheckAccess()
	}
	return g, err
}
