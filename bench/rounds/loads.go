package main

// load is one kind of load, as `parley bench` makes it.
type load struct {
	name    string
	args    []string
	durable bool // it needs what the bare reference has not: stored messages
}

// loads are those whose figures docs/performance.md has.
var loads = []load{
	{name: "fan-out 1 to 1,000, full rate, 128 B", args: []string{"fanout"}},
	{name: "fan-out 1 to 1,000, full rate, 1 KiB", args: []string{"fanout", "--size", "1024"}},
	{name: "fan-out 1 to 1,000, 50 messages/s, 128 B", args: []string{"fanout", "--rate", "50"}},
	{name: "500 channels × 1 to 2, full rate", args: []string{"channels"}},
	{name: "500 channels × 1 to 2, 5,000 messages/s", args: []string{"channels", "--rate", "5000"}},
	{name: "publish to ACK, one at a time", args: []string{"ack"}},
	{name: "publish to ACK, 100 connections × 16", args: []string{"ack", "--connections", "100", "--window", "16"}},
	{name: "10,000 idle connections", args: []string{"idle"}},
	{name: "500 streams × 50 tokens/s, a connection each", args: []string{"tokens"}},
	{name: "500 streams × 50 tokens/s, one connection", args: []string{"tokens", "--publishers", "1"}},
	{name: "5,000 connections cut, 10 messages missed", args: []string{"reconnect"}, durable: true},
}
