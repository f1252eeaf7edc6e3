package door

import (
	"net/http"
	"net/netip"
	"strings"
)

// netBits is how much of an IPv6 address names one customer of a provider: whoever has a /64 has all of it.
const netBits = 64

// client returns the address that a request counts for: an IPv4 address, or the first address of an IPv6 /64. What proxies
// say of it is believed only of those that are trusted, from the last one back to the first that is not. The zero Addr is
// for what has no address, like a socket in the file system.
func client(r *http.Request, trusted []netip.Prefix) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	at := peer.Addr().Unmap().WithZone("")
	if trusts(trusted, at) {
		at = behind(r.Header, at, trusted)
	}
	if at.Is6() {
		net, _ := at.Prefix(netBits) // it has that many
		return net.Addr()
	}
	return at
}

func trusts(trusted []netip.Prefix, at netip.Addr) bool {
	for _, p := range trusted {
		if p.Contains(at) {
			return true
		}
	}
	return false
}

// behind returns the client behind a trusted proxy. Most proxies write one of the two headers and pass the other on as the
// client sent it: where both are there and differ, neither is believed.
func behind(h http.Header, proxy netip.Addr, trusted []netip.Prefix) netip.Addr {
	old, standard := hops(h.Values("X-Forwarded-For")), forwardedFor(h.Values("Forwarded"))
	at := walk(old, proxy, trusted)
	if standard == nil {
		return at
	}
	if other := walk(standard, proxy, trusted); old == nil || other == at {
		return other
	}
	return proxy
}

// walk goes back from a trusted proxy over those that are trusted to the one that is not. It stops at what is no address.
func walk(hops []string, proxy netip.Addr, trusted []netip.Prefix) netip.Addr {
	at := proxy
	for i := len(hops) - 1; i >= 0 && trusts(trusted, at); i-- {
		next, ok := parseHop(hops[i])
		if !ok {
			break
		}
		at = next
	}
	return at
}

func hops(values []string) (all []string) {
	for _, v := range values {
		for hop := range strings.SplitSeq(v, ",") {
			all = append(all, strings.TrimSpace(hop))
		}
	}
	return all
}

// forwardedFor returns the for parameters of Forwarded headers (RFC 7239), "" for an element without one.
func forwardedFor(values []string) (all []string) {
	for _, element := range hops(values) {
		found := ""
		for pair := range strings.SplitSeq(element, ";") {
			name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
			if strings.EqualFold(name, "for") {
				found = strings.Trim(value, `"`)
			}
		}
		all = append(all, found)
	}
	return all
}

// parseHop reads an address as proxies write it: with or without a port, IPv6 in brackets or not.
func parseHop(s string) (netip.Addr, bool) {
	if at, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")); err == nil {
		return at.Unmap().WithZone(""), true
	}
	if at, err := netip.ParseAddrPort(s); err == nil {
		return at.Addr().Unmap().WithZone(""), true
	}
	return netip.Addr{}, false
}
