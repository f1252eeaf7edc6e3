package test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"parley/test/rig"
)

// turnSecret is what the TURN servers of the tests share with the broker, and nextTurnSecret what comes after it.
const (
	turnSecret     = "turn-secret-canary-77cc"
	nextTurnSecret = "next-turn-secret-canary-88dd"
)

// shippedCoturn is the configuration that operators are given, with the secret put in, and the next one below it.
func shippedCoturn(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../deploy/turnserver.conf")
	if err != nil {
		t.Fatal(err)
	}
	conf := regexp.MustCompile(`(?m)^static-auth-secret=.*$`).ReplaceAllString(string(b), "static-auth-secret="+turnSecret+"\nstatic-auth-secret="+nextTurnSecret)
	return strings.Replace(conf, "<meet.example>", "meet.example", 1)
}

// TestTurnCredentials: the credentials that a participant is given open an address on a real coturn with the configuration
// that is shipped, expired and forged ones do not, and nobody reaches private networks through it.
func TestTurnCredentials(t *testing.T) {
	t.Parallel()
	coturn := rig.StartCoturn(t, shippedCoturn(t))
	file := rig.WriteFile(t, "turn.secret", []byte(turnSecret+"\n"))
	server := parley.Start(t, rig.Options{
		Args: []string{"--ice-servers", "stun:turn.example", "--ice-servers", coturn.URL(), "--turn-secret-file", file},
	})
	acme := newTenant(t, server, "acme")
	ann := rig.Dial(t, server.Addr(), "/ws/meet?"+rig.Query("token", acme.user("ann")))
	ann.Send(rig.Frame{"type": "join", "room_id": "tea", "participant_name": "Ann"})
	joined := ann.Next()
	servers, ok := joined["ice_servers"].([]any)
	if !ok || len(servers) != 2 {
		t.Fatalf("ann was told %s", joined)
	}
	if got := fmt.Sprint(servers[0]); got != "map[urls:[stun:turn.example]]" {
		t.Errorf("the STUN server: %s", got)
	}
	turn := rig.Frame(servers[1].(map[string]any))
	name, word := turn.Text("username"), turn.Text("credential")
	until, participant, _ := strings.Cut(name, ":")
	if participant != joined.Text("participant_id") || fmt.Sprint(turn["urls"]) != "["+coturn.URL()+"]" {
		t.Errorf("the TURN server: %s", turn)
	}

	// A channel to the peer is refused once there is an address: the credentials were good.
	const allocated, refused = "Forbidden IP", "Cannot complete Allocation"
	for _, peer := range []string{"127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1"} {
		if got := coturn.Use(name, word, peer); !strings.Contains(got, allocated) {
			t.Errorf("with ann's credentials, %s: %s", peer, got)
		}
	}
	past := fmt.Sprintf("%d:%s", time.Now().Add(-time.Minute).Unix(), participant)
	for what, c := range map[string][2]string{
		"expired":             {past, turnWord(turnSecret, past)},
		"with another secret": {name, turnWord("guessed", name)},
		"made to last longer": {"9" + until + ":" + participant, word},
		"of somebody else":    {until + ":eve", word},
		"without a word":      {name, "-"},
	} {
		if got := coturn.Use(c[0], c[1], "127.0.0.1"); !strings.Contains(got, refused) {
			t.Errorf("credentials %s: %s", what, got)
		}
	}
	rotateTurnSecret(t, acme, coturn, file)
	if strings.Contains(server.Log(), turnSecret) || strings.Contains(server.Log(), nextTurnSecret) || strings.Contains(server.MustCLI("config", "check"), turnSecret) {
		t.Error("the secret is where it can be seen")
	}
}

// rotateTurnSecret replaces the secret while the broker runs: who comes then gets credentials that it makes, which are good,
// and those from before are good as long as coturn knows the old one, too.
func rotateTurnSecret(t *testing.T, acme tenant, coturn *rig.Coturn, file string) {
	t.Helper()
	credentials := func(user string) (name, word string) {
		s := rig.Dial(t, acme.Addr(), "/ws/meet?"+rig.Query("token", acme.MustCLI("token", "issue", "--tenant", "acme", "--user", user)))
		s.Send(rig.Frame{"type": "join", "room_id": user, "participant_name": user})
		turn := rig.Frame(s.Next()["ice_servers"].([]any)[1].(map[string]any))
		return turn.Text("username"), turn.Text("credential")
	}
	oldName, oldWord := credentials("bob")
	if err := os.WriteFile(file, []byte(nextTurnSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	await(t, "the new secret to be in use", func() bool { return strings.Contains(acme.Log(), "a new secret is in use") })
	name, word := credentials("carol")
	if word != turnWord(nextTurnSecret, name) {
		t.Errorf("another secret than the new one makes the credentials")
	}
	for what, c := range map[string][2]string{"new": {name, word}, "old": {oldName, oldWord}} {
		if got := coturn.Use(c[0], c[1], "127.0.0.1"); !strings.Contains(got, "Forbidden IP") {
			t.Errorf("%s credentials: %s", what, got)
		}
	}
}

// turnWord is the credential that goes with a name.
func turnWord(secret, name string) string {
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write([]byte(name))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// TestMeetPageOverTurn: two people between whom there is no other route call each other over the relay.
func TestMeetPageOverTurn(t *testing.T) {
	t.Parallel()
	coturn := rig.StartCoturn(t, "use-auth-secret\nstatic-auth-secret="+turnSecret+"\nrealm=meet.example\nno-cli\nallow-loopback-peers\n")
	m := meet(t, "--ice-servers", coturn.URL(), "--turn-secret-file", rig.WriteFile(t, "turn.secret", []byte(turnSecret+"\n")))
	both := []person{m.open("Ann", "tea"), m.open("Bob", "tea")}
	for _, p := range both {
		p.Run("window.RTCPeerConnection = class extends RTCPeerConnection { constructor(c) { super({ ...c, iceTransportPolicy: 'relay' }); } }")
		p.Click("#join")
	}
	for _, p := range both {
		p.reaches(1)
		p.sees(1)
		p.Run(`window.routes = []; (async () => {
			const report = await [...call.others.values()][0].peer.pc.getStats();
			for (const one of report.values()) if (one.type === 'candidate-pair' && one.nominated) routes.push(report.get(one.localCandidateId).candidateType);
		})()`)
		p.Await("routes.length > 0")
		if got := p.Text("[...new Set(routes)]"); got != "relay" {
			t.Errorf("the route is %s", got)
		}
	}
}
