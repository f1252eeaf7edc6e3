// Service is a back end that speaks plain NATS: it greets everyone who says something in a channel.
//
//	go run ./examples/service -creds parley-data/demo.creds -channel general
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"

	"github.com/nats-io/nats.go"
)

func main() {
	url := flag.String("url", nats.DefaultURL, "where the broker takes services")
	creds := flag.String("creds", "parley-data/demo.creds", "who I am")
	channel := flag.String("channel", "general", "where I listen")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *url, *creds, "channel."+*channel); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, url, creds, subject string) error {
	nc, err := nats.Connect(url, nats.UserCredentials(creds), nats.Name("greeter"))
	if err != nil {
		return err
	}
	defer nc.Close()
	greeted := map[string]bool{}
	_, err = nc.Subscribe(subject, func(m *nats.Msg) {
		var said struct {
			Agent string `json:"agent_id"`
		}
		if json.Unmarshal(m.Data, &said) != nil || said.Agent == "" || greeted[said.Agent] {
			return // not from an agent, or an old friend
		}
		greeted[said.Agent] = true
		fmt.Printf("greeting %s\n", said.Agent)
		if err := nc.Publish(m.Subject, fmt.Appendf(nil, "Welcome, %s!", said.Agent)); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	})
	if err != nil {
		return err
	}
	if err := nc.Flush(); err != nil {
		return err
	}
	fmt.Println("listening on", subject)
	<-ctx.Done()
	return nc.Drain()
}
