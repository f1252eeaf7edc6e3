package prose

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"testing"
)

// module is the path of the module whose types are described.
const module = "parley"

var update = flag.Bool("update", false, "write what the comments say into the file")

// Check compares a file with what the source under root says of types, and reports what has no comment. It writes the file
// when the tests were called with -update.
func Check(t *testing.T, types []reflect.Type, root, file string) {
	t.Helper()
	said, missing, err := Of(types, module, root)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range missing {
		t.Errorf("%s has no comment: clients read it in the API's description", key)
	}
	want, err := json.MarshalIndent(said, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile(file, want, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what the comments say (%v): go test -run Prose -update", file, err)
	}
}
