package broker

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"parley/internal/fault"
)

// ServerConfig describes a NATS server that brokers can use as an External.
type ServerConfig struct {
	Name   string // names the server among those of its cluster. Zero leaves it to nats-server's own flag --name.
	Listen string // where brokers and services connect, host:port. Defaults to 0.0.0.0:4222.
	Dir    string // where the server keeps what must survive a restart. Defaults to ./nats-data.

	Cluster Cluster // Zero means a server that is alone. Found has no meaning.
}

func (c ServerConfig) withDefaults() (ServerConfig, error) {
	c.Listen = cmp.Or(c.Listen, "0.0.0.0:4222")
	c.Dir = cmp.Or(c.Dir, "./nats-data")
	if len(c.Cluster.Routes) > 0 {
		c.Cluster.Name = cmp.Or(c.Cluster.Name, "parley")
		c.Cluster.Listen = cmp.Or(c.Cluster.Listen, "0.0.0.0:6222")
	} else if c.Cluster.Name != "" || c.Cluster.Listen != "" {
		return c, fault.New(fault.Usage, "The cluster has no routes.").
			WithFix("Name the cluster addresses of all servers with --routes, the same list on each.")
	}
	for _, id := range []string{c.Name, c.Cluster.Name} {
		if _, err := ParseToken(id); err != nil && id != "" {
			return c, err
		}
	}
	if strings.ContainsFunc(c.Dir, func(r rune) bool { return r == '"' || r == '\\' || !unicode.IsPrint(r) }) {
		return c, fault.New(fault.Usage, "The directory %q can't stand in a configuration.", c.Dir)
	}
	for what, address := range map[string]string{"NATS": c.Listen, "cluster": c.Cluster.Listen} {
		if _, _, err := splitAddress(what, address); err != nil && address != "" {
			return c, err
		}
	}
	return c, nil
}

// Format returns the configuration of a nats-server that trusts the operator of a data directory, as a file for
// nats-server --config. An operator's seed is made when the directory has none, or taken from seedFile. The text lets
// whoever has it join the servers' cluster, but not act as the operator.
func (c ServerConfig) Format(dataDir, seedFile string) (string, error) {
	c, err := c.withDefaults()
	if err != nil {
		return "", err
	}
	id, err := identityOf(dataDir, seedFile)
	if err != nil {
		return "", err
	}
	operator, err := id.claims.Encode(id.operator)
	if err == nil {
		operator, err = id.undated(operator)
	}
	if err != nil {
		return "", fmt.Errorf("sign the operator: %w", err)
	}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# A NATS server for Parley, made by parley nats config.")
	if c.Name != "" {
		line("server_name: %q", c.Name)
	}
	line("listen: %q", c.Listen)
	line("max_payload: %d", maxPayload)
	line("")
	line("# Whom the server trusts. Tenants are accounts, which the broker signs and puts into the resolver.")
	line("operator: %s", operator)
	line("system_account: %s", id.claims.SystemAccount)
	line("resolver: {type: full, dir: %q, allow_delete: true, hard_delete: true, interval: \"1m\", timeout: \"%s\"}", filepath.Join(c.Dir, "accounts"), fetchTimeout)
	line("resolver_preload: {")
	for _, a := range []AccountID{systemAccount, brokerAccount} {
		key, token, err := id.fixedToken(a)
		if err != nil {
			return "", err
		}
		line("  %s: %s", key, token)
	}
	line("}")
	line("")
	line("# An ACK means that the message is on disk: the broker refuses a server that does not sync every write.")
	line("jetstream: {store_dir: %q, sync_interval: always}", c.Dir)
	if len(c.Cluster.Routes) > 0 {
		err = c.formatCluster(id, line)
	}
	return b.String(), err
}

func (c ServerConfig) formatCluster(id *identity, line func(string, ...any)) error {
	secret, err := id.routeSecret(routeUser)
	if err != nil {
		return err
	}
	routes, err := parseRoutes(c.Cluster.Routes, url.UserPassword(routeUser, secret))
	if err != nil {
		return err
	}
	line("")
	line("cluster: {")
	line("  name: %q", c.Cluster.Name)
	line("  listen: %q", c.Cluster.Listen)
	line("  # Whoever has this password is one of the servers.")
	line("  authorization: {user: %q, password: %q}", routeUser, secret)
	line("  routes: [")
	for _, r := range routes {
		line("    %q", r)
	}
	line("  ]")
	line("}")
	return nil
}

// identityOf reads the operator of a data directory, also of one that a broker runs on. It makes the operator when there
// is none.
func identityOf(dataDir, seedFile string) (*identity, error) {
	name := filepath.Join(dataDir, "secrets", "operator.seed")
	if seed, err := os.ReadFile(name); err == nil && seedFile == "" {
		id, err := parseIdentity(bytes.TrimSpace(seed))
		if err != nil {
			return nil, damaged(name, err.Error())
		}
		return id, nil
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, unusable(dataDir, err)
	}
	dir, err := openDataDir(dataDir)
	if err != nil {
		return nil, err
	}
	id, err := openIdentity(dir, seedFile, false)
	return id, errors.Join(err, dir.close())
}
