package openai

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"parley/sessions/worker"
)

// Config says which model answers, and how. Model is required.
type Config struct {
	BaseURL string        // of the API, with its version: https://host/v1. Defaults to OpenAI's.
	Key     string        // Empty means none, which servers of one's own may allow.
	Model   string        // as the server calls it
	System  string        // the instructions. Empty means none.
	Tools   []Tool        // what the model may use
	Stall   time.Duration // how long the server may send nothing. Defaults to 60s.
	Retries int           // how often a request is made again that was refused for now. Defaults to 3; negative means never.
	Rounds  int           // how often a model may use tools before it has to answer. Defaults to 8.
	Log     *slog.Logger  // Nil means none. It is told why answers failed, never what was said.
}

// longestWait bounds how long a server can have a worker wait with Retry-After.
const longestWait = time.Minute

// Model answers requests.
type Model struct {
	cfg         Config
	completions openai.ChatCompletionService
	client      *http.Client
}

// New returns a Model, or an error when the configuration makes no sense. It does not connect. The caller closes it.
func New(cfg Config) (*Model, error) {
	cfg.Stall = cmp.Or(cfg.Stall, time.Minute)
	cfg.Retries = max(0, cmp.Or(cfg.Retries, 3))
	cfg.Rounds = cmp.Or(cfg.Rounds, 8)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	switch {
	case cfg.Model == "":
		return nil, errors.New("which model is to answer is missing")
	case cfg.Stall < 0 || cfg.Rounds < 1:
		return nil, errors.New("the time without a sign of life and the rounds of tools must be more than nothing")
	}
	cfg.Tools = slices.Clone(cfg.Tools)
	if err := checkTools(cfg.Tools); err != nil {
		return nil, err
	}
	client := &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}
	options := []option.RequestOption{
		option.WithEnvironmentProduction(), option.WithHTTPClient(client),
		option.WithMaxRetries(cfg.Retries), option.WithMaxRetryDelay(longestWait),
	}
	if cfg.BaseURL != "" {
		if u, err := url.Parse(cfg.BaseURL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return nil, fmt.Errorf("the base URL %q is not like https://host/v1", cfg.BaseURL)
		}
		options = append(options, option.WithBaseURL(cfg.BaseURL))
	}
	if cfg.Key != "" {
		options = append(options, option.WithAPIKey(cfg.Key))
	}
	// Not openai.NewClient, which reads settings from the environment that nobody here has asked for.
	return &Model{cfg: cfg, completions: openai.NewChatCompletionService(options...), client: client}, nil
}

// Close lets go of connections that are idle. No answer may be running.
func (m *Model) Close() { m.client.CloseIdleConnections() }

// Answer is a worker.Handler.
func (m *Model) Answer(ctx context.Context, a *worker.Answer) error {
	talk := m.newTalk(a.Request)
	said := false // what has been said can't be taken back
	for round := 0; ; {
		reply, err := m.complete(ctx, a, talk.params(round < m.cfg.Rounds))
		said = said || reply.said
		if err != nil && !said && tooLong(err) && talk.forget() {
			continue
		}
		if err != nil {
			return m.explain(ctx, a.Request, err)
		}
		if len(reply.calls) == 0 {
			return nil
		}
		talk.add(reply.message)
		for _, call := range reply.calls {
			result, err := m.use(ctx, a, call)
			if err != nil {
				return err
			}
			talk.add(openai.ToolMessage(string(result), call.ID))
		}
		round++
	}
}
