package openai

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parley/internal/fakemodel"
	"parley/sessions/worker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func mustModel(t *testing.T, server *fakemodel.Server, cfg Config) *Model {
	t.Helper()
	cfg.BaseURL, cfg.Model = server.BaseURL(), "test-model"
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		m.Close()
		server.Close()
	})
	return m
}

func request(text string, before ...worker.Turn) *worker.Request {
	return &worker.Request{
		Session: "s1", Run: "r1", Attempt: 1, User: "u1", Text: text, Claims: []byte(`{"plan":"gold"}`),
		History: append(before, worker.Turn{Role: "user", Text: text}),
	}
}

func TestAnswer(t *testing.T) {
	server := fakemodel.New(fakemodel.Say("Hello", ", ", "wörld 🎉"))
	m := mustModel(t, server, Config{Key: "sk-1", System: "Be kind."})
	said, err := worker.Rehearsal{Request: request("hi", worker.Turn{Role: "user", Text: "before"}, worker.Turn{Role: "assistant", Text: "yes?"},
		worker.Turn{Role: "assistant"}, worker.Turn{Role: "operator", Text: "I am human"})}.Run(t.Context(), m.Answer)
	if err != nil || said.Text != "Hello, wörld 🎉" || said.Input != fakemodel.PromptTokens || said.Output != fakemodel.CompletionTokens {
		t.Errorf("%+v, %v", said, err)
	}
	asked := server.Asked()[0]
	if asked.Key != "sk-1" || asked.Model != "test-model" || !asked.StreamOptions.IncludeUsage {
		t.Errorf("asked %+v", asked)
	}
	if got, want := heard(asked), "system: Be kind.\nuser: before\nassistant: yes?\nassistant: I am human\nuser: hi\n"; got != want {
		t.Errorf("asked\n%swant\n%s", got, want)
	}
}

// heard returns a conversation as the model was told it.
func heard(r fakemodel.Request) string {
	var all strings.Builder
	for _, m := range r.Messages {
		fmt.Fprintf(&all, "%s: %v\n", m.Role, m.Content)
	}
	return all.String()
}

func TestStreamsInOddPieces(t *testing.T) {
	for size := 1; size < 8; size++ {
		server := fakemodel.New(fakemodel.Split(size, fakemodel.Say("a€", "🎉b", "ünï\n\ncödé")))
		m := mustModel(t, server, Config{})
		if said, err := (worker.Rehearsal{Request: request("hi")}).Run(t.Context(), m.Answer); err != nil || said.Text != "a€🎉bünï\n\ncödé" {
			t.Errorf("by %d bytes: %q, %v", size, said.Text, err)
		}
	}
}

func TestFailures(t *testing.T) {
	const secret = "sk-secret"
	type server = fakemodel.Reply
	for name, c := range map[string]struct {
		script  []server
		text    string
		code    string // "" means that all is well
		retry   bool
		log     string
		attempt int
	}{
		"refused key":    {script: []server{fakemodel.Refuse(401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided: "+secret)}, code: "UNAVAILABLE", log: "refuses the key"},
		"no such model":  {script: []server{fakemodel.Refuse(404, "invalid_request_error", "model_not_found", "The model does not exist")}, code: "UNAVAILABLE", log: "model_not_found"},
		"busy, then not": {script: []server{fakemodel.Busy(time.Millisecond), fakemodel.Busy(time.Millisecond), fakemodel.Say("fine")}, text: "fine"},
		"busy for ever":  {script: []server{fakemodel.Busy(time.Millisecond)}, code: "RATE_LIMITED", log: "429"},
		"busy for long":  {script: []server{fakemodel.Busy(time.Hour)}, code: "RATE_LIMITED"},
		"no money":       {script: []server{fakemodel.Refuse(429, "insufficient_quota", "insufficient_quota", "You exceeded your quota")}, code: "RATE_LIMITED", log: "insufficient_quota"},
		"stalls at once": {script: []server{fakemodel.Stall()}, code: "UNAVAILABLE", retry: true, log: "sends nothing"},
		"stalls later":   {script: []server{fakemodel.Stall("so far")}, text: "so far", code: "UNAVAILABLE", retry: true, log: "sends nothing"},
		"cut off":        {script: []server{fakemodel.Cut(false, "so far")}, text: "so far", code: "UNAVAILABLE", retry: true},
		"cut cleanly":    {script: []server{fakemodel.Cut(true, "so far")}, text: "so far", code: "UNAVAILABLE", retry: true, log: "ended before"},
		"cut, last try":  {script: []server{fakemodel.Cut(true, "so far")}, text: "so far", code: "UNAVAILABLE", attempt: attempts},
		"error within":   {script: []server{fakemodel.Fail("", "overloaded", "so far")}, text: "so far", code: "UNAVAILABLE", retry: true, log: "overloaded"},
		"filtered":       {script: []server{fakemodel.Filtered("so far")}, text: "so far", code: "CONTENT_FILTERED"},
		"filtered input": {script: []server{fakemodel.Refuse(400, "invalid_request_error", "content_filter", "no")}, code: "CONTENT_FILTERED"},
		"broken, then not": {script: []server{
			fakemodel.Refuse(500, "server_error", "", "The server had an error"), fakemodel.Say("fine"),
		}, text: "fine"},
		"too long":       {script: []server{fakemodel.TooLong(0)}, code: "MESSAGE_TOO_LARGE"},
		"slow but alive": {script: []server{fakemodel.Slowly(20*time.Millisecond, strings.Split(strings.Repeat("x", 30), "")...)}, text: strings.Repeat("x", 30)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := mustModel(t, fakemodel.New(c.script...), Config{Key: secret, Stall: 400 * time.Millisecond, Retries: 2})
			r := request("hi")
			r.Attempt = max(1, c.attempt)
			said, err := worker.Rehearsal{Request: r}.Run(t.Context(), m.Answer)
			if said.Text != c.text {
				t.Errorf("said %q, want %q", said.Text, c.text)
			}
			e, ok := errors.AsType[*worker.Error](err)
			switch {
			case c.code == "" && err != nil:
				t.Errorf("failed: %v", err)
			case c.code != "" && (!ok || e.Code != c.code || e.Retry != c.retry):
				t.Errorf("failed with %+v", err)
			case c.code != "" && (e.Message == "" || strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), c.log)):
				t.Errorf("the user is told %q, the log %q, want %q", e.Message, err, c.log)
			}
		})
	}
}

func TestForgetsTheOldest(t *testing.T) {
	server := fakemodel.New(fakemodel.TooLong(4, "I see"))
	m := mustModel(t, server, Config{System: "S"})
	var before []worker.Turn
	for i := range 19 {
		before = append(before, worker.Turn{Role: "user", Text: fmt.Sprint(i)})
	}
	said, err := worker.Rehearsal{Request: request("last", before...)}.Run(t.Context(), m.Answer)
	if err != nil || said.Text != "I see" {
		t.Fatalf("%+v, %v", said, err)
	}
	asked := server.Asked()
	if got, want := heard(asked[len(asked)-1]), "system: S\nuser: 17\nuser: 18\nuser: last\n"; got != want {
		t.Errorf("in the end it was told\n%swant\n%s", got, want)
	}
}

var tools = []Tool{
	{Name: "weather", Description: "What the weather is like.", Parameters: map[string]any{"type": "object"}, Subject: "tool.weather"},
	{Name: "away", Subject: "tool.away"},
}

func askTools(_ context.Context, subject string, data []byte) ([]byte, error) {
	if subject != "tool.weather" {
		return nil, errors.New("no responders")
	}
	return fmt.Appendf(nil, `{"sky": "blue", "asked": %s}`, data), nil
}

func TestTools(t *testing.T) {
	server := fakemodel.New(
		fakemodel.Use(fakemodel.Call{ID: "c1", Name: "weather", Arguments: `{"city":"Zürich"}`}, fakemodel.Call{ID: "c2", Name: "away"}),
		fakemodel.Use(fakemodel.Call{ID: "c3", Name: "unheard of", Arguments: `{}`}, fakemodel.Call{Name: "weather", Arguments: `{"city":`}),
		fakemodel.Say("Blue."))
	m := mustModel(t, server, Config{Tools: tools})
	said, err := worker.Rehearsal{Request: request("How is it?"), Ask: askTools}.Run(t.Context(), m.Answer)
	if err != nil || said.Text != "Blue." || said.Input != 3*fakemodel.PromptTokens {
		t.Errorf("%+v, %v", said, err)
	}
	sky := `{"sky":"blue","asked":{"tool":"weather","call_id":"c1","arguments":{"city":"Zürich"},"session":"s1","run":"r1","user":"u1","claims":{"plan":"gold"}}}`
	want := []worker.ToolUse{
		{CallID: "c1", Tool: "weather", Arguments: []byte(`{"city":"Zürich"}`), Result: []byte(sky)},
		{CallID: "c2", Tool: "away", Arguments: []byte(`{}`), Result: []byte(`{"error":"the tool is not available"}`)},
		{CallID: "c3", Tool: "unheard of", Arguments: []byte(`{}`), Result: []byte(`{"error":"there is no such tool"}`)},
		{CallID: "call-2", Tool: "weather", Arguments: []byte(`"{\"city\":"`), Result: []byte(`{"error":"the arguments are not JSON"}`)},
	}
	if !reflect.DeepEqual(said.Tools, want) {
		t.Errorf("the tools were used like this:\n%s\nwant\n%s", said.Tools, want)
	}
	asked := server.Asked()
	if first := asked[0].Tools; len(first) != 2 || first[0].Function.Description != "What the weather is like." || first[1].Function.Parameters == nil {
		t.Errorf("the model was told of %+v", first)
	}
	second := asked[1].Messages
	if len(second) != 4 || second[1].ToolCalls[0].Function.Arguments != `{"city":"Zürich"}` || second[2].ToolCallID != "c1" || second[2].Content != sky {
		t.Errorf("then it was told %+v", second)
	}
}

func TestToolsEnd(t *testing.T) {
	server := fakemodel.New(fakemodel.Use(fakemodel.Call{ID: "c", Name: "weather"}), fakemodel.Use(fakemodel.Call{ID: "d", Name: "weather"}), fakemodel.Say("Enough."))
	m := mustModel(t, server, Config{Tools: tools, Rounds: 2})
	said, err := worker.Rehearsal{Request: request("How is it?"), Ask: askTools}.Run(t.Context(), m.Answer)
	if err != nil || said.Text != "Enough." || len(said.Tools) != 2 {
		t.Errorf("%+v, %v", said, err)
	}
	if asked := server.Asked(); asked[1].ToolChoice != nil || asked[2].ToolChoice != "none" {
		t.Errorf("in the end the model may still use tools: %+v", asked[2].ToolChoice)
	}
}

func TestStopReachesTheServer(t *testing.T) {
	gone := make(chan struct{})
	server := fakemodel.New(func(s *fakemodel.Stream) {
		fakemodel.Stall("so far")(s)
		close(gone)
	})
	m := mustModel(t, server, Config{})
	ctx, stop := context.WithCancelCause(t.Context())
	time.AfterFunc(50*time.Millisecond, func() { stop(worker.ErrStopped) })
	if _, err := (worker.Rehearsal{Request: request("hi")}).Run(ctx, m.Answer); !errors.Is(err, worker.ErrStopped) {
		t.Errorf("ended with %v", err)
	}
	<-gone
}

func TestLogSaysNothingOfUsers(t *testing.T) {
	var log bytes.Buffer
	server := fakemodel.New(fakemodel.Use(fakemodel.Call{ID: "c", Name: "away", Arguments: `{"q":"private"}`}), fakemodel.Refuse(http.StatusUnauthorized, "", "", ""))
	m := mustModel(t, server, Config{Tools: tools, Log: slog.New(slog.NewTextHandler(&log, nil))})
	_, err := worker.Rehearsal{Request: request("private"), Ask: askTools}.Run(t.Context(), m.Answer)
	if err == nil || strings.Contains(log.String()+err.Error(), "private") || !strings.Contains(log.String(), "a tool has failed") {
		t.Errorf("%v; the log is %s", err, log.String())
	}
}

func TestConfigIsChecked(t *testing.T) {
	for name, cfg := range map[string]Config{
		"model": {}, "URL": {Model: "m", BaseURL: "host/v1"}, "scheme": {Model: "m", BaseURL: "ftp://host"}, "stall": {Model: "m", Stall: -1}, "rounds": {Model: "m", Rounds: -1},
		"tool": {Model: "m", Tools: []Tool{{Name: "x"}}},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestReadTools(t *testing.T) {
	all, err := ReadTools(strings.NewReader(`
- name: weather
  description: What the weather is like.
  subject: tool.weather
  timeout: 5s
  parameters:
    type: object
    properties: {city: {type: string}}
    required: [city]
- {name: now, subject: tool.now}
`))
	if err != nil || len(all) != 2 || all[0].Timeout != 5*time.Second || all[0].Parameters["type"] != "object" || all[1].Timeout != 30*time.Second {
		t.Errorf("%+v, %v", all, err)
	}
	if none, err := ReadTools(strings.NewReader("")); err != nil || len(none) != 0 {
		t.Errorf("%+v, %v", none, err)
	}
	for name, text := range map[string]string{
		"no list": "a: b", "unknown key": "- {name: a, subject: s, colour: red}", "no subject": "- {name: a}", "name": "- {name: a b, subject: s}",
		"twice": "- {name: a, subject: s}\n- {name: a, subject: s}", "timeout": "- {name: a, subject: s, timeout: -1s}", "parameters": "- {name: a, subject: s, parameters: {x: .nan}}",
	} {
		if _, err := ReadTools(strings.NewReader(text)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
