package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"parley/admin"
)

// curve is what is measured of something that there may be more and more of.
type curve struct {
	name    string
	steps   []int
	args    func(n int) []string // of `parley bench`, for n of them
	restart bool                 // measure a start with all that, too
}

// curves are those of docs/scaling.md.
func curves() []curve {
	number := func(n int) string { return fmt.Sprint(n) }
	return []curve{
		{name: "subscribers", steps: []int{10, 100, 1000, 10_000}, args: func(n int) []string {
			return []string{"fanout", "--subscribers", number(n), "--warmup", "2s"}
		}},
		{name: "tenants", steps: []int{1, 10, 100, 1000, 4500}, restart: true, args: func(n int) []string {
			return []string{"tenants", "--tenants", number(n), "--rate", "2000"}
		}},
		{name: "channels", steps: []int{1, 100, 10_000, 100_000}, restart: true, args: func(n int) []string {
			const most = 1000 // that a connection may subscribe to
			return []string{"channels", "--channels", number(n), "--subscribers", "1", "--rate", "2000", "--connections", number((n + most - 1) / most)}
		}},
		{name: "messages", steps: []int{10_000, 100_000, 1_000_000, 10_000_000}, restart: true, args: func(n int) []string {
			return []string{"stored", "--messages", number(n), "--settle", "10s"}
		}},
	}
}

// growth is what the curves have found, by their names, as docs/scaling.json keeps it.
type growth map[string]measured

// measured is one curve.
type measured struct {
	Machine string  `json:"machine"`
	Date    string  `json:"date"`
	Points  []point `json:"points"`
}

// point is one step of a curve.
type point struct {
	At      int      `json:"at"` // how many there were
	Found   outcome  `json:"found"`
	Restart *restart `json:"restart,omitempty"`
}

// restart is what it takes to start a broker that holds something already, until it is ready.
type restart struct {
	Seconds    float64 `json:"seconds"`
	CPUSeconds float64 `json:"cpu_seconds"`
	RSS        uint64  `json:"rss_bytes"`
}

// grow measures the curves whose name contains a text, up to a number of things. When a step fails it goes on with the
// next curve, and returns what there is with the error.
func (r rig) grow(ctx context.Context, only string, most int) (g growth, err error) {
	g = growth{}
	for _, c := range curves() {
		if !strings.Contains(c.name, only) {
			continue
		}
		points, failed := r.follow(ctx, c, most)
		if len(points) > 0 {
			g[c.name] = measured{machine(), today(), points}
		}
		if err = errors.Join(err, failed); ctx.Err() != nil {
			break
		}
	}
	return g, err
}

// follow measures one curve.
func (r rig) follow(ctx context.Context, c curve, most int) (points []point, err error) {
	for _, n := range c.steps {
		if n > most {
			break
		}
		fmt.Fprintf(os.Stderr, "%d %s\n", n, c.name)
		p, err := r.step(ctx, c, n)
		if err != nil {
			return points, fmt.Errorf("%d %s: %w", n, c.name, err)
		}
		points = append(points, p)
	}
	return points, nil
}

// step measures a fresh broker with n things and, if asked for, how it starts again.
func (r rig) step(ctx context.Context, c curve, n int) (p point, err error) {
	dir, err := os.MkdirTemp("", "rounds-")
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	broker := server{"parley", r.parley}
	p.At = n
	p.Found, err = broker.load(ctx, dir, r.parley, append(c.args(n), "--keep"))
	if err != nil || !c.restart {
		return p, err
	}
	p.Restart, err = broker.again(ctx, dir)
	return p, err
}

// again starts the broker on what a directory holds.
func (s server) again(ctx context.Context, dir string) (r *restart, err error) {
	began := time.Now()
	_, stop, err := s.start(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	r = &restart{Seconds: time.Since(began).Seconds()}
	url, key, err := admin.Find(dir)
	if err != nil {
		return nil, err
	}
	client, err := admin.NewClient(url, key)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	info, err := client.Info(ctx)
	if err != nil || info.Process == nil {
		return r, err
	}
	r.CPUSeconds, r.RSS = info.Process.UserSeconds+info.Process.SystemSeconds, info.Process.RSS
	return r, nil
}
