package rooms

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // what TURN servers want; a MAC with it is sound
	"encoding/base64"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"parley/internal/fault"
)

// defaultTurnTTL is longer than calls are. A call that has begun goes on after it, too: TURN servers look at the time when
// an address is asked for.
const defaultTurnTTL = 12 * time.Hour

// ICEServer is a server that helps two browsers to reach each other, as RTCPeerConnection takes it.
type ICEServer struct {
	URLs       []string `json:"urls"`
	Username   string   `json:"username,omitempty"`   // of TURN servers
	Credential string   `json:"credential,omitempty"` // of TURN servers
}

// ICEConfig says which servers there are. The zero value is none, with which browsers reach each other inside one
// network.
type ICEConfig struct {
	URLs   []string      // stun:host[:port], stuns:…, turn:host[:port][?transport=udp|tcp], turns:…
	Secret []byte        // what the TURN servers share with the broker: coturn's static-auth-secret
	TTL    time.Duration // how long a participant's credentials are good for. Defaults to 12h.
}

// ICE tells participants by which servers they reach each other. It may be used concurrently.
type ICE struct {
	stun, turn []string
	secret     atomic.Pointer[[]byte] // replaced as a whole
	ttl        time.Duration
	now        func() time.Time
}

// NewICE returns an ICE, or a fault that says which setting makes no sense.
func NewICE(cfg ICEConfig) (*ICE, error) {
	ice := &ICE{ttl: cfg.TTL, now: time.Now}
	ice.SetSecret(cfg.Secret)
	if ice.ttl == 0 {
		ice.ttl = defaultTurnTTL
	}
	for _, url := range cfg.URLs {
		relays, err := checkICE(url)
		switch {
		case err != nil:
			return nil, err
		case relays:
			ice.turn = append(ice.turn, url)
		default:
			ice.stun = append(ice.stun, url)
		}
	}
	switch {
	case ice.ttl < 0:
		return nil, fault.New(fault.Usage, "Credentials for TURN servers must be good for longer than nothing, such as 12h.")
	case len(ice.turn) > 0 && len(cfg.Secret) == 0:
		return nil, fault.New(fault.Usage, "The TURN server %s has no secret.", ice.turn[0]).
			WithFix("Give the static-auth-secret of its configuration, with --turn-secret-file FILE or in $PARLEY_TURN_SECRET.")
	case len(ice.turn) == 0 && len(cfg.Secret) > 0:
		return nil, fault.New(fault.Usage, "There is a secret for TURN servers, but no TURN server.").
			WithFix("Name it with --ice-servers turn:HOST:3478")
	}
	return ice, nil
}

// SetSecret has credentials made with another secret from now on. Those that were made before are good for as long as the
// TURN servers know the secret from before. The caller must not change it any more.
func (i *ICE) SetSecret(secret []byte) { i.secret.Store(&secret) }

// Servers returns what participant is told when it joins. Credentials are made for it alone, so that the TURN server can
// count what it sends and refuse it more.
func (i *ICE) Servers(participant string) []ICEServer {
	servers := []ICEServer{}
	if len(i.stun) > 0 {
		servers = append(servers, ICEServer{URLs: i.stun})
	}
	if len(i.turn) > 0 {
		username, credential := turnCredentials(*i.secret.Load(), i.now().Add(i.ttl), participant)
		servers = append(servers, ICEServer{URLs: i.turn, Username: username, Credential: credential})
	}
	return servers
}

// turnCredentials are those that coturn takes with use-auth-secret: the name says until when they are good, and the
// password is proof that somebody who knows the secret says so.
func turnCredentials(secret []byte, until time.Time, participant string) (username, credential string) {
	username = strconv.FormatInt(until.Unix(), 10) + ":" + participant
	mac := hmac.New(sha1.New, secret)
	mac.Write([]byte(username))
	return username, base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// iceURL is RFC 7064 for STUN and RFC 7065 for TURN.
var iceURL = regexp.MustCompile(`^(stun|turn)s?:([^?/@#\s]+)(?:\?transport=(udp|tcp))?$`)

// checkICE reports whether a URL is that of a TURN server, or what is wrong with it.
func checkICE(url string) (relays bool, err error) {
	wrong := func(format string, args ...any) error {
		return fault.New(fault.Usage, "%q can't be an ICE server: %s.", url, fmt.Sprintf(format, args...)).
			WithFix("Write stun:HOST:3478, or turn:HOST:3478?transport=udp")
	}
	m := iceURL.FindStringSubmatch(url)
	if m == nil {
		return false, wrong("it is not of the form stun:host:port or turn:host:port?transport=udp")
	}
	relays = m[1] == "turn"
	if !relays && m[3] != "" {
		return false, wrong("only TURN servers have a transport")
	}
	if address := m[2]; strings.Contains(address, ":") && !strings.HasSuffix(address, "]") { // neither a name nor [IPv6] alone
		host, port, err := net.SplitHostPort(address)
		if err != nil || host == "" {
			return false, wrong("%q is no host and port", address)
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return false, wrong("%q is no port", port)
		}
	}
	return relays, nil
}
