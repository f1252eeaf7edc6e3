package sessions

import (
	"go.opentelemetry.io/otel/attribute"

	"parley/broker"
	"parley/internal/trace"
)

// traceSay begins the span in which something is said, and has what follows belong to it.
func (s *space) traceSay(id broker.Token, c *command) *trace.Span {
	if s.hub.cfg.Tracer == nil {
		return nil // what somebody else traces stays as it is
	}
	span := s.hub.cfg.Tracer.Start(
		c.Say.Trace, trace.Server, "say",
		attribute.String("parley.tenant", string(c.By.Tenant)), attribute.String("gen_ai.conversation.id", string(id)), attribute.String("parley.role", string(c.Role)),
	)
	c.Say.Trace = span.Traceparent()
	return span
}

// traceStore begins the span in which an event is stored.
func (w *writer) traceStore(e *Event, parent string) *trace.Span {
	return w.space.hub.cfg.Tracer.Start(
		parent, trace.Producer, "store",
		attribute.String("messaging.system", "nats"), attribute.String("messaging.operation.type", "send"),
		attribute.String("messaging.destination.name", string(broker.SessionLog(w.id))), attribute.String("parley.event", string(e.Kind)),
	)
}

// traceRun begins the span in which the message whose turn it is gets its answer, unless that is being traced already. It
// is the writer's: should another node go on, it begins one of its own below the same parent.
func (w *writer) traceRun() {
	p := w.fold.state.Pending[0]
	if p.Trace == "" || w.span != nil {
		return
	}
	w.span = w.space.hub.cfg.Tracer.Start(
		p.Trace, trace.Producer, "answer",
		attribute.String("gen_ai.conversation.id", string(w.id)), attribute.String("parley.run", p.Run), attribute.String("parley.queue", string(w.info.queue())),
	)
}

// traceEnd ends that span.
func (w *writer) traceEnd(e *Event) {
	if w.span == nil {
		return
	}
	w.span.Set(attribute.String("parley.status", string(e.Status)))
	if e.Usage != nil {
		w.span.Set(attribute.Int("gen_ai.usage.input_tokens", e.Usage.Input), attribute.Int("gen_ai.usage.output_tokens", e.Usage.Output))
	}
	failure := ""
	if e.Error != nil {
		failure = string(e.Error.Code)
	}
	w.span.End(failure)
	w.span = nil
}
