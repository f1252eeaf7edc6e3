package door

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"parley/tenants"
)

// warnBefore is how long before its grant ends a client is told; of a shorter grant, half of what is left of it.
const warnBefore = time.Minute

// WarnExpiry is the feature that a client asks for in its query (features=expiry) to be told before its token ends.
const WarnExpiry = "expiry"

// Wants reports whether a client's query asks for a feature: an extension that sends it frames which its dialect does not
// have.
func Wants(query url.Values, feature string) bool {
	for _, list := range query["features"] {
		if slices.Contains(strings.Split(list, ","), feature) {
			return true
		}
	}
	return false
}

// expireLocked has the connection end with g, and the client told before. door.mu is held.
func (v *Visitor) expireLocked(g *tenants.Grant) {
	if lead := min(warnBefore, time.Until(g.Expires)/2); v.expiring != nil && lead > 0 {
		v.conn.ExpireAt(g.Expires.Add(-lead), func() { v.warn(g) })
		return
	}
	v.conn.ExpireAt(g.Expires, v.end)
}

// warn tells the client that its grant ends soon, unless it has another one already.
func (v *Visitor) warn(g *tenants.Grant) {
	v.door.mu.Lock()
	current := v.grant == g
	if current {
		v.conn.ExpireAt(g.Expires, v.end)
	}
	v.door.mu.Unlock()
	if current {
		v.expiring(g.Expires)
	}
}

func (v *Visitor) end() { v.conn.Cut(TokenExpired, hasExpired) }
