package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
)

// curve is what is measured of something that there may be more and more of.
type curve struct {
	name    string
	steps   []int
	args    func(n int) []string // of `parley bench`, for n of them
	restart bool                 // measure a start with all that, too
	fit     int                  // so many fit into the descriptors at a time; of a larger step only the start with all of them is measured. Zero means any number.
	tenants bool                 // look after a start how long the first messages of tenants take, and until all are open
}

// curves are those of docs/scaling.md.
func curves() []curve {
	number := func(n int) string { return fmt.Sprint(n) }
	return []curve{
		{name: "subscribers", steps: []int{10, 100, 1000, 10_000}, args: func(n int) []string {
			return []string{"fanout", "--subscribers", number(n), "--warmup", "2s"}
		}},
		{name: "tenants", steps: []int{1, 10, 100, 1000, 4500}, args: func(n int) []string {
			return []string{"tenants", "--tenants", number(n), "--rate", "2000"}
		}},
		{name: "start with tenants", steps: []int{100, 1000, 5000}, restart: true, fit: 2500, tenants: true, args: func(n int) []string {
			return []string{"tenants", "--tenants", number(n), "--rate", "2000", "--settle", "0s"}
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
	for left := n; left > 0; {
		some := left
		if c.fit > 0 {
			some = min(left, c.fit)
		}
		if p.Found, err = broker.load(ctx, dir, r.parley, append(c.args(some), "--keep")); err != nil {
			return p, err
		}
		left -= some
	}
	if c.restart {
		p.Restart, err = broker.again(ctx, dir, c.tenants)
	}
	return p, err
}
