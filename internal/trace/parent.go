package trace

import (
	"context"

	"go.opentelemetry.io/otel/propagation"
	otel "go.opentelemetry.io/otel/trace"
)

// Header is the name of the header line that a traceparent goes in, in HTTP and in NATS, and of the field of a frame.
const Header = "traceparent"

// size is that of a traceparent.
const size = 55

// Parse returns s if it is a traceparent as the W3C writes it, else nothing: what a client sends must not become anything
// else in a header.
func Parse(s string) string {
	if len(s) != size {
		return ""
	}
	return format(otel.SpanContextFromContext(contextOf(s)))
}

// contextOf is how the library wants a parent.
func contextOf(parent string) context.Context {
	if parent == "" {
		return context.Background()
	}
	return propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{Header: parent})
}

func format(c otel.SpanContext) string {
	if !c.IsValid() {
		return ""
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(otel.ContextWithSpanContext(context.Background(), c), carrier)
	return carrier[Header]
}

// parentKey is where a context has a traceparent.
type parentKey struct{}

// WithParent returns a context for what is done because of what a traceparent names.
func WithParent(ctx context.Context, traceparent string) context.Context {
	if traceparent == "" {
		return ctx
	}
	return context.WithValue(ctx, parentKey{}, traceparent)
}

// Parent returns what WithParent has set.
func Parent(ctx context.Context) string {
	s, _ := ctx.Value(parentKey{}).(string)
	return s
}
