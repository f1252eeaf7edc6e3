// Package meter counts what happens, cheaply enough for every message, and lets who wants to know read it at any time. A
// Counter, a Gauge and a Histogram are fields of whatever they count for; their zero values, or those that New returns,
// are ready. A Source describes its own with names and help texts in a Report, when it is asked.
//
// Names follow the conventions of Prometheus, but nothing here depends on it: admin/metrics turns a Report into what it
// scrapes. Everything may be used by many goroutines.
package meter
