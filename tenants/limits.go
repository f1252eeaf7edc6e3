package tenants

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"parley/internal/fault"
)

// Limit names one of a tenant's limits: in the API, on the command line, in metrics and in docs/limits.md.
type Limit string

// The limits.
const (
	Connections             Limit = "connections"                // WebSocket connections of the tenant; and as many of its services
	ConnectionsPerAgent     Limit = "connections_per_agent"      // of one agent or user
	ConnectionsPerIP        Limit = "connections_per_ip"         // from one IPv4 address or one IPv6 /64
	MessagesPerSecond       Limit = "messages_per_second"        // that one connection may send
	TenantMessagesPerSecond Limit = "tenant_messages_per_second" // that all of them may send, requests included
	BytesPerSecond          Limit = "bytes_per_second"           // in these messages
	MessageBytes            Limit = "message_bytes"              // in one message
	Channels                Limit = "channels"                   // that hold messages
	Subscriptions           Limit = "subscriptions"              // of one connection, to channels or sessions
	StorageBytes            Limit = "storage_bytes"              // on disk, of one copy
	HistoryAge              Limit = "history_age"                // seconds for which messages are kept
	Runs                    Limit = "runs"                       // AI answers at the same time
	TokensPerSecond         Limit = "tokens_per_second"          // in them
	Rooms                   Limit = "rooms"                      // of meetings, open at the same time
	Participants            Limit = "participants"               // in one room
)

// MaxMessageBytes is the largest value of MessageBytes, and what counts when there is no limit.
const MaxMessageBytes = 256 << 10

// LimitUnit says how the values of a limit are written for people.
type LimitUnit string

// The units.
const (
	Count   LimitUnit = "count"
	Rate    LimitUnit = "per second"
	Bytes   LimitUnit = "bytes"
	Seconds LimitUnit = "seconds"
)

// LimitInfo describes a limit.
type LimitInfo struct {
	Limit   Limit
	Unit    LimitUnit
	Default string // what counts when it is not set, in words
	Max     int64  // the largest value
}

// AllLimits describes all limits, in the order of the documentation.
func AllLimits() []LimitInfo {
	return []LimitInfo{
		{Connections, Count, "50 in tenantchat, else none", math.MaxInt32},
		{ConnectionsPerAgent, Count, "none", math.MaxInt32},
		{ConnectionsPerIP, Count, "100 in bots and meet, else none", math.MaxInt32},
		{MessagesPerSecond, Rate, "10 in tenantchat, 20 in bots, 100 in chat and assistant, 100 in meet, none in agents", math.MaxInt32},
		{TenantMessagesPerSecond, Rate, "none", math.MaxInt32},
		{BytesPerSecond, Rate, "none", math.MaxInt32},
		{MessageBytes, Bytes, "64KiB", MaxMessageBytes},
		{Channels, Count, "none", math.MaxInt32},
		{Subscriptions, Count, "1 in tenantchat, 1000 in agents, else 100", math.MaxInt32},
		{StorageBytes, Bytes, "none", 1 << 50},
		{HistoryAge, Seconds, "the server's retention", int64(10 * 365 * 24 * time.Hour / time.Second)},
		{Runs, Count, "none", math.MaxInt32},
		{TokensPerSecond, Rate, "none", math.MaxInt32},
		{Rooms, Count, "none", math.MaxInt32},
		{Participants, Count, "100", math.MaxInt32},
	}
}

// Limits are what an operator has set for a tenant. One that is absent has its default; one that is 0 is none.
type Limits map[Limit]int64

// Or returns the value of l, or what it is by default. 0 means that there is no limit.
func (all Limits) Or(l Limit, byDefault int64) int64 {
	if v, ok := all[l]; ok {
		return v
	}
	return byDefault
}

// historyAge is HistoryAge as an account has it.
func (all Limits) historyAge() time.Duration {
	switch v, ok := all[HistoryAge]; {
	case !ok:
		return 0
	case v == 0:
		return -1
	default:
		return time.Duration(v) * time.Second
	}
}

// LimitChanges are new values of limits. Nil puts a limit back to its default.
type LimitChanges map[Limit]*int64

// Check returns fault.InvalidFormat unless all names and values are possible.
func (c LimitChanges) Check() error {
	for l, v := range c {
		info, err := limitInfo(l)
		if err != nil {
			return err
		}
		if v != nil && (*v < 0 || *v > info.Max) {
			return fault.New(fault.InvalidFormat, "The limit %s is a number from 0, which means none, to %d.", l, info.Max)
		}
	}
	return nil
}

// apply returns limits with the changes, and whether that makes a difference. The old limits stay what they are.
func (c LimitChanges) apply(old Limits) (Limits, bool) {
	next := maps.Clone(old)
	if next == nil {
		next = Limits{}
	}
	for l, v := range c {
		if v == nil {
			delete(next, l)
		} else {
			next[l] = *v
		}
	}
	return next, !maps.Equal(old, next)
}

func limitInfo(l Limit) (LimitInfo, error) {
	all := AllLimits()
	i := slices.IndexFunc(all, func(info LimitInfo) bool { return info.Limit == l })
	if i >= 0 {
		return all[i], nil
	}
	names := make([]string, len(all))
	for i, info := range all {
		names[i] = string(info.Limit)
	}
	return LimitInfo{}, fault.New(fault.InvalidFormat, "There is no limit %.64q.", string(l)).WithFix("The limits are %s.", strings.Join(names, ", "))
}

// ParseLimits reads NAME=VALUE of limits that are to be set. A value is a number; of bytes it may end in KiB, MiB, GiB or
// TiB, of a time in s, m, h or d; "none" is 0, and "default" puts the limit back to its default.
func ParseLimits(settings []string) (LimitChanges, error) {
	if len(settings) == 0 {
		return nil, nil
	}
	changes := LimitChanges{}
	for _, s := range settings {
		name, text, ok := strings.Cut(s, "=")
		if !ok {
			return nil, fault.New(fault.InvalidFormat, "%.64q is not NAME=VALUE.", s).WithFix("Give a limit like connections=100; 0 means no limit.")
		}
		info, err := limitInfo(Limit(name))
		if err != nil {
			return nil, err
		}
		if _, twice := changes[info.Limit]; twice {
			return nil, fault.New(fault.InvalidFormat, "The limit %s is given twice.", name)
		}
		if text == "default" {
			changes[info.Limit] = nil
			continue
		}
		v, err := info.parse(text)
		if err != nil {
			return nil, err
		}
		changes[info.Limit] = &v
	}
	return changes, changes.Check()
}

// ParseBytes reads a number of bytes, which may end in KiB, MiB, GiB or TiB. "" is 0. The error is fault.InvalidFormat.
func ParseBytes(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	info := LimitInfo{Limit: StorageBytes, Unit: Bytes}
	n, err := info.parse(text)
	if err != nil {
		return 0, fault.New(fault.InvalidFormat, "%.64q is no number of bytes.", text).WithFix("%s", info.howTo())
	}
	return n, nil
}

// FormatBytes writes a number of bytes so that it can be read back.
func FormatBytes(n int64) string { return LimitInfo{Unit: Bytes}.Text(n) }

func (info LimitInfo) parse(text string) (int64, error) {
	if text == "none" {
		return 0, nil
	}
	digits := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	n, err := strconv.ParseInt(digits, 10, 64)
	factor, ok := info.factors()[text[len(digits):]]
	if err != nil || !ok || n > math.MaxInt64/factor {
		return 0, fault.New(fault.InvalidFormat, "%.64q is no value of the limit %s.", text, info.Limit).WithFix("%s", info.howTo())
	}
	return n * factor, nil
}

// factors are the suffixes that a value may have.
func (info LimitInfo) factors() map[string]int64 {
	switch info.Unit {
	case Bytes:
		return map[string]int64{"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
	case Seconds:
		return map[string]int64{"": 1, "s": 1, "m": 60, "h": 3600, "d": 24 * 3600}
	case Count, Rate:
	}
	return map[string]int64{"": 1}
}

func (info LimitInfo) howTo() string {
	switch info.Unit {
	case Bytes:
		return "Give bytes as a number, or as in 64KiB, 10MiB, 2GiB."
	case Seconds:
		return "Give seconds as a number, or a time as in 90s, 30m, 12h, 7d."
	case Count, Rate:
	}
	return "Give a whole number; 0 means no limit."
}

// Text writes a value of the limit for people, so that it can be read back.
func (info LimitInfo) Text(v int64) string {
	if v == 0 {
		return "none"
	}
	suffixes, factors := []string{"TiB", "GiB", "MiB", "KiB", "d", "h", "m"}, info.factors()
	for _, s := range suffixes {
		if f := factors[s]; f > 0 && v%f == 0 {
			return strconv.FormatInt(v/f, 10) + s
		}
	}
	if info.Unit == Seconds {
		return strconv.FormatInt(v, 10) + "s"
	}
	return strconv.FormatInt(v, 10)
}
