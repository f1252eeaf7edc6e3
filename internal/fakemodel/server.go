// Package fakemodel is a language model's server for tests: it speaks OpenAI's chat completions with real server-sent
// events, and says what a script has it say, failures included. A Server may be used concurrently.
package fakemodel

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
)

// Request is what a Server was asked.
type Request struct {
	Key           string    `json:"-"` // of the Authorization header
	Model         string    `json:"model"`
	Stream        bool      `json:"stream"`
	Messages      []Message `json:"messages"`
	Tools         []Tool    `json:"tools"`
	ToolChoice    any       `json:"tool_choice"`
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
}

// Message is one of a conversation.
type Message struct {
	Role       string `json:"role"`
	Content    any    `json:"content"`
	ToolCallID string `json:"tool_call_id"`
	ToolCalls  []struct {
		ID       string `json:"id"`
		Type     string `json:"type"`
		Function struct {
			Name      string `json:"name"`
			Arguments string `json:"arguments"`
		} `json:"function"`
	} `json:"tool_calls"`
}

// Tool is one that the model may use.
type Tool struct {
	Type     string `json:"type"`
	Function struct {
		Name        string         `json:"name"`
		Description string         `json:"description"`
		Parameters  map[string]any `json:"parameters"`
	} `json:"function"`
}

// Reply answers one request.
type Reply func(*Stream)

// Server answers requests in the order of its script, and the last Reply again and again.
type Server struct {
	*httptest.Server

	mu     sync.Mutex
	script []Reply   // guarded by mu
	asked  []Request // guarded by mu
}

// New starts a server. The caller closes it.
func New(script ...Reply) *Server {
	s := &Server{script: script}
	s.Server = httptest.NewServer(s)
	return s
}

// BaseURL is what clients are configured with.
func (s *Server) BaseURL() string { return s.URL + "/v1" }

// Asked returns what the server was asked so far.
func (s *Server) Asked() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.asked...)
}

// Play replaces the script.
func (s *Server) Play(script ...Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script, s.asked = script, nil
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.URL.Path != "/v1/chat/completions" {
		http.Error(w, fmt.Sprintf(`{"error":{"message":"Invalid URL (%s %s)","type":"invalid_request_error","param":null,"code":null}}`, r.Method, r.URL.Path), http.StatusNotFound)
		return
	}
	var asked Request
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || !asked.Stream {
		http.Error(w, `{"error":{"message":"a stream was expected","type":"invalid_request_error"}}`, http.StatusBadRequest)
		return
	}
	asked.Key = strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	s.next(asked)(&Stream{w: w, r: r, asked: asked})
}

func (s *Server) next(asked Request) Reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, asked)
	if len(s.script) == 0 {
		return Refuse(http.StatusInternalServerError, "server_error", "", "nothing is scripted")
	}
	reply := s.script[0]
	if len(s.script) > 1 {
		s.script = s.script[1:]
	}
	return reply
}
