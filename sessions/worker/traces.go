package worker

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// trace begins the span of an answer, below what the request belongs to. The context that it returns has the Handler's
// spans begin below that.
func (w *worker) trace(ctx context.Context, m jetstream.Msg, r *Request) (context.Context, trace.Span) {
	parent := propagation.MapCarrier{"traceparent": m.Headers().Get("traceparent")}
	return w.cfg.Traces.Tracer("parley/sessions/worker").Start(
		propagation.TraceContext{}.Extract(ctx, parent), "process "+w.cfg.Queue,
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
			attribute.String("messaging.system", "nats"), attribute.String("messaging.operation.type", "process"),
			attribute.String("messaging.destination.name", m.Subject()), attribute.String("gen_ai.conversation.id", r.Session),
			attribute.String("parley.run", r.Run), attribute.Int("parley.attempt", r.Attempt), attribute.String("parley.worker", w.cfg.Name),
		),
	)
}

// endSpan ends the span of an answer that has failed with err, or not. What has ended ctx from outside counts, too.
func endSpan(ctx context.Context, span trace.Span, err error) {
	if err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		kind := "failed"
		if own := (*Error)(nil); errors.As(err, &own) && own.Code != "" {
			kind = own.Code
		}
		span.SetAttributes(attribute.String("error.type", kind))
		span.SetStatus(codes.Error, kind)
	}
	span.End()
}
