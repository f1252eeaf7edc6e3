package ws_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/coder/websocket"

	"parley/frontends/ws"
)

// An endpoint that answers every message.
func Example() {
	set := ws.NewSet(ws.Config{})
	endpoint := func(w http.ResponseWriter, r *http.Request) {
		err := set.Accept(w, r, ws.Options{}, func(c *ws.Conn) {
			for {
				msg, _, err := c.ReadMessage()
				if big, ok := errors.AsType[*ws.TooBigError](err); ok {
					msg = []byte(big.Error())
				} else if err != nil {
					return
				}
				_ = c.Send(ws.AppendText(nil, msg)) // the next read reports what is wrong
			}
		})
		if refusal, ok := errors.AsType[*ws.HandshakeError](err); ok {
			http.Error(w, refusal.Reason, refusal.Status)
		}
	}
	server := httptest.NewServer(http.HandlerFunc(endpoint))
	defer server.Close()

	ctx := context.Background()
	client, _, err := websocket.Dial(ctx, server.URL, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = client.Write(ctx, websocket.MessageText, []byte("hello"))
	_, answer, err := client.Read(ctx)
	fmt.Printf("%s %v\n", answer, err)
	_ = client.CloseNow()
	fmt.Println(set.Close(ctx, ws.GoingAway, "example over"))
	// Output:
	// hello <nil>
	// <nil>
}
