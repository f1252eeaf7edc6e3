package main

import (
	"context"
	"fmt"
	"os"
)

// pair is what one round has found of a load: the broker and the bare program, one right after the other, so that a
// machine whose speed changes by the minute treats both alike.
type pair struct{ own, bare outcome }

// calm reports whether other processes left both runs alone.
func (p pair) calm(limit float64) bool {
	return p.own.Load.Others <= limit && p.bare.Load.Others <= limit
}

// ratio is how many times the bare program's CPU time the broker took for the same.
func (p pair) ratio() float64 {
	if p.bare.Broker.CPU == 0 {
		return 0
	}
	return p.own.Broker.CPU / p.bare.Broker.CPU
}

// rig is the programs that take part.
type rig struct {
	parley string // the broker, which is also the load generator
	limit  string // the bare program
}

// measure takes a number of rounds of loads.
func (r rig) measure(ctx context.Context, all []load, rounds int, brief bool) (map[string][]pair, error) {
	pairs := map[string][]pair{}
	for round := range rounds {
		for _, l := range all {
			p, err := r.round(ctx, l, brief, fmt.Sprintf("round %d of %d: %s", round+1, rounds, l.name))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", l.name, err)
			}
			pairs[l.name] = append(pairs[l.name], p)
		}
	}
	return pairs, nil
}

func (r rig) round(ctx context.Context, l load, brief bool, title string) (p pair, err error) {
	args, bare := l.args, l.bare
	if bare == nil {
		bare = l.args
	}
	if brief {
		args, bare = append(args[:len(args):len(args)], l.brief...), append(bare[:len(bare):len(bare)], l.brief...)
	}
	fmt.Fprintln(os.Stderr, title)
	if p.own, err = (server{"parley", r.parley}).measure(ctx, r.parley, args); err != nil {
		return p, err
	}
	p.bare, err = server{"limit", r.limit}.measure(ctx, r.parley, bare)
	return p, err
}
