package tick

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestEvery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 6500*time.Millisecond)
		defer cancel()
		began := time.Now()
		var at []time.Duration
		for now := range Every(ctx, time.Second) {
			at = append(at, now.Sub(began)/time.Second)
			if len(at) == 2 {
				<-time.After(2500 * time.Millisecond) // over two more
			}
		}
		if want := []time.Duration{1, 2, 3, 5, 6}; !slices.Equal(at, want) {
			t.Errorf("came after %v s, want %v", at, want)
		}
		if took := time.Since(began); took != 6500*time.Millisecond {
			t.Errorf("ended after %v, not with its context", took)
		}
		for range Every(t.Context(), time.Second) {
			break
		}
	})
}
