package tenants_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"

	"parley/broker"
	"parley/tenants"
)

func Example() {
	ctx, stop := context.WithCancel(context.Background())
	dir, err := os.MkdirTemp("", "parley")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	engine, err := broker.Open(ctx, broker.Config{DataDir: dir, Listen: broker.ListenOff}, slog.New(slog.DiscardHandler))
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Close()
	registry, err := tenants.Open(ctx, engine, tenants.Config{}, nil)
	if err != nil {
		log.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- registry.Run(ctx) }()
	defer func() { stop(); <-done }()

	if _, _, err := registry.Create(ctx, tenants.Spec{ID: "acme"}); err != nil {
		log.Fatal(err)
	}
	token, err := registry.IssueToken(ctx, tenants.TokenSpec{Tenant: "acme", Agent: "bot", Channels: []string{"news.*"}})
	if err != nil {
		log.Fatal(err)
	}
	grant, err := registry.Verify(ctx, token)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(grant.Tenant, grant.Agent)
	fmt.Println(grant.MayPublish("channel.news.today"), grant.MayPublish("channel.secrets"))
	// Output:
	// acme bot
	// true false
}
