package trace

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	otel "go.opentelemetry.io/otel/trace"
)

// Config says where spans go.
type Config struct {
	Endpoint string  // URL of a collector that takes OTLP over HTTP, such as http://127.0.0.1:4318
	Ratio    float64 // of the traces that begin here, how many are recorded: 0 to 1
	Service  string  // what this process is called
	Version  string
	Instance string // tells it from others of the same service
}

// Provider is where the spans of a process go. Shutdown, which waits for those that are on their way, ends it.
type Provider = sdk.TracerProvider

// Open returns a Provider that sends spans to a collector from the background. A collector that is away is no error.
func Open(ctx context.Context, cfg Config) (*Provider, error) {
	u, err := url.Parse(cfg.Endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%q is not a URL such as http://127.0.0.1:4318", cfg.Endpoint)
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = "/v1/traces"
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(u.String()))
	if err != nil {
		return nil, fmt.Errorf("prepare to send traces: %w", err)
	}
	about := resource.NewSchemaless(
		attribute.String("service.name", cfg.Service), attribute.String("service.version", cfg.Version), attribute.String("service.instance.id", cfg.Instance),
	)
	return sdk.NewTracerProvider(
		sdk.WithBatcher(exporter), sdk.WithResource(about), sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(cfg.Ratio))),
	), nil
}

// Tracer begins the spans of one part of the program. Nil is one that is off.
type Tracer struct{ tracer otel.Tracer }

// New returns a Tracer for a part of the program, nil for a nil Provider.
func New(p *Provider, part string) *Tracer {
	if p == nil {
		return nil
	}
	return &Tracer{p.Tracer("parley/" + part)}
}

// Kind says on which side of an exchange a span is.
type Kind = otel.SpanKind

// The kinds.
const (
	Server   = otel.SpanKindServer   // carries out what somebody has asked for
	Producer = otel.SpanKindProducer // hands something over for later
	Internal = otel.SpanKindInternal
)

// Span is one thing that is being done. Nil is one that nobody watches.
type Span struct {
	span   otel.Span // nil when only the parent is passed on
	parent string
}

// Start begins a span below parent, a traceparent; empty begins a trace. The caller ends it.
func (t *Tracer) Start(parent string, kind Kind, name string, attrs ...attribute.KeyValue) *Span {
	if t == nil {
		if parent == "" {
			return nil
		}
		return &Span{parent: parent}
	}
	_, span := t.tracer.Start(contextOf(parent), name, otel.WithSpanKind(kind), otel.WithAttributes(attrs...))
	return &Span{span: span}
}

// Traceparent is what goes along with what the span hands on; empty when nothing does.
func (s *Span) Traceparent() string {
	switch {
	case s == nil:
		return ""
	case s.span == nil:
		return s.parent
	}
	return format(s.span.SpanContext())
}

// Set adds what is known of the span by now.
func (s *Span) Set(attrs ...attribute.KeyValue) {
	if s != nil && s.span != nil {
		s.span.SetAttributes(attrs...)
	}
}

// Event notes that something has happened.
func (s *Span) Event(name string) {
	if s != nil && s.span != nil {
		s.span.AddEvent(name)
	}
}

// End ends the span. failure says what went wrong, in a word that tells no secrets; empty means nothing.
func (s *Span) End(failure string) {
	if s == nil || s.span == nil {
		return
	}
	if failure != "" {
		s.span.SetStatus(codes.Error, failure)
		s.span.SetAttributes(attribute.String("error.type", failure))
	}
	s.span.End()
}
