// Package echo is an AI worker without an AI: it says what it was told, word by word. It needs no network, so it stands in
// for a model where one wants to see how answers stream. All methods may be called concurrently.
//
// A message that begins with a command is answered otherwise:
//
//	/repeat 100 and on   "and on" a hundred times
//	/tool hello          hello, after using a tool
//	/fail                an error
package echo

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"parley/sessions/worker"
)

// Config tunes an Echo. The zero value is ready to use.
type Config struct {
	Rate   float64 // words a second. Defaults to 20.
	Repeat int     // how often it says everything. Defaults to 1.
}

// Echo answers requests. Its answers depend on nothing but the request, so another one can go on where it was cut off.
type Echo struct{ cfg Config }

// New returns an Echo, or an error when the configuration makes no sense.
func New(cfg Config) (*Echo, error) {
	cfg.Rate, cfg.Repeat = cmp.Or(cfg.Rate, 20), cmp.Or(cfg.Repeat, 1)
	if cfg.Rate < 0 || cfg.Rate > 1e6 || cfg.Repeat < 0 {
		return nil, errors.New("the rate is 0 to 1,000,000 words a second, and nothing is repeated less than once")
	}
	return &Echo{cfg}, nil
}

// maxAnswer bounds what a user can have repeated, in bytes.
const maxAnswer = 256 << 10

// answer returns what is said, and the command.
func (e *Echo) answer(text string) (said, command string) {
	times := e.cfg.Repeat
	if strings.HasPrefix(text, "/") {
		command, text, _ = strings.Cut(text, " ")
		if command == "/repeat" {
			count, rest, _ := strings.Cut(text, " ")
			if n, err := strconv.Atoi(count); err == nil {
				times, text = times*min(max(n, 0), maxAnswer), rest
			}
		}
	}
	if times = min(times, max(1, maxAnswer/(len(text)+1))); times < 1 {
		return "", command
	}
	return strings.Repeat(text+" ", times-1) + text, command
}

// Continue reports whether the answer can go on after what has been said of it: see worker.Config.
func (e *Echo) Continue(r *worker.Request) bool {
	said, _ := e.answer(r.Text)
	return strings.HasPrefix(said, r.Partial)
}

// Answer is a worker.Handler.
func (e *Echo) Answer(ctx context.Context, a *worker.Answer) error {
	said, command := e.answer(a.Request.Text)
	rest := said
	if e.Continue(a.Request) {
		rest = said[len(a.Request.Partial):]
	}
	switch command {
	case "/fail":
		return &worker.Error{Message: "You wanted it to fail."}
	case "/tool":
		if err := useTool(a, said); err != nil {
			return err
		}
	}
	tick := time.NewTicker(time.Duration(float64(time.Second) / e.cfg.Rate))
	defer tick.Stop()
	words := 0
	for word := range strings.SplitAfterSeq(rest, " ") {
		if ctx.Err() != nil { // both may be ready below
			return context.Cause(ctx)
		}
		if err := a.Chunk(word); err != nil {
			return err
		}
		words++
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	a.Usage(len(strings.Fields(a.Request.Text)), words)
	return a.FollowUps("Can you say that again?", "What did I say before?")
}

// useTool shows a use of the tool that knows the length of things.
func useTool(a *worker.Answer, text string) error {
	arguments, err := json.Marshal(map[string]string{"text": text})
	if err != nil {
		return err
	}
	if err := a.ToolCall("call-1", "length", arguments); err != nil {
		return err
	}
	return a.ToolResult("call-1", "length", json.RawMessage(strconv.Itoa(len(text))))
}
