package openai

import (
	"context"
	"errors"
	"strconv"

	"github.com/openai/openai-go/v3"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"parley/sessions/worker"
)

// trace begins the span of one request to the model's server, by the conventions for generative AI. What was said is not
// in it. It goes where the answer's own span goes.
func (m *Model) trace(ctx context.Context, r *worker.Request) (context.Context, trace.Span) {
	tracer := trace.SpanFromContext(ctx).TracerProvider().Tracer("parley/sessions/worker/openai")
	return tracer.Start(ctx, "chat "+m.cfg.Model, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("gen_ai.operation.name", "chat"), attribute.String("gen_ai.provider.name", "openai"),
		attribute.String("gen_ai.request.model", m.cfg.Model), attribute.String("gen_ai.conversation.id", r.Session),
	))
}

// endSpan ends the span of a request that has failed with err, or not.
func endSpan(span trace.Span, err error) {
	if err != nil {
		kind := "failed"
		if refusal := (*openai.Error)(nil); errors.As(err, &refusal) {
			kind = strconv.Itoa(refusal.StatusCode)
		}
		span.SetAttributes(attribute.String("error.type", kind))
		span.SetStatus(codes.Error, kind)
	}
	span.End()
}
