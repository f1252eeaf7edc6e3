package fakemodel

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Stream is a reply that is being written.
type Stream struct {
	w     http.ResponseWriter
	r     *http.Request
	asked Request
	begun bool
	split int // bytes that are flushed at a time; 0 means whole events
}

// Tokens that a Server counts, whatever was said.
const (
	PromptTokens     = 11
	CompletionTokens = 7
)

type chunk struct {
	ID                string   `json:"id"`
	Object            string   `json:"object"`
	Created           int64    `json:"created"`
	Model             string   `json:"model"`
	ServiceTier       string   `json:"service_tier"`
	SystemFingerprint *string  `json:"system_fingerprint"`
	Choices           []choice `json:"choices"`
	Usage             any      `json:"usage"`
	Obfuscation       string   `json:"obfuscation,omitempty"`
}

type choice struct {
	Index        int     `json:"index"`
	Delta        any     `json:"delta"`
	Logprobs     *string `json:"logprobs"`
	FinishReason *string `json:"finish_reason"`
}

// begin sends what comes before the first text.
func (s *Stream) begin() {
	if s.begun {
		return
	}
	s.begun = true
	s.w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	s.w.WriteHeader(http.StatusOK)
	s.delta(map[string]any{"role": "assistant", "content": "", "refusal": nil}, "")
}

// delta sends a piece, and why the answer ends, if it does.
func (s *Stream) delta(delta any, finish string) {
	c := choice{Delta: delta}
	if finish != "" {
		c.FinishReason = &finish
	}
	s.event(s.chunk(c))
}

func (s *Stream) chunk(choices ...choice) chunk {
	return chunk{
		ID: "chatcmpl-test", Object: "chat.completion.chunk", Created: 1_700_000_000, Model: s.asked.Model, ServiceTier: "default",
		Choices: append([]choice{}, choices...), Obfuscation: "Zx8",
	}
}

func (s *Stream) event(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	s.write(fmt.Sprintf("data: %s\n\n", b))
}

// write sends text, in pieces that end within characters if so scripted.
func (s *Stream) write(text string) {
	for text != "" {
		n := len(text)
		if s.split > 0 {
			n = min(n, s.split)
		}
		_, _ = s.w.Write([]byte(text[:n])) // the client may be gone
		s.w.(http.Flusher).Flush()
		text = text[n:]
	}
}

// end sends what comes after the last piece.
func (s *Stream) end(finish string) {
	s.delta(map[string]any{}, finish)
	if s.asked.StreamOptions.IncludeUsage {
		c := s.chunk()
		c.Usage = map[string]any{
			"prompt_tokens": PromptTokens, "completion_tokens": CompletionTokens, "total_tokens": PromptTokens + CompletionTokens,
			"completion_tokens_details": map[string]int{"reasoning_tokens": 0},
		}
		s.event(c)
	}
	s.write("data: [DONE]\n\n")
}

// Say streams pieces of text and ends well.
func Say(pieces ...string) Reply {
	return func(s *Stream) {
		s.say(pieces)
		s.end("stop")
	}
}

func (s *Stream) say(pieces []string) {
	s.begin()
	for _, piece := range pieces {
		s.delta(map[string]any{"content": piece}, "")
	}
}

// Slowly is a Reply with a pause after each event.
func Slowly(pause time.Duration, pieces ...string) Reply {
	return func(s *Stream) {
		s.begin()
		for _, piece := range pieces {
			s.delta(map[string]any{"content": piece}, "")
			if !s.wait(pause) {
				return
			}
		}
		s.end("stop")
	}
}

// wait reports whether the client is still there.
func (s *Stream) wait(pause time.Duration) bool {
	select {
	case <-time.After(pause):
		return true
	case <-s.r.Context().Done():
		return false
	}
}

// Split has a Reply written few bytes at a time, so that events and characters arrive in pieces.
func Split(size int, reply Reply) Reply {
	return func(s *Stream) {
		s.split = size
		reply(s)
	}
}

// Call is a tool that the model uses.
type Call struct{ ID, Name, Arguments string }

// Use has the model use tools: the first piece of each has its name, then the arguments come a few bytes at a time.
func Use(calls ...Call) Reply {
	return func(s *Stream) {
		s.begin()
		for i, c := range calls {
			s.delta(toolDelta(i, map[string]any{"id": c.ID, "type": "function", "function": map[string]any{"name": c.Name, "arguments": ""}}), "")
			for rest := c.Arguments; rest != ""; {
				n := min(len(rest), 3)
				s.delta(toolDelta(i, map[string]any{"function": map[string]any{"arguments": rest[:n]}}), "")
				rest = rest[n:]
			}
		}
		s.end("tool_calls")
	}
}

func toolDelta(index int, call map[string]any) any {
	call["index"] = index
	return map[string]any{"tool_calls": []any{call}}
}

// Refuse answers with a status and an error as OpenAI words it.
func Refuse(status int, kind, code, message string) Reply {
	return func(s *Stream) {
		s.w.Header().Set("Content-Type", "application/json")
		s.w.WriteHeader(status)
		_ = json.NewEncoder(s.w).Encode(map[string]any{"error": map[string]any{"message": message, "type": kind, "param": nil, "code": nullable(code)}})
	}
}

func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// Busy answers 429 and says when to come back.
func Busy(after time.Duration) Reply {
	return func(s *Stream) {
		s.w.Header().Set("Retry-After-Ms", strconv.FormatInt(after.Milliseconds(), 10))
		s.w.Header().Set("Retry-After", strconv.FormatInt(int64((after+time.Second-1)/time.Second), 10))
		Refuse(http.StatusTooManyRequests, "requests", "rate_limit_exceeded", "Rate limit reached for requests")(s)
	}
}

// Stall says something and then nothing any more, until the client goes. Without pieces it does not even begin.
func Stall(pieces ...string) Reply {
	return func(s *Stream) {
		if len(pieces) > 0 {
			s.say(pieces)
		}
		<-s.r.Context().Done()
	}
}

// Cut says something and ends the connection. Cleanly, the stream is well-formed but not whole.
func Cut(cleanly bool, pieces ...string) Reply {
	return func(s *Stream) {
		s.say(pieces)
		if !cleanly {
			panic(http.ErrAbortHandler)
		}
	}
}

// Filtered says something and is stopped by the provider's filter.
func Filtered(pieces ...string) Reply {
	return func(s *Stream) {
		s.say(pieces)
		s.end("content_filter")
	}
}

// Fail says something, then an error in the stream.
func Fail(code, message string, pieces ...string) Reply {
	return func(s *Stream) {
		s.say(pieces)
		s.event(map[string]any{"error": map[string]any{"message": message, "type": "server_error", "code": nullable(code)}})
	}
}

// TooLong refuses everything that has more than so many messages, and says pieces to the rest.
func TooLong(most int, pieces ...string) Reply {
	return func(s *Stream) {
		if len(s.asked.Messages) > most {
			Refuse(http.StatusBadRequest, "invalid_request_error", "context_length_exceeded", "This model's maximum context length is 8192 tokens.")(s)
			return
		}
		Say(pieces...)(s)
	}
}
