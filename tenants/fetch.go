package tenants

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"github.com/MicahParks/jwkset"
)

// Bounds on fetching a key set.
const (
	fetchTimeout   = 5 * time.Second
	maxKeySetBytes = 256 << 10
	maxHeaderBytes = 16 << 10
)

var (
	errNotHTTPS       = errors.New("key sets are fetched over https only")
	errPrivateAddress = errors.New("the key set's server has a private address")
	errKeySetTooLarge = errors.New("the key set is too large")
)

// fetcher gets key sets from servers that the tenants' admins have named, which makes it a way to reach into the
// broker's own network: so https only, no redirects, no proxy, no cookies, and unless allowed no address that is not
// public. The address is checked when it is dialled, after the name was resolved.
type fetcher struct {
	client *http.Client
}

func newFetcher(cfg Config) *fetcher {
	dialer := &net.Dialer{Timeout: fetchTimeout}
	if !cfg.AllowPrivateJWKS {
		dialer.Control = refusePrivate
	}
	return &fetcher{client: &http.Client{
		Timeout:       fetchTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: boundedTransport{&http.Transport{
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: cfg.JWKSRoots},
			DisableKeepAlives:      true, // one request a minute at most, and no goroutine stays behind
			MaxResponseHeaderBytes: maxHeaderBytes,
		}},
	}}
}

// get fetches one key set.
func (f *fetcher) get(ctx context.Context, url string) (jwkset.Storage, error) {
	// No refresh interval, so that the package starts no goroutine; no GetX5U, so that it follows nothing in the set.
	keys, err := jwkset.NewStorageFromHTTP(url, jwkset.HTTPClientStorageOptions{
		Client:      f.client,
		Ctx:         ctx,
		HTTPTimeout: fetchTimeout,
	})
	if err != nil {
		return nil, fmt.Errorf("fetch the key set %s: %w", url, err)
	}
	return keys, nil
}

// boundedTransport refuses anything but https and cuts answers that are too long.
type boundedTransport struct {
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t boundedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" {
		return nil, errNotHTTPS
	}
	resp, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = &boundedBody{ReadCloser: resp.Body, left: maxKeySetBytes}
	return resp, nil
}

// boundedBody fails, instead of ending, after left bytes: half a key set must not count as one.
type boundedBody struct {
	io.ReadCloser
	left int
}

// Read implements io.Reader.
func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errKeySetTooLarge
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// refusePrivate is a net.Dialer.Control that lets only public addresses through.
func refusePrivate(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil || !public(ap.Addr()) {
		return errPrivateAddress
	}
	return nil
}

// special are the ranges that are not private by netip's book, but not public either (IANA's special-purpose registries).
var special = [...]netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),       // this network
	netip.MustParsePrefix("100.64.0.0/10"),   // carriers' NAT
	netip.MustParsePrefix("192.0.0.0/24"),    // protocol assignments
	netip.MustParsePrefix("192.0.2.0/24"),    // documentation
	netip.MustParsePrefix("198.18.0.0/15"),   // benchmarks
	netip.MustParsePrefix("198.51.100.0/24"), // documentation
	netip.MustParsePrefix("203.0.113.0/24"),  // documentation
	netip.MustParsePrefix("240.0.0.0/4"),     // reserved, and broadcast
	netip.MustParsePrefix("64:ff9b::/96"),    // NAT64: any IPv4 address, private ones too
	netip.MustParsePrefix("64:ff9b:1::/48"),  // local NAT64
	netip.MustParsePrefix("100::/64"),        // discard
	netip.MustParsePrefix("2001::/23"),       // Teredo and other tunnels
	netip.MustParsePrefix("2001:db8::/32"),   // documentation
	netip.MustParsePrefix("2002::/16"),       // 6to4: any IPv4 address
	netip.MustParsePrefix("fec0::/10"),       // site local
}

func public(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, p := range special {
		if p.Contains(a) {
			return false
		}
	}
	return true
}
