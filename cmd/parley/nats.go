package main

import (
	"io"

	"parley/broker"
)

type natsCmd struct {
	Config natsConfigCmd `cmd:"" help:"Print the configuration of a nats-server for brokers that run with --nats-url."`
}

type natsConfigCmd struct {
	Data             string `setting:"" default:"./parley-data" placeholder:"DIR" help:"Data directory of the broker, made when it does not exist. Defaults to ./parley-data."`
	OperatorSeedFile string `placeholder:"FILE" help:"secrets/operator.seed of another broker, for a data directory that has none."`

	Name   string `placeholder:"NAME" help:"Name of the server in its cluster. Defaults to what nats-server --name says."`
	Listen string `default:"0.0.0.0:4222" placeholder:"ADDR" help:"Where brokers and services connect. Defaults to 0.0.0.0:4222."`
	Dir    string `default:"./nats-data" placeholder:"DIR" help:"Where the server keeps its data. Defaults to ./nats-data."`

	ClusterName   string   `placeholder:"NAME" help:"Name of the servers' cluster. Defaults to parley when there are routes."`
	ClusterListen string   `placeholder:"ADDR" help:"Where the other servers connect. Defaults to 0.0.0.0:6222 when there are routes."`
	Routes        []string `placeholder:"URL" help:"Where all servers of the cluster listen, this one included: nats://host:port,nats://host:port,..."`
}

// Run prints the file and nothing else.
func (cmd *natsConfigCmd) Run(c *console) error {
	text, err := broker.ServerConfig{
		Name: cmd.Name, Listen: cmd.Listen, Dir: cmd.Dir,
		Cluster: broker.Cluster{Name: cmd.ClusterName, Listen: cmd.ClusterListen, Routes: cmd.Routes},
	}.Format(cmd.Data, cmd.OperatorSeedFile)
	if err != nil {
		return err
	}
	_, err = io.WriteString(c.stdout, text)
	return err
}
