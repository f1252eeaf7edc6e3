// Package trace follows what somebody asks for through the parts of the broker, in spans as OpenTelemetry has them. What
// connects them is the W3C's traceparent, a text that goes along in frames, in the header lines of messages and between
// nodes.
//
// Tracing is off unless there is a Tracer: a nil Tracer and a nil Span do nothing, and cost a comparison. They still pass on
// the traceparent that somebody else has begun.
package trace
