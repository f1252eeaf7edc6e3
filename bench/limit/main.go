//go:build linux

// Command limit is the least that a program has to do for the bytes that `parley bench` sends and receives: it accepts
// connections, takes frames apart, copies each message to the channel's other connections and acknowledges it. One
// thread and one epoll descriptor, and no check of any token, no JSON, no storage, no resume: nobody should use it for
// anything. What a broker costs above it is what all that costs.
//
// It prints the URL of a stand-in for the admin API, so that the load generator treats it like a broker.
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
)

func main() {
	err := run()
	fmt.Fprintln(os.Stderr, "limit:", err)
	os.Exit(1) //nolint:forbidigo // it is main that exits here
}

func run() error {
	relay, err := listen()
	if err != nil {
		return err
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	url := "http://" + l.Addr().String()
	failed := make(chan error, 2)
	go func() { failed <- http.Serve(l, standIn(relay.addr, url)) }() //nolint:gosec // G114: it serves one benchmark, on this machine
	go func() { failed <- relay.run() }()
	if _, err := fmt.Fprintln(os.Stdout, url); err != nil {
		return err
	}
	return <-failed // both last as long as the process
}
