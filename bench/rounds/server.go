package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"parley/internal/usage"
)

// outcome is what one run has found: the part of a bench.Result that the records need.
type outcome struct {
	Unit      string  `json:"unit"`
	Seconds   float64 `json:"seconds"`
	PerSecond float64 `json:"per_second"`
	Broker    struct {
		CPU        float64 `json:"cpu_us_per_unit"`
		RSS        float64 `json:"rss_bytes"`
		PerConn    float64 `json:"rss_per_conn,omitzero"`
		PerTenant  float64 `json:"rss_per_tenant,omitzero"`
		PerChannel float64 `json:"rss_per_channel,omitzero"`
	} `json:"broker"`
	Latency latency `json:"latency"`
	Load    struct {
		Others float64 `json:"others_cores"`
	} `json:"load"`
	Parts []part `json:"parts,omitempty"`
}

// part is what was measured besides.
type part struct {
	Name    string  `json:"name"`
	CPU     float64 `json:"cpu_us_per_unit"`
	Latency latency `json:"latency"`
}

type latency struct {
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
}

// server is a program that is measured.
type server struct{ kind, binary string }

// rest is how long the machine is left alone before a run.
const rest = time.Second

// measure runs `parley bench` with some arguments against a fresh server.
func (s server) measure(ctx context.Context, generator string, args []string) (o outcome, err error) {
	dir, err := os.MkdirTemp("", "rounds-")
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	return s.load(ctx, dir, generator, args)
}

// load starts the server on a directory, runs `parley bench` and stops the server.
func (s server) load(ctx context.Context, dir, generator string, args []string) (o outcome, err error) {
	env, stop, err := s.start(ctx, dir)
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if err := awaitCalm(ctx); err != nil {
		return o, err
	}
	args = append([]string{"bench"}, args...)
	cmd := exec.CommandContext(ctx, generator, append(args, "--quiet", "--json")...) //nolint:gosec // G204: the caller names the programs
	cmd.Env, cmd.Stderr = append(os.Environ(), env...), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return o, fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return o, json.Unmarshal(out, &o)
}

// start starts the server and returns the environment by which the generator finds it, and how to stop it.
func (s server) start(ctx context.Context, dir string) (env []string, stop func() error, err error) {
	args := []string{}
	if s.kind == "parley" {
		args = []string{"serve", "--data", dir, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0", "--log-level", "error"}
	}
	cmd := exec.Command(s.binary, args...)                //nolint:gosec,noctx // G204: see above; and it ends when it is told to
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt is not the server's to hear
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	url := bufio.NewReader(stdout)
	stop = func() error {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_, _ = io.Copy(io.Discard, url)
		if err := cmd.Wait(); err != nil && s.kind == "parley" { // the reference knows no way to end but this
			return err
		}
		return nil
	}
	if s.kind == "limit" {
		line, err := url.ReadString('\n')
		if err != nil {
			return nil, nil, errors.Join(err, stop())
		}
		return []string{"PARLEY_SERVER=" + strings.TrimSpace(line), "PARLEY_ADMIN_KEY=" + strings.Repeat("x", 43)}, stop, nil
	}
	if err := awaitReady(ctx, dir); err != nil {
		return nil, nil, errors.Join(err, stop())
	}
	return []string{"PARLEY_DATA=" + dir}, stop, nil
}

// patience is how long a server may take to be ready. One with thousands of tenants takes its time.
const patience = 3 * time.Minute

func awaitReady(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		if url, err := os.ReadFile(filepath.Join(dir, "admin.url")); err == nil {
			if ready(ctx, strings.TrimSpace(string(url))) {
				return nil
			}
		}
		if !sleep(ctx, 20*time.Millisecond) {
			return errors.New("the server did not become ready")
		}
	}
}

// awaitCalm waits for a moment in which the machine has little else to do, but not for long.
func awaitCalm(ctx context.Context) error {
	const tries, little = 10, 0.15
	for range tries {
		before, known := usage.Machine()
		if !sleep(ctx, rest) {
			return ctx.Err()
		}
		after, _ := usage.Machine()
		if !known || (after-before).Seconds() < little*rest.Seconds() {
			return nil
		}
	}
	return nil
}

func ready(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
