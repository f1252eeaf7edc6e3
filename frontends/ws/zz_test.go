package ws_test
import ("testing";"runtime";"runtime/pprof";"os";"fmt")
func BenchmarkZIdle(b *testing.B) {
	e := newEdge(b, edgeConfig{}); s := newSwarm(b)
	var m0, m1 runtime.MemStats
	runtime.GC(); runtime.ReadMemStats(&m0)
	s.do("dial %s %d", e.Listener.Addr(), 5000)
	for range 5000 { receive(b, e.conns) }
	runtime.GC();runtime.GC(); runtime.ReadMemStats(&m1)
	fmt.Printf("heap %d stack %d sys-other %d heapidle %d\n", (m1.HeapAlloc-m0.HeapAlloc)/5000, (m1.StackInuse-m0.StackInuse)/5000, (m1.OtherSys+m1.GCSys+m1.MSpanInuse-m0.OtherSys-m0.GCSys-m0.MSpanInuse)/5000, (m1.HeapInuse-m1.HeapAlloc)/5000)
	f,_ := os.Create("/tmp/heap.prof"); pprof.WriteHeapProfile(f); f.Close()
	s.do("hang")
}
