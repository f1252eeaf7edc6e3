package agents

import (
	"go.opentelemetry.io/otel/attribute"

	"parley/channels"
	"parley/internal/trace"
)

// traced begins the span of a frame that publishes m, below what the frame names, or else the handshake. When nobody
// traces it costs a comparison.
func (c *connection) traced(req request, m *channels.Message) *trace.Span {
	tracer := c.dialect.tracer
	if tracer == nil && c.parent == "" {
		return nil
	}
	parent := c.parent
	if text, ok, err := req.text(trace.Header); ok && err == nil {
		if named := trace.Parse(text); named != "" {
			parent = named
		}
	}
	span := tracer.Start(
		parent, trace.Server, "publish",
		attribute.String("messaging.system", "parley"), attribute.String("messaging.operation.type", "send"),
		attribute.String("messaging.destination.name", string(m.To.Subject())), attribute.String("messaging.message.id", m.ID),
		attribute.String("parley.tenant", string(c.grant.Tenant)),
	)
	m.Trace = span.Traceparent()
	return span
}
