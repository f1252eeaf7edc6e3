package broker

import (
	"context"
	"fmt"
	"sync"
	"testing"
)

// nodesHearEachOther has every node tell something: all others hear it, and it itself does not.
func nodesHearEachOther(t *testing.T, c *testCluster) {
	t.Helper()
	var mu sync.Mutex
	heard := map[string]string{} // what was said, by who heard whom
	for i, e := range c.nodes {
		stop, err := e.Hear("test", func(from Token, data []byte) {
			mu.Lock()
			defer mu.Unlock()
			heard[fmt.Sprint(i, " ", from)] = string(data)
		})
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
	}
	n := len(c.nodes)
	eventually(t, func(context.Context) error { // what is told before the others are known to listen is lost
		for i, e := range c.nodes {
			if err := e.Tell("test", fmt.Append(nil, "from ", i)); err != nil {
				return err
			}
			if err := e.Tell("another", []byte("for nobody")); err != nil {
				return err
			}
		}
		mu.Lock()
		defer mu.Unlock()
		if len(heard) < n*(n-1) {
			return fmt.Errorf("heard %v", heard)
		}
		return nil
	})
	mu.Lock()
	defer mu.Unlock()
	for i := range c.nodes {
		for j, e := range c.nodes {
			said, ok := heard[fmt.Sprint(i, " ", e.Node())]
			if ok != (i != j) || ok && said != fmt.Sprint("from ", j) {
				t.Errorf("node %d heard %q of node %d", i, said, j)
			}
		}
	}
}
