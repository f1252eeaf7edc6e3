package bench

import (
	"context"
	"net"
	"net/url"
	"sync/atomic"

	"parley/admin"
	"parley/internal/fault"
)

// door is an address at which clients connect.
type door struct {
	address string
	reached atomic.Bool // a connection was made: the address is good
}

// openDoors returns the given addresses or, without any, one of each node.
func openDoors(ctx context.Context, nodes []*admin.Client, given []string) (doors []*door, err error) {
	add := func(address string, info admin.Info) error {
		address, err := clientAddress(address, info)
		doors = append(doors, &door{address: address})
		return err
	}
	for i, node := range nodes {
		info, err := node.Info(ctx)
		if err != nil {
			return nil, err
		}
		switch {
		case len(given) == 0 && len(info.Listen) > 0:
			err = add(info.Listen[0], info)
		case len(given) == 0:
			err = add("", info)
		case i == 0:
			for _, address := range given {
				if err = add(address, info); err != nil {
					break
				}
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return doors, nil
}

// clientAddress returns where clients reach a node that listens at an address.
func clientAddress(listen string, info admin.Info) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fault.Wrap(fault.Usage, err, "The address %q is not HOST:PORT.", listen)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() { // everywhere, so also where admins are served
		host = "127.0.0.1"
		if u, err := url.Parse(info.Admin); err == nil {
			if ip := net.ParseIP(u.Hostname()); ip != nil && !ip.IsUnspecified() {
				host = u.Hostname()
			}
		}
	}
	return net.JoinHostPort(host, port), nil
}

// dial connects to the doors in turn. Only the first connection to each can be interrupted: that costs more than all the
// rest of a dial.
func (s *Session) dial(ctx context.Context) (net.Conn, *door, error) {
	d := s.doors[int(s.turn.Add(1)-1)%len(s.doors)]
	dialer := net.Dialer{KeepAlive: -1}
	if !d.reached.Load() {
		dialer.Timeout = dialWithin
		conn, err := dialer.DialContext(ctx, "tcp", d.address)
		d.reached.Store(err == nil)
		return conn, d, err
	}
	conn, err := dialer.Dial("tcp", d.address)
	return conn, d, err
}
