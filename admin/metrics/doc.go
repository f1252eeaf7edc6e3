// Package metrics shows what the parts of a broker count in the form that Prometheus scrapes. It is the one place that
// knows Prometheus: the parts are meter.Sources. Handlers may be called concurrently.
package metrics
