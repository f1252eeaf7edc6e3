package test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"parley/test/rig"
)

// tenant is a tenant of a running server.
type tenant struct {
	*rig.Server
	t  *testing.T
	id string
}

// newTenant makes the tenant id on server.
func newTenant(t *testing.T, server *rig.Server, id string) tenant {
	t.Helper()
	var made struct{ ID string }
	server.Make("/tenants", map[string]any{"id": id}, &made)
	if made.ID != id {
		t.Fatalf("made %+v", made)
	}
	return tenant{Server: server, t: t, id: id}
}

// token issues a token for an agent; more are flags of `token issue`.
func (n tenant) token(agent string, more ...string) string {
	n.t.Helper()
	if len(more) == 0 {
		return n.issue(map[string]any{"agent": agent})
	}
	args := append([]string{"token", "issue", "--tenant", n.id, "--agent", agent}, more...)
	token := n.MustCLI(args...)
	if strings.ContainsAny(token, " \n") || strings.Count(token, ".") != 2 {
		n.t.Fatalf("token issue printed more than a token: %q", token)
	}
	return token
}

// user issues a token for a user.
func (n tenant) user(user string) string {
	n.t.Helper()
	return n.issue(map[string]any{"user": user})
}

// issue issues a token that is good for an hour.
func (n tenant) issue(spec map[string]any) string {
	n.t.Helper()
	spec["ttl_seconds"] = 3600
	var made struct{ Token string }
	n.Make("/tenants/"+n.id+"/tokens", spec, &made)
	return made.Token
}

// agent connects an agent to a channel; the channel may be empty, more are query parameters in pairs.
func (n tenant) agent(agent, channel string, more ...string) *rig.Socket {
	n.t.Helper()
	return n.dial(n.token(agent), channel, more...)
}

// dial connects with a token.
func (n tenant) dial(token, channel string, more ...string) *rig.Socket {
	n.t.Helper()
	return rig.Dial(n.t, n.Addr(), "/v1/ws?"+rig.Query(append([]string{"token", token, "channel_id", channel}, more...)...))
}

// service connects a service with credentials of its own; more are flags of `creds issue`.
func (n tenant) service(name string, more ...string) *rig.Service {
	n.t.Helper()
	return rig.Serve(n.t, n.NATSURL(), n.creds(name, more...))
}

func (n tenant) creds(name string, more ...string) string {
	n.t.Helper()
	if len(more) == 0 {
		var made struct{ Creds string }
		n.Make("/tenants/"+n.id+"/creds", map[string]any{"name": name}, &made)
		return made.Creds
	}
	return n.MustCLI(append([]string{"creds", "issue", "--tenant", n.id, "--name", name}, more...)...) + "\n"
}

// get asks the agents' REST interface.
func (n tenant) get(path, token string) rig.Response {
	n.t.Helper()
	return rig.Do(n.t, "GET", n.URL()+path, token, "")
}

// contents returns the field content of each frame.
func contents(frames []rig.Frame) []any {
	all := make([]any, len(frames))
	for i, f := range frames {
		all[i] = f["content"]
	}
	return all
}

// frameOf decodes a payload.
func frameOf(t *testing.T, b []byte) rig.Frame {
	t.Helper()
	var f rig.Frame
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatalf("%q: %v", b, err)
	}
	return f
}

func encode(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// history reads a whole channel over REST, page by page.
func history(t *testing.T, n tenant, channel string) []rig.Frame {
	t.Helper()
	token := n.token("historian")
	var all []rig.Frame
	for since := uint64(0); ; {
		var page struct {
			Messages []rig.Frame
			More     bool
		}
		res := n.get(fmt.Sprintf("/v1/channels/%s/messages?since=%d&limit=100", channel, since), token)
		if res.Status != http.StatusOK {
			t.Fatalf("history: status %d: %s", res.Status, res.Body)
		}
		res.JSON(t, &page)
		all = append(all, page.Messages...)
		if !page.More {
			return all
		}
		since = all[len(all)-1].Seq()
	}
}

// regexpFind returns what the first group of a pattern matches first, "" for nothing.
func regexpFind(s, pattern string) string {
	if m := regexp.MustCompile(pattern).FindStringSubmatch(s); m != nil {
		return m[1]
	}
	return ""
}
