package openai

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"go.opentelemetry.io/otel/attribute"

	"parley/sessions/worker"
)

// What a stream can do wrong.
var (
	errStalled  = errors.New("the model's server sends nothing any more")
	errCut      = errors.New("the stream ended before the answer did")
	errConfused = errors.New("the stream makes no sense")
	errFiltered = errors.New("the provider's filter ended the answer")
)

// call is a use of a tool that the model asks for.
type call struct{ ID, Name, Arguments string }

// reply is what the model has made of a conversation.
type reply struct {
	said    bool   // the user has seen some of it
	calls   []call // none means that the answer is whole
	message openai.ChatCompletionMessageParamUnion
}

// complete has the model answer, and streams its text into the session.
func (m *Model) complete(ctx context.Context, a *worker.Answer, params openai.ChatCompletionNewParams) (r reply, err error) {
	ctx, span := m.trace(ctx, a.Request)
	defer func() { endSpan(span, err) }()
	ctx, guard := watch(ctx, m.cfg.Stall)
	defer guard.end()
	stream := m.completions.NewStreaming(ctx, params, option.WithMiddleware(guard.attend))
	defer func() { _ = stream.Close() }() // what it has to say, Err has said
	var all openai.ChatCompletionAccumulator
	var spent openai.CompletionUsage
	for stream.Next() {
		chunk := stream.Current()
		if chunk.Usage.TotalTokens > 0 { // some servers count with each chunk: the last one counts
			spent = chunk.Usage
		}
		if !all.AddChunk(chunk) {
			return r, errConfused
		}
		for _, choice := range chunk.Choices {
			text := choice.Delta.Content + choice.Delta.Refusal
			if text == "" || choice.Index != 0 {
				continue
			}
			r.said = true
			if err := a.Chunk(text); err != nil {
				return r, err
			}
		}
	}
	if spent.TotalTokens > 0 {
		a.Usage(int(spent.PromptTokens), int(spent.CompletionTokens))
		span.SetAttributes(attribute.Int64("gen_ai.usage.input_tokens", spent.PromptTokens), attribute.Int64("gen_ai.usage.output_tokens", spent.CompletionTokens))
	}
	if err := stream.Err(); err != nil {
		return r, guard.blame(ctx, err)
	}
	if len(all.Choices) == 0 {
		return r, errCut
	}
	span.SetAttributes(attribute.StringSlice("gen_ai.response.finish_reasons", []string{all.Choices[0].FinishReason}))
	return r, r.take(all.Choices[0])
}

// take notes how the model has ended.
func (r *reply) take(choice openai.ChatCompletionChoice) error {
	switch choice.FinishReason {
	case "":
		return errCut
	case "content_filter":
		return errFiltered
	}
	for i, c := range choice.Message.ToolCalls {
		if c.Function.Name == "" {
			return fmt.Errorf("%w: a tool without a name", errConfused)
		}
		// Some servers give no ids.
		id := cmp.Or(c.ID, "call-"+strconv.Itoa(i+1))
		choice.Message.ToolCalls[i].ID, choice.Message.ToolCalls[i].Type = id, "function"
		r.calls = append(r.calls, call{id, c.Function.Name, cmp.Or(c.Function.Arguments, "{}")})
	}
	choice.Message.Role = "assistant"
	r.message = choice.Message.ToParam()
	return nil
}
