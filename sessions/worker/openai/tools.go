package openai

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"parley/sessions/worker"
)

// Tool is something that the model may use. It is a service of the user's tenant, which answers NATS requests on Subject.
type Tool struct {
	Name        string         `yaml:"name"`        // as the model calls it: A-Z a-z 0-9 _ and -
	Description string         `yaml:"description"` // for the model: what it does and when to use it
	Parameters  map[string]any `yaml:"parameters"`  // a JSON Schema of the arguments. Nil means that it takes none.
	Subject     string         `yaml:"subject"`     // such as tool.weather; the worker's credentials have to allow it
	Timeout     time.Duration  `yaml:"timeout"`     // how long it may take. Defaults to 30s.
}

// maxResult bounds what a tool may tell the model, in bytes.
const maxResult = 32 << 10

var toolName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// ReadTools reads a YAML list of tools. Unknown keys are errors.
func ReadTools(r io.Reader) ([]Tool, error) {
	var tools []Tool
	d := yaml.NewDecoder(r)
	d.KnownFields(true)
	if err := d.Decode(&tools); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the tools: %w", err)
	}
	return tools, checkTools(tools)
}

func checkTools(tools []Tool) error {
	names := map[string]bool{}
	for i := range tools {
		t := &tools[i]
		switch {
		case !toolName.MatchString(t.Name):
			return fmt.Errorf("%q is no name of a tool: 1 to 64 of A-Z a-z 0-9 _ and -", t.Name)
		case names[t.Name]:
			return fmt.Errorf("there are two tools %s", t.Name)
		case t.Subject == "":
			return fmt.Errorf("the tool %s has no subject", t.Name)
		case t.Timeout < 0:
			return fmt.Errorf("the tool %s has a timeout below nothing", t.Name)
		}
		if _, err := json.Marshal(t.Parameters); err != nil {
			return fmt.Errorf("the parameters of the tool %s are no JSON: %w", t.Name, err)
		}
		names[t.Name] = true
		if t.Timeout == 0 {
			t.Timeout = 30 * time.Second
		}
		if t.Parameters == nil {
			t.Parameters = map[string]any{"type": "object", "properties": map[string]any{}}
		}
	}
	return nil
}

// toolRequest is what the service of a tool is asked. It says who the user is, so that the service can decide what he may:
// the arguments are the model's, and a model can be talked into anything.
type toolRequest struct {
	Tool      string          `json:"tool"`
	CallID    string          `json:"call_id"`
	Arguments json.RawMessage `json:"arguments"`
	Session   string          `json:"session"`
	Run       string          `json:"run"`
	User      string          `json:"user"`
	Claims    json.RawMessage `json:"claims,omitempty"`
}

// use uses a tool, shows it to the session and returns its result, JSON, for the model. A tool that fails is the model's
// affair: it is told so. An error means that the answer is over.
func (m *Model) use(ctx context.Context, a *worker.Answer, c call) (result json.RawMessage, err error) {
	arguments := json.RawMessage(c.Arguments)
	proper := json.Valid(arguments)
	if !proper {
		arguments = quote([]byte(c.Arguments))
	}
	if err := a.ToolCall(c.ID, c.Name, arguments); err != nil {
		return nil, err
	}
	if proper {
		result = m.ask(ctx, a, c, arguments)
	} else {
		result = failed("the arguments are not JSON")
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return result, a.ToolResult(c.ID, c.Name, result)
}

func (m *Model) ask(ctx context.Context, a *worker.Answer, c call, arguments json.RawMessage) json.RawMessage {
	for _, tool := range m.cfg.Tools {
		if tool.Name != c.Name {
			continue
		}
		r := a.Request
		question, err := json.Marshal(toolRequest{c.Name, c.ID, arguments, r.Session, r.Run, r.User, r.Claims})
		if err != nil {
			return failed("the arguments are not JSON")
		}
		ctx, cancel := context.WithTimeout(ctx, tool.Timeout)
		defer cancel()
		result, err := a.Ask(ctx, tool.Subject, question)
		if err != nil {
			m.cfg.Log.Warn("a tool has failed", "tool", c.Name, "session", r.Session, "run", r.Run, "error", err)
			return failed("the tool is not available")
		}
		return document(result)
	}
	return failed("there is no such tool")
}

// document returns what a tool has said as JSON.
func document(b []byte) json.RawMessage {
	switch {
	case len(b) > maxResult:
		return failed(fmt.Sprintf("the result has more than %d bytes", maxResult))
	case json.Valid(b):
		var compact bytes.Buffer
		if json.Compact(&compact, b) == nil {
			return compact.Bytes()
		}
	case !utf8.Valid(b):
		return failed("the result is no text")
	}
	return quote(b)
}

// failed is the result of a tool that has none.
func failed(why string) json.RawMessage {
	return append(append(json.RawMessage(`{"error":`), quote([]byte(why))...), '}')
}

// quote returns text as a JSON string.
func quote(text []byte) json.RawMessage {
	b, err := json.Marshal(string(text))
	if err != nil {
		return json.RawMessage(`""`)
	}
	return b
}
