package openai

import (
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/packages/param"
	"github.com/openai/openai-go/v3/shared"

	"parley/sessions/worker"
)

// talk is a conversation as the model is told it.
type talk struct {
	model   *Model
	history []openai.ChatCompletionMessageParamUnion // what was said before; the oldest may be forgotten
	current []openai.ChatCompletionMessageParamUnion // the message to answer, and the use of tools for it
}

func (m *Model) newTalk(r *worker.Request) *talk {
	t := &talk{model: m, current: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(r.Text)}}
	before := r.History
	if last := len(before) - 1; last >= 0 && before[last].Role == "user" && before[last].Text == r.Text {
		before = before[:last]
	}
	for _, turn := range before {
		switch {
		case turn.Text == "": // an answer that was stopped before it said anything; some servers refuse those
		case turn.Role == "user":
			t.history = append(t.history, openai.UserMessage(turn.Text))
		default: // what a human of the operator's said, the user has heard from the same side
			t.history = append(t.history, openai.AssistantMessage(turn.Text))
		}
	}
	return t
}

func (t *talk) add(m openai.ChatCompletionMessageParamUnion) { t.current = append(t.current, m) }

// forget drops the older half of the history. It reports false when there was none.
func (t *talk) forget() bool {
	if len(t.history) == 0 {
		return false
	}
	t.history = t.history[(len(t.history)+1)/2:]
	return true
}

// params returns the request to the model. Without tools it has to answer now.
func (t *talk) params(tools bool) openai.ChatCompletionNewParams {
	var all []openai.ChatCompletionMessageParamUnion
	if system := t.model.cfg.System; system != "" {
		all = append(all, openai.SystemMessage(system))
	}
	p := openai.ChatCompletionNewParams{
		Model:         t.model.cfg.Model,
		Messages:      append(append(all, t.history...), t.current...),
		StreamOptions: openai.ChatCompletionStreamOptionsParam{IncludeUsage: param.NewOpt(true)},
	}
	for _, tool := range t.model.cfg.Tools {
		f := shared.FunctionDefinitionParam{Name: tool.Name, Parameters: tool.Parameters}
		if tool.Description != "" {
			f.Description = param.NewOpt(tool.Description)
		}
		p.Tools = append(p.Tools, openai.ChatCompletionFunctionTool(f))
	}
	if len(p.Tools) > 0 && !tools {
		p.ToolChoice = openai.ChatCompletionToolChoiceOptionUnionParam{OfAuto: param.NewOpt("none")}
	}
	return p
}
