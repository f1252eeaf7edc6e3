package main

import (
	"cmp"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"parley/broker"
	"parley/frontends"
	"parley/frontends/ws"
	"parley/internal/fault"
	"parley/internal/loglevel"
	"parley/rooms"
	"parley/sessions"
	"parley/tenants"
)

// settings is everything that can be set about a broker. Each field is a flag; the same name with underscores is its
// key in the YAML file, and with PARLEY_ before it, in capitals, its variable in the environment.
type settings struct {
	Config string `setting:"" placeholder:"FILE" help:"YAML file with further settings."`

	Data        string   `setting:"" default:"./parley-data" placeholder:"DIR" help:"Directory for everything that must survive a restart. Defaults to ./parley-data."`
	Listen      []string `setting:"" placeholder:"ADDR" help:"Where clients connect; may be repeated. Defaults to :8080, and with --dev to 127.0.0.1:8080, :3001 and :8000."`
	AdminListen string   `setting:"" default:"127.0.0.1:8081" placeholder:"ADDR" help:"Where the admin API and the health checks are. Defaults to 127.0.0.1:8081."`
	NATSListen  string   `setting:"" name:"nats-listen" default:"127.0.0.1:4222" placeholder:"ADDR" help:"Where services connect with NATS, or off. Defaults to 127.0.0.1:4222."`
	ChatPage    bool     `setting:"" help:"Serve a page to chat with at / of the client addresses; --dev does."`
	MeetPage    bool     `setting:"" help:"Serve a page for calls at /meet of the client addresses; --dev does."`
	Dev         bool     `setting:"" help:"Make a tenant demo with tokens and credentials, and print what to try."`

	ClusterName      string   `setting:"" placeholder:"NAME" help:"Be one node of the cluster of this name."`
	ClusterListen    string   `setting:"" placeholder:"ADDR" help:"Where the other nodes connect. Defaults to :6222 in a cluster."`
	ClusterAdvertise string   `setting:"" placeholder:"ADDR" help:"Where the other nodes reach cluster-listen, when that is elsewhere: host:port."`
	Routes           []string `setting:"" placeholder:"URL" help:"Where all nodes of the cluster listen, this one included: nats://host:port,nats://host:port,..."`
	ClusterFound     bool     `setting:"" help:"Begin the cluster although the operator's seed was given. For one node, at its first start."`
	ClusterCert      string   `setting:"" placeholder:"FILE" help:"This node's certificate for the other nodes, for all hosts in routes. Without it what the nodes say is not encrypted."`
	ClusterKey       string   `setting:"" placeholder:"FILE" help:"The key of cluster-cert."`
	ClusterCA        string   `setting:"" name:"cluster-ca" placeholder:"FILE" help:"Whose certificates are taken from the other nodes."`
	NodeName         string   `setting:"" placeholder:"NAME" help:"Name of this node in the cluster. Defaults to one that is made at the first start."`
	OperatorSeedFile string   `setting:"" placeholder:"FILE" help:"secrets/operator.seed of the cluster's first node. The other nodes need it at their first start."`

	NATSURL []string `setting:"" name:"nats-url" placeholder:"URL" help:"External NATS servers to use instead of an embedded one, nats://host:port or tls://host:port; see parley nats config."`
	NATSCA  string   `setting:"" name:"nats-ca" placeholder:"FILE" help:"Certificates that vouch for the external NATS servers. Defaults to those that the system trusts."`

	TrustedProxies []string `setting:"" placeholder:"CIDR" help:"Proxies that are believed what they say of their clients' addresses (X-Forwarded-For, Forwarded): 10.0.0.0/8,fd00::/8,... Defaults to none."`

	LogLevel  string `setting:"" enum:"debug,info,warn,error" default:"info" help:"Least severe level that is logged: ${enum}. Defaults to info."`
	LogFormat string `setting:"" enum:"text,json" default:"text" help:"Form of the log on stderr: ${enum}. Defaults to text."`

	traceFlags

	MetricsTenants int `setting:"" default:"1000" help:"How many tenants the metrics name, the oldest; the others are one. Defaults to 1000."`

	Retention    time.Duration `setting:"" default:"168h" help:"How long messages are kept. Defaults to 168h."`
	DedupeWindow time.Duration `setting:"" default:"2m" help:"How long a message id is remembered, so that a repetition is stored once. Defaults to 2m."`
	MinFree      uint64        `setting:"" default:"67108864" placeholder:"BYTES" help:"Free bytes on the disk under which nothing more is stored. Defaults to 67108864."`

	SessionRetention time.Duration `setting:"" default:"2160h" help:"How long what was said in a session is kept. Defaults to 2160h, which is 90 days."`
	AuditRetention   time.Duration `setting:"" default:"8760h" help:"How long it is known what admins have done. Defaults to 8760h, which is a year."`
	WorkerWait       time.Duration `setting:"" default:"30s" help:"How long a message waits for an AI worker. Defaults to 30s."`
	WorkerSilence    time.Duration `setting:"" default:"10s" help:"How long an AI worker may be silent in an answer before another one is asked. Defaults to 10s."`

	ICEServers     []string      `setting:"" name:"ice-servers" placeholder:"URL" help:"STUN and TURN servers by which browsers in a call reach each other: stun:host:port, turn:host:port?transport=udp,..."`
	TurnSecretFile string        `setting:"" placeholder:"FILE" help:"The secret of the TURN servers, coturn's static-auth-secret; the secret itself may stand in $PARLEY_TURN_SECRET."`
	TurnTTL        time.Duration `setting:"" name:"turn-ttl" default:"12h" help:"How long a participant may ask the TURN servers for addresses. Defaults to 12h."`
	MeetGrace      time.Duration `setting:"" default:"20s" help:"How long a participant of a meeting whose connection was lost keeps its place. Defaults to 20s."`
	MeetDeclared   bool          `setting:"" help:"Refuse to join meet rooms that nobody has made with POST /api/meet/rooms."`

	PingInterval time.Duration `setting:"" default:"30s" help:"How often a client is pinged. Defaults to 30s."`
	IdleTimeout  time.Duration `setting:"" default:"5m" help:"How long a client may neither speak nor answer pings. Defaults to 5m."`
	DrainTimeout time.Duration `setting:"" default:"10s" help:"How long clients have to take what is theirs when the broker stops. Defaults to 10s."`

	ClockLeeway  time.Duration `setting:"" default:"10s" help:"How far the clocks of those who issue tokens may be off, at most 30s. Defaults to 10s."`
	MaxTokenLife time.Duration `setting:"" default:"720h" help:"Tokens that live longer are refused. Defaults to 720h."`
	PrivateJWKS  bool          `setting:"" name:"private-jwks" help:"Fetch the keys of identity providers also from private and loopback addresses."`
}

// devListen is where the examples of the published client documents point.
var devListen = [...]string{"127.0.0.1:8080", "127.0.0.1:3001", "127.0.0.1:8000"}

// effective returns s with the defaults that depend on other settings, or what is wrong with it.
func (s settings) effective() (settings, error) {
	switch {
	case len(s.Listen) == 0 && s.Dev:
		s.Listen = slices.Clone(devListen[:])
	case len(s.Listen) == 0:
		s.Listen = []string{":8080"}
	}
	for name, d := range map[string]time.Duration{
		"retention": s.Retention, "dedupe-window": s.DedupeWindow, "ping-interval": s.PingInterval,
		"idle-timeout": s.IdleTimeout, "drain-timeout": s.DrainTimeout, "max-token-life": s.MaxTokenLife,
		"session-retention": s.SessionRetention, "audit-retention": s.AuditRetention, "worker-wait": s.WorkerWait, "worker-silence": s.WorkerSilence,
		"turn-ttl":   s.TurnTTL,
		"meet-grace": s.MeetGrace,
	} {
		if d <= 0 {
			return s, fault.New(fault.Usage, "The setting %s must be longer than nothing, such as 30s.", name)
		}
	}
	if err := s.checkExternal(); err != nil {
		return s, err
	}
	switch clustered := s.ClusterName != ""; {
	case !clustered && (s.ClusterListen != "" || len(s.Routes) > 0):
		return s, fault.New(fault.Usage, "The settings cluster-listen and routes need a cluster-name.")
	case !clustered && s.ClusterCert+s.ClusterKey+s.ClusterCA != "":
		return s, fault.New(fault.Usage, "The settings cluster-cert, cluster-key and cluster-ca need a cluster-name.")
	case clustered && len(s.Routes) == 0:
		return s, fault.New(fault.Usage, "The cluster %s has no routes.", s.ClusterName).
			WithFix("Name the cluster addresses of all nodes with --routes, the same list on each.")
	case clustered && s.ClusterListen == "":
		s.ClusterListen = ":6222"
	}
	if _, err := s.trusted(); err != nil {
		return s, err
	}
	if s.DedupeWindow > s.Retention {
		return s, fault.New(fault.Usage, "The setting dedupe-window is at most as long as retention.")
	}
	s.Data = cmp.Or(s.Data, defaultData)
	return s, nil
}

// Defaults of settings that have no meaning with external servers.
const (
	defaultNATSListen = "127.0.0.1:4222"
	defaultMinFree    = 64 << 20
)

// checkExternal refuses settings that would be ignored.
func (s settings) checkExternal() error {
	if len(s.NATSURL) == 0 {
		if s.NATSCA != "" {
			return fault.New(fault.Usage, "The setting nats-ca needs a nats-url.")
		}
		return nil
	}
	for name, set := range map[string]bool{
		"cluster-name": s.ClusterName != "", "cluster-listen": s.ClusterListen != "", "routes": len(s.Routes) > 0,
		"cluster-found": s.ClusterFound, "cluster-advertise": s.ClusterAdvertise != "",
		"cluster-cert": s.ClusterCert != "", "cluster-key": s.ClusterKey != "", "cluster-ca": s.ClusterCA != "",
		"nats-listen": s.NATSListen != defaultNATSListen, "min-free": s.MinFree != defaultMinFree,
	} {
		if set {
			return fault.New(fault.Usage, "The setting %s is of the embedded NATS server, and has no meaning with nats-url.", name).
				WithFix("The external servers have a configuration of their own: see parley nats config --help")
		}
	}
	return nil
}

// trusted returns the ranges of the trusted proxies. One address is a range, too.
func (s settings) trusted() (all []netip.Prefix, err error) {
	for _, text := range s.TrustedProxies {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			at, notOne := netip.ParseAddr(text)
			if notOne != nil || at.Zone() != "" {
				return nil, fault.New(fault.Usage, "The setting trusted-proxies has %q, which is no range of addresses.", text).
					WithFix("Give ranges such as 10.0.0.0/8 or fd00::/8, or single addresses.")
			}
			p = netip.PrefixFrom(at, at.BitLen())
		}
		if p.Addr().Is4In6() {
			return nil, fault.New(fault.Usage, "The setting trusted-proxies has %q.", text).WithFix("Write IPv4 addresses as such: 10.0.0.0/8.")
		}
		all = append(all, p)
	}
	return all, nil
}

// node returns the settings in the form that the parts of a node take.
func (s settings) node() nodeConfig {
	trusted, _ := s.trusted() // effective has seen to it
	return nodeConfig{
		Broker: broker.Config{
			DataDir: s.Data, Listen: s.NATSListen, Retention: s.Retention, Dedupe: s.DedupeWindow, MinFree: s.MinFree,
			SessionRetention: s.SessionRetention, ServerName: s.NodeName, SeedFile: s.OperatorSeedFile,
			Cluster: broker.Cluster{
				Name: s.ClusterName, Listen: s.ClusterListen, Reach: s.ClusterAdvertise, Routes: s.Routes, Found: s.ClusterFound,
				CertFile: s.ClusterCert, KeyFile: s.ClusterKey, CAFile: s.ClusterCA,
			},
			External: broker.External{URLs: s.NATSURL, CAFile: s.NATSCA},
		},
		Sessions: sessions.Config{WorkerWait: s.WorkerWait, WorkerSilence: s.WorkerSilence},
		Rooms:    rooms.Config{Grace: s.MeetGrace, DeclaredOnly: s.MeetDeclared},
		Tenants:  tenants.Config{Leeway: s.ClockLeeway, MaxTokenLife: s.MaxTokenLife, AllowPrivateJWKS: s.PrivateJWKS},
		Edge: frontends.Config{
			Sockets:      ws.Config{PingEvery: s.PingInterval, IdleAfter: s.IdleTimeout},
			ChatPage:     s.ChatPage || s.Dev,
			MeetPage:     s.MeetPage || s.Dev,
			DrainTimeout: s.DrainTimeout,

			TrustedProxies: trusted,
		},
		Listen:      s.Listen,
		AdminListen: s.AdminListen,

		AuditRetention: s.AuditRetention,
		NamedTenants:   s.MetricsTenants,
	}
}

// logger returns the log that the settings ask for, and what its level can be changed with.
func (s settings) logger(w io.Writer) (*slog.Logger, *loglevel.Dial) {
	level, _ := loglevel.Parse(s.LogLevel) // the enum of the flag has seen to it
	dial := loglevel.New(level)
	opts := &slog.HandlerOptions{Level: dial}
	if s.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, opts)), dial
	}
	return slog.New(slog.NewTextHandler(w, opts)), dial
}
