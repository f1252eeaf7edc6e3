// Agent is a chat in a terminal: it sends each line that it reads to a channel and prints what the channel says.
//
//	go run ./examples/agent -token "$ALICE" -channel general
//
// A line that begins with @name goes to that agent alone.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

func main() {
	url := flag.String("url", "ws://127.0.0.1:8080/v1/ws", "where the broker is")
	token := flag.String("token", os.Getenv("TOKEN"), "who I am")
	channel := flag.String("channel", "general", "where I talk")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *url+"?channel_id="+*channel, *token); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, url, token string) error {
	conn, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{
		HTTPHeader: http.Header{"Authorization": {"Bearer " + token}},
	})
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	var unanswered sync.WaitGroup
	ended := make(chan error, 1)
	go func() { ended <- listen(ctx, conn, unanswered.Done) }()
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		unanswered.Add(1)
		if err := wsjson.Write(ctx, conn, message(lines.Text())); err != nil {
			return err
		}
	}
	answered := make(chan struct{})
	go func() { unanswered.Wait(); close(answered) }()
	select {
	case <-answered:
		return conn.Close(websocket.StatusNormalClosure, "")
	case err := <-ended:
		return err
	}
}

func message(line string) map[string]string {
	m := map[string]string{"type": "message", "content": line}
	if target, text, ok := strings.Cut(strings.TrimPrefix(line, "@"), " "); ok && strings.HasPrefix(line, "@") {
		m["target"], m["content"] = target, text
	}
	return m
}

// listen prints what comes until the connection ends, and calls answered for every answer to a message.
func listen(ctx context.Context, conn *websocket.Conn, answered func()) error {
	for {
		var f struct {
			Type, Error string
			Agent       string `json:"agent_id"`
			Target      string
			Seq         uint64
			Content     json.RawMessage
		}
		if err := wsjson.Read(ctx, conn, &f); err != nil {
			return err
		}
		switch {
		case f.Type == "ACK":
			fmt.Printf("      on disk as %d\n", f.Seq)
			answered()
		case f.Type == "ERROR":
			fmt.Printf("      refused: %s\n", f.Error)
			answered()
		case f.Target != "":
			fmt.Printf("%4d  %s, to you alone: %s\n", f.Seq, f.Agent, f.Content)
		default:
			fmt.Printf("%4d  %s: %s\n", f.Seq, from(f.Agent), f.Content)
		}
	}
}

func from(agent string) string {
	if agent == "" {
		return "a service"
	}
	return agent
}
