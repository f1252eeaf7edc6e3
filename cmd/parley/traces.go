package main

import (
	"context"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel"

	"parley/internal/fault"
	"parley/internal/trace"
)

// traceFlags say where the spans of this process go.
type traceFlags struct {
	OTLPEndpoint string  `setting:"" name:"otlp-endpoint" placeholder:"URL" help:"Where traces go: an OpenTelemetry collector that takes OTLP over HTTP, such as http://127.0.0.1:4318. Off unless given."`
	TraceRatio   float64 `setting:"" default:"1" help:"How many of the traces that begin here are recorded, from 0 to 1. Defaults to 1."`
}

// open returns where spans go, nil for nowhere, and what ends it.
func (f traceFlags) open(ctx context.Context, service, instance string, log *slog.Logger) (*trace.Provider, func(), error) {
	if f.OTLPEndpoint == "" {
		return nil, func() {}, nil
	}
	if f.TraceRatio < 0 || f.TraceRatio > 1 {
		return nil, nil, fault.New(fault.Usage, "The setting trace-ratio is a number from 0 to 1.")
	}
	p, err := trace.Open(ctx, trace.Config{Endpoint: f.OTLPEndpoint, Ratio: f.TraceRatio, Service: service, Version: currentVersion(), Instance: instance})
	if err != nil {
		return nil, nil, fault.Wrap(fault.Usage, err, "The setting otlp-endpoint is no good: %s.", err)
	}
	// The library has one place for all of a process where it complains.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("traces are lost", "err", err) }))
	return p, func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastSpans)
		defer cancel()
		if err := p.Shutdown(last); err != nil {
			log.Warn("the last traces are lost", "err", err)
		}
	}, nil
}

// lastSpans is how long a process that ends waits for a collector.
const lastSpans = 3 * time.Second
