package quota

import "parley/internal/meter"

// Report implements meter.Source.
func (b *Book) Report(r *meter.Report) {
	for name, n := range b.refused {
		r.Counter("parley_limit_rejections_total", "What a tenant's limit has refused, or slowed down.", n.Value(),
			meter.Label{Name: "limit", Value: string(name)})
	}
}
