package tenants

import (
	"crypto/x509"
	"time"

	"parley/internal/fault"
)

// Config tunes a Registry. The zero value is ready to use.
type Config struct {
	Leeway       time.Duration // how far clocks may differ at a token's beginning. Defaults to 10s, at most 30s.
	MaxTokenLife time.Duration // longest time between a token's issue and its end. Defaults to 30 days.
	CacheTokens  int           // how many verified tokens are remembered. Defaults to 20,000.

	AllowPrivateJWKS bool           // also fetch key sets from private and loopback addresses
	JWKSRoots        *x509.CertPool // who may certify the servers of key sets. Defaults to the system's.

	Now func() time.Time // the clock. Defaults to time.Now.
}

const maxLeeway = 30 * time.Second

func (c Config) withDefaults() (Config, error) {
	if c.Leeway == 0 {
		c.Leeway = 10 * time.Second
	}
	if c.Leeway < 0 || c.Leeway > maxLeeway {
		return c, fault.New(fault.Usage, "The leeway for clocks is at most %s.", maxLeeway)
	}
	if c.MaxTokenLife == 0 {
		c.MaxTokenLife = 30 * 24 * time.Hour
	}
	if c.MaxTokenLife < time.Minute {
		return c, fault.New(fault.Usage, "Tokens must be allowed to live a minute at least.")
	}
	if c.CacheTokens == 0 {
		c.CacheTokens = 20_000
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c, nil
}
