package broker

import (
	"fmt"
	"sync"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

// TestManyEraseTheSameRevisions: whoever deletes a tenant erases what others have deleted meanwhile, who do so as well.
func TestManyEraseTheSameRevisions(t *testing.T) {
	t.Parallel()
	e := mustOpen(t, Config{DataDir: t.TempDir(), Listen: ListenOff})
	const revisions = 20
	kv, err := e.Bucket(t.Context(), jetstream.KeyValueConfig{Bucket: "secrets", Storage: jetstream.FileStorage, History: revisions})
	if err != nil {
		t.Fatal(err)
	}
	for i := range revisions {
		if _, err := kv.Put(t.Context(), "acme", fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	var erasing sync.WaitGroup
	for range 4 {
		erasing.Go(func() {
			if err := e.EraseRevisions(t.Context(), "secrets", "acme", true); err != nil {
				t.Errorf("what somebody else has erased: %v", err)
			}
		})
	}
	erasing.Wait()
	left, err := kv.History(t.Context(), "acme")
	if err != nil || len(left) != 1 || string(left[0].Value()) != fmt.Sprint(revisions-1) {
		t.Errorf("left: %v, %v", left, err)
	}
}
