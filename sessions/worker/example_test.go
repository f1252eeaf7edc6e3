package worker_test

import (
	"context"
	"fmt"
	"strings"

	"parley/sessions/worker"
)

// A worker for a tenant whose credentials are in a file:
//
//	nc, err := worker.Connect("nats://127.0.0.1:4222", "acme.creds")
//	…
//	err = worker.Run(ctx, worker.Config{Conns: []*nats.Conn{nc}}, shout)
func Example() {
	shout := func(_ context.Context, a *worker.Answer) error {
		for word := range strings.FieldsSeq(a.Request.Text) {
			if err := a.Chunk(strings.ToUpper(word) + "! "); err != nil {
				return err // nobody waits any more
			}
		}
		return a.FollowUps("Louder?")
	}

	// What it would say, without a broker:
	said, err := worker.Rehearsal{Request: &worker.Request{Text: "hello world"}}.Run(context.Background(), shout)
	fmt.Println(said.Text, said.FollowUps, err)
	// Output: HELLO! WORLD!  [Louder?] <nil>
}
