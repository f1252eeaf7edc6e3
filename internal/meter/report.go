package meter

import "slices"

// Source is a part of the program that counts. Report is called whenever somebody wants to know, by any goroutine; it
// should take milliseconds at most.
type Source interface {
	Report(*Report)
}

// SourceFunc is a function as a Source.
type SourceFunc func(*Report)

// Report implements Source.
func (f SourceFunc) Report(r *Report) { f(r) }

// Kind says what a Family's values mean.
type Kind byte

// The kinds.
const (
	Counting   Kind = iota + 1 // grows until the program ends
	Measuring                  // goes up and down
	Timing                     // a Distribution
	Describing                 // is always 1; the labels are what it says
)

// Family is all values of one name.
type Family struct {
	Name   string
	Help   string
	Kind   Kind
	Labels []string // their names
	Values []Value
}

// Value is one of a Family.
type Value struct {
	Labels       []string // in the order of the Family's
	Number       float64
	Distribution Distribution // of Timing
}

// Report collects families. The zero value is ready to use; it is for one goroutine.
type Report struct{ families []*Family }

// Label names a value among those of its family.
type Label struct{ Name, Value string }

// Counter reports a number that only grows.
func (r *Report) Counter(name, help string, n uint64, labels ...Label) {
	r.add(Counting, name, help, Value{Number: float64(n)}, labels)
}

// Seconds reports a Counter of time that was spent.
func (r *Report) Seconds(name, help string, seconds float64, labels ...Label) {
	r.add(Counting, name, help, Value{Number: seconds}, labels)
}

// Gauge reports a number that goes up and down.
func (r *Report) Gauge(name, help string, n float64, labels ...Label) {
	r.add(Measuring, name, help, Value{Number: n}, labels)
}

// Histogram reports durations.
func (r *Report) Histogram(name, help string, h *Histogram, labels ...Label) {
	r.add(Timing, name, help, Value{Distribution: h.Read()}, labels)
}

// Info reports something that is no number.
func (r *Report) Info(name, help string, labels ...Label) {
	r.add(Describing, name, help, Value{Number: 1}, labels)
}

// Bool reports a Gauge of 1 for true.
func (r *Report) Bool(name, help string, b bool, labels ...Label) {
	n := 0.0
	if b {
		n = 1
	}
	r.Gauge(name, help, n, labels...)
}

// ByLabel reports Counters under the name of their label. Those that should be there before anything has happened are
// given as known.
func ByLabel[K ~string](r *Report, name, help, label string, c *Counters[K], known ...K) {
	all := c.Values()
	if all == nil {
		all = map[K]uint64{}
	}
	for _, k := range known {
		all[k] += 0
	}
	for k, n := range all {
		r.Counter(name, help, n, Label{label, string(k)})
	}
	if len(all) == 0 {
		r.declare(Counting, name, help, []string{label})
	}
}

// Families returns what was reported, in the order of the first report of each.
func (r *Report) Families() []*Family { return r.families }

func (r *Report) add(kind Kind, name, help string, v Value, labels []Label) {
	names := make([]string, len(labels))
	v.Labels = make([]string, len(labels))
	for i, l := range labels {
		names[i], v.Labels[i] = l.Name, l.Value
	}
	f := r.declare(kind, name, help, names)
	f.Values = append(f.Values, v)
}

// declare returns the family of a name, which may have no values yet.
func (r *Report) declare(kind Kind, name, help string, labels []string) *Family {
	if i := slices.IndexFunc(r.families, func(f *Family) bool { return f.Name == name }); i >= 0 {
		return r.families[i]
	}
	f := &Family{Name: name, Help: help, Kind: kind, Labels: labels}
	r.families = append(r.families, f)
	return f
}
