package main

import (
	"errors"
	"path/filepath"
	"strings"
	"time"
)

type serveCmd struct {
	settings
}

// Run runs a broker until it is told to stop, and stops it in order.
func (cmd *serveCmd) Run(c *console) error {
	started := time.Now()
	explicit := len(cmd.Listen) > 0
	s, err := cmd.effective()
	if err != nil {
		return err
	}
	ice, secrets, err := s.ice(c.getenv)
	if err != nil {
		return err
	}
	cfg := s.node()
	cfg.Rooms.ICE, cfg.Secrets = ice.Servers, secrets
	if s.Dev && !explicit {
		cfg.Listen, cfg.ListenToo = s.Listen[:1], s.Listen[1:]
	}
	log, level := s.logger(c.stderr)
	cfg.LogLevel = level
	traces, endTraces, err := s.open(c.ctx, "parley", s.NodeName, log)
	if err != nil {
		return err
	}
	defer endTraces() // after all that traces
	cfg.Traces = traces
	n, err := openNode(c.ctx, cfg, log)
	if err != nil {
		return err
	}
	err = cmd.greet(c, n, started)
	if err == nil {
		err = n.run(c.ctx)
	}
	log.Info("stopping")
	if err = errors.Join(err, n.close()); err == nil {
		log.Info("stopped")
	}
	return err
}

// greet says where everything is and, in dev mode, what to try.
func (cmd *serveCmd) greet(c *console, n *node, started time.Time) error {
	data, err := filepath.Abs(n.cfg.Broker.DataDir)
	if err != nil {
		return err
	}
	rows := [][]string{{"parley " + currentVersion() + " is ready after " + time.Since(started).Round(time.Millisecond).String() + "."}}
	for _, addr := range n.info.Listen {
		rows = append(rows, []string{"  clients", "ws://" + host(addr) + "/v1/ws"})
	}
	services := n.info.NATS
	if services == "" {
		services = "off"
	}
	rows = append(rows, []string{"  services", services}, []string{"  admin", n.info.Admin}, []string{"  data", data})
	if err := c.table(rows...); err != nil || !cmd.Dev {
		return err
	}
	return cmd.demo(c.ctx, c, n)
}

// host is an address that a client on this machine can use.
func host(addr string) string {
	return strings.TrimPrefix(reachable("//"+addr), "//")
}
