package test

import (
	"bufio"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"parley/test/rig"
)

// load is what `parley bench` prints with --json, as far as it does not depend on the machine.
type load struct {
	Scenario, Unit string
	Units          uint64
	Broker         *struct {
		CPU   float64 `json:"cpu_us_per_unit"`
		RSS   uint64  `json:"rss_bytes"`
		Nodes []struct {
			RSS uint64 `json:"rss_bytes"`
		}
	}
	Latency *struct {
		P50 float64 `json:"p50_ms"`
	}
	Counts struct {
		Sent, Acknowledged, Expected, Delivered, Duplicated, Missing, Reordered uint64
	}
}

// TestBench runs each load at a small scale against the built broker. Times are not judged, but every count is.
func TestBench(t *testing.T) {
	t.Parallel()
	server := parley.Start(t, rig.Options{})
	short := []string{"--warmup", "100ms", "--duration", "500ms"}
	for _, c := range []struct {
		args        []string
		unit        string
		subscribers uint64 // of each message; 0 when it is not the same for all
		deliveries  uint64 // at least
	}{
		{append([]string{"fanout", "--subscribers", "20"}, short...), "delivery", 20, 20},
		{append([]string{"fanout", "--subscribers", "3", "--rate", "50", "--size", "1024"}, short...), "delivery", 3, 3},
		{append([]string{"fanout", "--subscribers", "5", "--half"}, short...), "delivery", 5, 5},
		{append([]string{"channels", "--channels", "10", "--in-flight", "40"}, short...), "delivery", 2, 2},
		{append([]string{"channels", "--channels", "10", "--subscribers", "1", "--rate", "200"}, short...), "delivery", 1, 1},
		{append([]string{"ack"}, short...), "ack", 0, 0},
		{append([]string{"ack", "--connections", "5", "--window", "16"}, short...), "ack", 0, 0},
		{append([]string{"tokens", "--streams", "10"}, short...), "token", 1, 1},
		{append([]string{"tokens", "--streams", "10", "--publishers", "1"}, short...), "token", 1, 1},
		{[]string{"idle", "--connections", "40", "--channels", "7", "--settle", "100ms"}, "connection", 0, 40},
		{[]string{"reconnect", "--connections", "40", "--channels", "7", "--missed", "5"}, "connection", 0, 40 * 6},
		{append([]string{"tenants", "--tenants", "5", "--rate", "200", "--settle", "0s"}, short...), "ack", 0, 0},
		{append([]string{"channels", "--channels", "30", "--connections", "3", "--rate", "200", "--settle", "0s"}, short...), "delivery", 0, 2*31 + 30*20},
		{[]string{"stored", "--messages", "1000", "--channels", "5", "--looks", "20"}, "message", 0, 20 * (50 + 50 + 100 + 100)},
	} {
		t.Run(strings.Join(c.args[:min(len(c.args), 3)], " "), func(t *testing.T) {
			out := server.MustCLI(append(append([]string{"bench"}, c.args...), "--quiet", "--json")...)
			var got load
			if err := json.Unmarshal([]byte(out), &got); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			n := got.Counts
			if got.Scenario != c.args[0] || got.Unit != c.unit || got.Units == 0 || got.Latency == nil || got.Broker == nil || got.Broker.RSS == 0 {
				t.Errorf("%s", out)
			}
			if n.Sent == 0 || n.Acknowledged != n.Sent || n.Delivered != n.Expected || n.Delivered < c.deliveries || n.Duplicated+n.Missing+n.Reordered > 0 ||
				c.subscribers > 0 && n.Delivered != c.subscribers*n.Sent {
				t.Errorf("the counts do not add up: %s", out)
			}
		})
	}
	if list := server.MustCLI("tenant", "list"); strings.Contains(list, "bench-") {
		t.Errorf("tenants are left:\n%s", list)
	}
}

// TestBenchForPeople: text on stdout, progress on stderr, and refusals that say what to do.
func TestBenchForPeople(t *testing.T) {
	t.Parallel()
	server := parley.Start(t, rig.Options{})
	r := server.CLI("bench", "ack", "--warmup", "0s", "--duration", "200ms")
	if r.Code != 0 || !strings.Contains(r.Stdout, "ack: 1 connection with 1 in flight each, 128 bytes\n") || !strings.Contains(r.Stdout, "acknowledged\n") ||
		!strings.Contains(r.Stderr, "measuring: ") {
		t.Errorf("%+v", r)
	}
	for _, args := range [][]string{
		{"fanout", "--size", "1"},
		{"fanout", "--size", "100000"},
		{"fanout", "--window", "0"},
		{"fanout", "--rate", "-1"},
		{"fanout", "--half", "--rate", "10"},
		{"fanout", "--half", "--warmup", "0s"},
		{"ack", "--node", "http://127.0.0.1:1,/nowhere"},
		{"fanout", "--subscribers", "-1"},
		{"channels", "--channels", "0"},
		{"ack", "--window", "100000"},
		{"ack", "--duration", "2h"},
		{"ack", "--duration", "-1s"},
		{"idle", "--connections", "0"},
		{"reconnect", "--missed", "0"},
		{"tenants", "--rate", "0"},
		{"tenants", "--tenants", "0"},
		{"channels", "--connections", "2", "--channels", "10"},
		{"channels", "--connections", "1", "--channels", "2000", "--subscribers", "1", "--rate", "10"},
		{"stored", "--messages", "99", "--channels", "1"},
		{"ack", "--threads", "0"},
		{"ack", "--address", "nowhere"},
	} {
		if r := server.CLI(append(append([]string{"bench"}, args...), "--quiet")...); r.Code != 2 || r.Stdout != "" {
			t.Errorf("%s: %+v", args, r)
		}
	}
	if r := server.CLI("bench", "ack", "--quiet", "--address", "127.0.0.1:1"); r.Code != 6 || !strings.Contains(r.Stderr, "--address") {
		t.Errorf("nobody there: %+v", r)
	}
	if list := server.MustCLI("tenant", "list"); strings.Contains(list, "bench-") {
		t.Errorf("tenants are left:\n%s", list)
	}
}

// TestBenchOfCluster: connections are spread over all nodes, and what they cost is the sum.
func TestBenchOfCluster(t *testing.T) {
	t.Parallel()
	nodes := parley.StartCluster(t, 3)
	out := nodes[0].MustCLI("bench", "channels", "--channels", "10", "--warmup", "100ms", "--duration", "500ms", "--quiet", "--json",
		"--node", nodes[1].Data, "--node", nodes[2].AdminURL()+","+filepath.Join(nodes[2].Data, "admin.key"))
	var got load
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	n := got.Counts
	if n.Sent == 0 || n.Acknowledged != n.Sent || n.Delivered != 2*n.Sent || n.Duplicated+n.Missing+n.Reordered > 0 {
		t.Errorf("the counts do not add up: %s", out)
	}
	if got.Broker == nil || len(got.Broker.Nodes) != 3 || got.Broker.Nodes[0].RSS+got.Broker.Nodes[1].RSS+got.Broker.Nodes[2].RSS != got.Broker.RSS {
		t.Errorf("not all nodes count: %s", out)
	}
	for _, node := range nodes[1:] {
		if text := node.MustCLI("bench", "ack", "--warmup", "0s", "--duration", "200ms", "--node", nodes[0].Data); !strings.Contains(text, "    node 2  ") {
			t.Errorf("no node 2 in\n%s", text)
		}
	}
}

// TestBareReference: what the broker is compared with carries the same messages.
func TestBareReference(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "limit")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./bench/limit")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	limit := exec.CommandContext(t.Context(), binary)
	stdout, err := limit.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := limit.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = limit.Process.Kill()
		_ = limit.Wait()
	})
	url, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"PARLEY_SERVER=" + strings.TrimSpace(url), "PARLEY_ADMIN_KEY=" + strings.Repeat("x", 43)}
	for _, args := range []string{
		"fanout --subscribers 20 --duration 300ms", "channels --channels 10 --duration 300ms", "ack --connections 5 --window 16 --duration 300ms",
		"tokens --streams 10 --publishers 1 --duration 300ms", "idle --connections 30 --channels 7 --settle 0s",
	} {
		r := parley.Run(t, rig.Command{Args: append([]string{"bench"}, strings.Fields(args+" --quiet")...), Env: env})
		if r.Code != 0 || !strings.Contains(r.Stdout, "sent, ") {
			t.Errorf("%s: %+v", args, r)
		}
	}
}
