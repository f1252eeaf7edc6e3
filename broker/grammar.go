package broker

import (
	"strings"

	"parley/internal/fault"
)

// The limits of the grammar. A name of 128 bytes keeps every subject far below the server's control line.
const (
	MaxTokenBytes = 64
	MaxNameBytes  = 128
	MaxNameTokens = 16
)

// Token is one id in a subject: an agent, a tenant, a durable name. Values made by ParseToken match
// ^[A-Za-z0-9_-]{1,64}$, so they hold nothing that NATS or a file system reads as syntax.
type Token string

// Name is a channel: one or more tokens joined by dots, at most 128 bytes and 16 tokens.
type Name string

// Subject is a NATS subject inside a tenant's account. Only this package makes them.
type Subject string

// The roots of the public subjects, a contract with the tenants' services (docs/nats.md).
const (
	rootChannel = "channel."
	rootAgent   = "agent."
	rootStatus  = "status.agent."
	rootLive    = "live."
	rootSession = "session."
	rootMeet    = "meet."
	rootWork    = "work."
	rootRetry   = "retry."   // what a durable place is to get once more; no service may use it
	rootGateway = "gateway." // between the nodes; no service may use it
)

// ParseToken returns s as a Token, or fault.InvalidID.
func ParseToken(s string) (Token, error) {
	if !validToken(s) {
		return "", fault.New(fault.InvalidID, "An id is 1 to %d characters of A-Z a-z 0-9 _ and -.", MaxTokenBytes)
	}
	return Token(s), nil
}

// ParseName returns s as a Name, or fault.InvalidID.
func ParseName(s string) (Name, error) {
	if len(s) > MaxNameBytes || strings.Count(s, ".") >= MaxNameTokens {
		return "", invalidName()
	}
	for token := range strings.SplitSeq(s, ".") {
		if !validToken(token) {
			return "", invalidName()
		}
	}
	return Name(s), nil
}

func invalidName() error {
	return fault.New(fault.InvalidID, "A channel is ids of A-Z a-z 0-9 _ and - joined by dots, at most %d bytes.", MaxNameBytes)
}

func validToken(s string) bool {
	if len(s) == 0 || len(s) > MaxTokenBytes {
		return false
	}
	for i := range len(s) {
		if !tokenByte(s[i]) {
			return false
		}
	}
	return true
}

func tokenByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

// ChannelSubject is where a channel's messages are published, by agents and by services alike.
func ChannelSubject(n Name) Subject { return Subject(rootChannel + string(n)) }

// AgentSubject is where direct messages to an agent are published.
func AgentSubject(a Token) Subject { return Subject(rootAgent + string(a)) }

// StatusSubject is where changes of an agent's status are announced.
func StatusSubject(a Token) Subject { return Subject(rootStatus + string(a)) }

// MessageStream returns the stream of messages that keeps what is published on s, which is a channel's or an agent's.
func (s Subject) MessageStream() Stream {
	if strings.HasPrefix(string(s), rootAgent) {
		return Inboxes
	}
	return Channels
}

// RetrySubject is where a stored message is published once more for the one consumer that gave it up.
func (s Stream) RetrySubject(consumer string) Subject {
	if s == Inboxes {
		return Subject(rootRetry + rootAgent + consumer)
	}
	return Subject(rootRetry + rootChannel + consumer)
}

// Live is where the stored copy of what was published on s appears, with its sequence in the headers.
func (s Subject) Live() Subject { return Subject(rootLive) + s }

// Stored undoes Live.
func (s Subject) Stored() Subject { return Subject(strings.TrimPrefix(string(s), rootLive)) }

// Channel returns the channel that s belongs to, and whether it is a channel's subject with a well-formed name: a
// service may publish on names that the grammar refuses, and those reach no client.
func (s Subject) Channel() (Name, bool) {
	name, ok := strings.CutPrefix(string(s), rootChannel)
	if !ok {
		return "", false
	}
	n, err := ParseName(name)
	return n, err == nil
}

// Agent returns the agent whose inbox s is, and whether it is one with a well-formed id.
func (s Subject) Agent() (Token, bool) {
	id, ok := strings.CutPrefix(string(s), rootAgent)
	return Token(id), ok && validToken(id)
}

// serviceRoots are the subjects that a tenant's own credentials may name. Everything else in the account, the JetStream
// API and the gateway's inboxes above all, is the broker's.
var serviceRoots = [...]string{"channel", "agent", "session", "meet", "status", "work", "tool", "_INBOX"}

// readOnlyRoot may be subscribed to by services, never published on: what appears there counts as stored.
const readOnlyRoot = "live"

// checkServiceSubject refuses what a service may not be granted.
func checkServiceSubject(s string, publish bool) error {
	root, rest, _ := strings.Cut(s, ".")
	known := root == readOnlyRoot && !publish
	for _, r := range serviceRoots {
		known = known || root == r
	}
	if !known || !validPattern(rest) {
		return fault.New(fault.InvalidID, "The subject %q can't be granted.", s).WithFix(
			"Subjects of services begin with channel., agent., session., meet., status., work., tool. or _INBOX., followed by ids, * or >.")
	}
	return nil
}

func validPattern(s string) bool {
	tokens := strings.Split(s, ".")
	for i, t := range tokens {
		if t == ">" {
			return i == len(tokens)-1
		}
		if t != "*" && !validToken(t) {
			return false
		}
	}
	return true
}
