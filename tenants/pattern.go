package tenants

import (
	"strings"

	"parley/broker"
)

// Patterns are NATS subjects in which `*` stands for one token and a final `>` for one or more.

// validPattern reports whether s is such a pattern over the broker's grammar.
func validPattern(s string) bool {
	if s == "" || len(s) > broker.MaxNameBytes+len("channel.") {
		return false
	}
	for tokens := 0; ; tokens++ {
		token, rest, more := strings.Cut(s, ".")
		switch {
		case tokens > broker.MaxNameTokens:
			return false
		case token == ">":
			return !more
		case token != "*":
			if _, err := broker.ParseToken(token); err != nil {
				return false
			}
		}
		if !more {
			return true
		}
		s = rest
	}
}

// matches reports whether the literal name is one that the pattern stands for. It does not allocate.
func matches(pattern, name string) bool {
	for {
		want, patternRest, morePattern := strings.Cut(pattern, ".")
		if want == ">" {
			return true
		}
		got, nameRest, moreName := strings.Cut(name, ".")
		if want != "*" && want != got {
			return false
		}
		if morePattern != moreName {
			return false
		}
		if !morePattern {
			return true
		}
		pattern, name = patternRest, nameRest
	}
}

func matchesAny(patterns []string, name string) bool {
	for _, p := range patterns {
		if matches(p, name) {
			return true
		}
	}
	return false
}

// literal reports whether s names exactly one subject: wildcards and empty tokens match nothing, lest a client's
// "channel.*" be taken for the channel of that name.
func literal(s string) bool {
	start := 0
	for i := 0; i <= len(s); i++ {
		if i < len(s) && s[i] != '.' {
			if s[i] == '*' || s[i] == '>' || s[i] <= ' ' || s[i] >= 0x7f {
				return false
			}
			continue
		}
		if i == start {
			return false
		}
		start = i + 1
	}
	return true
}
