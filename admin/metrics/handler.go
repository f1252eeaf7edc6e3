package metrics

import (
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"parley/internal/meter"
)

// Broker returns the handler of what concerns the whole broker: what the sources count, and the Go runtime and the
// process.
func Broker(sources ...meter.Source) http.Handler {
	return handler(append(
		collect(sources),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	))
}

// Tenants returns the handler of what is counted for each tenant.
func Tenants(sources ...meter.Source) http.Handler { return handler(collect(sources)) }

func collect(sources []meter.Source) (all []prometheus.Collector) {
	for _, s := range sources {
		all = append(all, collector{s})
	}
	return all
}

func handler(all []prometheus.Collector) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(all...) // they describe nothing, or are those of the library: they can't clash
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError})
}

// collector is a source as the library sees it. What it collects is known when it is asked only.
type collector struct{ source meter.Source }

var _ prometheus.Collector = collector{}

// Describe describes nothing, which tells the library to check what is collected instead.
func (c collector) Describe(chan<- *prometheus.Desc) {}

// Collect asks the source.
func (c collector) Collect(to chan<- prometheus.Metric) {
	var r meter.Report
	c.source.Report(&r)
	for _, f := range r.Families() {
		d := prometheus.NewDesc(f.Name, f.Help, f.Labels, nil)
		for _, v := range f.Values {
			m, err := metric(d, f.Kind, v)
			if err != nil {
				m = prometheus.NewInvalidMetric(d, fmt.Errorf("report %s: %w", f.Name, err))
			}
			to <- m
		}
	}
}

func metric(d *prometheus.Desc, kind meter.Kind, v meter.Value) (prometheus.Metric, error) {
	switch kind {
	case meter.Counting:
		return prometheus.NewConstMetric(d, prometheus.CounterValue, v.Number, v.Labels...)
	case meter.Timing:
		t := v.Distribution
		return prometheus.NewConstHistogram(d, t.Count, t.Seconds, t.Within, v.Labels...)
	case meter.Measuring, meter.Describing:
	}
	return prometheus.NewConstMetric(d, prometheus.GaugeValue, v.Number, v.Labels...)
}
