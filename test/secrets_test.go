package test

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"parley/test/rig"
)

// TestSecretsStayOutOfSight hands credentials over in every place where one may stand, good ones and bad ones, and then
// looks for them in everything that the server has written: logs, metrics, answers.
func TestSecretsStayOutOfSight(t *testing.T) {
	t.Parallel()
	turn := rig.WriteFile(t, "turn.secret", []byte(turnSecret+"\n"))
	server := parley.Start(t, rig.Options{Args: []string{"--log-level", "debug", "--ice-servers", "turn:turn.example", "--turn-secret-file", turn}})
	acme := newTenant(t, server, "acme")
	secret := []byte("hs-secret-canary-0123456789abcdef0123456789")
	server.MustCLI("key", "add", "--tenant", "acme", "--alg", "HS256", "--kid", "mine", "--secret-file", rig.WriteFile(t, "secret", secret))
	good, creds := acme.token("alice"), acme.creds("backend")
	apiKey := strings.TrimSpace(server.MustCLI("apikey", "create", "--tenant", "acme"))
	adminText := strings.TrimSpace(server.MustCLI("adminkey", "create", "ann"))
	bad := rig.NewToken("acme", "alice", "mine", []byte("wrong")).With("canary", "claim-canary-55aa").String()
	own := rig.NewToken("acme", "alice", "mine", secret).String()

	var answers bytes.Buffer
	for _, token := range []string{good, bad, own, apiKey, adminText, adminText + "0", "plain-canary-99bb"} {
		for _, query := range []string{"token", "access_token", "api_key"} {
			path := "/v1/ws?" + rig.Query(query, token, "channel_id", "general")
			_, res := rig.TryDial(t, server.Addr(), path, nil)
			answers.Write(res.Body)
			answers.Write(rig.Do(t, "GET", server.URL()+path, "", "").Body)
			answers.Write(rig.Do(t, "GET", server.URL()+"/no/such/page?"+rig.Query(query, token), "", "").Body)
		}
		for _, header := range []http.Header{
			{"Authorization": {"Bearer " + token}}, {"X-Api-Key": {token}}, {"Sec-Websocket-Protocol": {"base64url.bearer.parley." + encode(token)}},
		} {
			_, res := rig.TryDial(t, server.Addr(), "/v1/ws", header)
			answers.Write(res.Body)
			answers.Write(rig.DoWith(t, "GET", server.URL()+"/v1/agents", header, "").Body)
			answers.Write(rig.DoWith(t, "GET", server.AdminURL()+"/admin/v1/tenants", header, "").Body)
		}
		alice := acme.agent("alice", "general")
		alice.Send(rig.Frame{"type": "auth", "token": token})
		alice.Settle()
		r := server.CLI("token", "inspect", token)
		answers.WriteString(r.Stderr)
	}
	rig.Serve(t, server.NATSURL(), creds)
	for _, args := range [][]string{{"key", "list", "--tenant", "acme"}, {"key", "list", "--tenant", "acme", "--json"}, {"apikey", "list", "--tenant", "acme", "--json"}, {"tenant", "show", "acme", "--json"}, {"tenant", "list", "--json"}, {"creds", "list", "--tenant", "acme", "--json"}, {"token", "revoked", "list", "--tenant", "acme"}, {"adminkey", "list"}, {"adminkey", "list", "--json"}, {"audit", "list", "--json"}} {
		answers.WriteString(server.MustCLI(args...))
	}
	answers.Write(rig.Do(t, "GET", server.AdminURL()+"/metrics", "", "").Body)
	answers.Write(rig.Do(t, "GET", server.AdminURL()+"/metrics/tenants", "", "").Body)
	if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", server.PID())); err == nil { // what other users of the machine see
		answers.Write(b)
	}
	adminKey := server.AdminKey()
	for text, said := range map[string]string{nextTurnSecret: "a new secret is in use", " ": "can't be read again"} {
		if err := os.WriteFile(turn, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		await(t, said, func() bool { return strings.Contains(server.Log(), said) })
	}
	if code := server.Stop(); code != 0 {
		t.Errorf("exit status %d", code)
	}

	signature := func(token string) string { return token[strings.LastIndexByte(token, '.')+1:] }
	for name, needle := range map[string]string{
		"a good token": signature(good), "a bad token": signature(bad), "a token of the tenant's own key": signature(own),
		"a token that is none": "plain-canary-99bb", "a claim": encode("claim-canary-55aa")[:16], "a key's secret": "hs-secret-canary",
		"an API key": secretOf(apiKey), "the admin key": adminKey, "a named admin key": secretOf(adminText), "a service's seed": seedOf(t, creds),
		"the secret of the TURN servers": turnSecret, "the next secret of the TURN servers": nextTurnSecret,
	} {
		for where, text := range map[string]string{"the log": server.Log(), "the answers": answers.String()} {
			if i := strings.Index(text, needle); i >= 0 {
				t.Errorf("%s is in %s: …%s…", name, where, text[max(0, i-200):min(len(text), i+100)])
			}
		}
	}
	checkModes(t, server.Data)
	for name, secret := range map[string]string{
		"an API key": secretOf(apiKey), "a named admin key": secretOf(adminText), "a service's seed": seedOf(t, creds), "a token": signature(good), "the secret of the TURN servers": turnSecret, "the next secret of the TURN servers": nextTurnSecret,
	} {
		checkAbsent(t, server.Data, name, secret)
	}
}

// secretOf returns the part of a key that nobody must see.
func secretOf(key string) string { return key[strings.LastIndexByte(key, '_')+1:] }

// checkAbsent expects that no file holds a secret that the broker has no need to keep.
func checkAbsent(t *testing.T, data, name, secret string) {
	t.Helper()
	err := filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte(secret)) {
			t.Errorf("%s holds %s", path, name)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// seedOf returns the private half of a .creds file.
func seedOf(t *testing.T, creds string) string {
	t.Helper()
	for line := range strings.Lines(creds) {
		if strings.HasPrefix(line, "SU") {
			return strings.TrimSpace(line)
		}
	}
	t.Fatalf("no seed in the credentials")
	return ""
}

// checkModes expects that nobody but the broker's user can read its data.
func checkModes(t *testing.T, data string) {
	t.Helper()
	info, err := os.Stat(data)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o700 {
		t.Errorf("%s has mode %o, want 700", data, info.Mode().Perm())
	}
	err = filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(path, "secrets") && d.Name() != "admin.key" {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %o", path, info.Mode().Perm())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
