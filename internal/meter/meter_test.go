package meter

import (
	"reflect"
	"sync"
	"testing"
	"time"

	"parley/internal/usage"
)

func TestHistogramCountsByUpperBounds(t *testing.T) {
	h := NewHistogram(time.Second, 10*time.Second)
	for _, d := range []time.Duration{0, time.Second, time.Second + 1, 10 * time.Second, time.Hour} {
		h.Observe(d)
	}
	got := h.Read()
	want := Distribution{Count: 5, Seconds: (12*time.Second + 1 + time.Hour).Seconds(), Within: map[float64]uint64{1: 2, 10: 4}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestFamiliesKeepTheirOrderAndTheirValues(t *testing.T) {
	var c Counters[string]
	var r Report
	ByLabel(&r, "parley_empty_total", "h", "reason", &Counters[string]{})
	c.Inc("b")
	c.Add("b", 2)
	ByLabel(&r, "parley_x_total", "h", "reason", &c, "a")
	r.Bool("parley_y", "h", true)
	r.Counter("parley_x_total", "h", 7, Label{"reason", "c"})
	var names []string
	for _, f := range r.Families() {
		names = append(names, f.Name)
	}
	if want := []string{"parley_empty_total", "parley_x_total", "parley_y"}; !reflect.DeepEqual(names, want) {
		t.Fatalf("families %v, want %v", names, want)
	}
	got := map[string]float64{}
	for _, v := range r.Families()[1].Values {
		got[v.Labels[0]] = v.Number
	}
	if want := map[string]float64{"a": 0, "b": 3, "c": 7}; !reflect.DeepEqual(got, want) {
		t.Errorf("values %v, want %v", got, want)
	}
}

func TestCountersCountForMany(t *testing.T) {
	var c Counter
	var k Counters[string]
	h := Fine()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 1000 {
				c.Inc()
				k.Inc("x")
				h.Observe(time.Millisecond)
			}
		})
	}
	all.Wait()
	if c.Value() != 8000 || k.Values()["x"] != 8000 || h.Read().Count != 8000 {
		t.Errorf("counted %d, %d and %d of 8000", c.Value(), k.Values()["x"], h.Read().Count)
	}
}

// BenchmarkMessage is what counting adds to one message on its way through the broker: as one that is read, as one that
// is stored with its latency, as one that is delivered in a batch.
func BenchmarkMessage(b *testing.B) {
	var read, readBytes, stored, ofTenant, bytes, delivered Counter
	latency := Fine()
	b.ReportAllocs()
	before, _ := usage.Own()
	for b.Loop() {
		read.Inc()
		readBytes.Add(256)
		stored.Inc()
		ofTenant.Inc()
		bytes.Add(256)
		latency.Observe(3 * time.Millisecond)
		delivered.Add(16)
	}
	after, _ := usage.Own()
	b.ReportMetric(float64((after.User+after.System-before.User-before.System).Nanoseconds())/float64(b.N), "cpu-ns/op")
}
