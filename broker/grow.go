package broker

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"parley/internal/tick"
)

// growEvery is how often a node looks for streams that could be on more nodes.
const growEvery = 5 * time.Second

// keepGrowing puts streams that are on fewer nodes than there could be on more of them, until ctx ends.
func (e *Engine) keepGrowing(ctx context.Context) {
	for range tick.Every(ctx, growEvery) {
		if err := e.grow(ctx); err != nil && ctx.Err() == nil {
			e.log.Warn("not all streams are on as many nodes as they could be; it will be tried again", "err", err)
		}
	}
}

// grow has the streams that are this node's to look after put on as many nodes as there are, up to maxReplicas. The server
// does so by and by; how far it is, Members tells. One that can't be put there does not keep the others from it.
func (e *Engine) grow(ctx context.Context) error {
	want := e.replicas()
	all, err := e.servers.led(ctx, want)
	if err != nil {
		return err
	}
	var first error
	failed := 0
	for _, s := range all {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := e.growStream(ctx, s.accountKey, s.stream, want); err != nil {
			first = cmp.Or(first, err)
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d streams, of which the first: %w", failed, len(all), first)
	}
	return nil
}

// reach returns the node's connection to an account, or one of its own to an account that is suspended.
func (e *Engine) reach(ctx context.Context, a AccountID) (c *Conn, leave func(), err error) {
	if e.conns.isBarred(a) {
		return e.Visit(ctx, a)
	}
	if c, err = e.Acquire(ctx, a); err != nil {
		return nil, nil, err
	}
	return c, c.Release, nil
}

func (e *Engine) growStream(ctx context.Context, account, stream string, replicas int) error {
	id, err := e.accountID(ctx, account)
	if err != nil {
		return err
	}
	c, leave, err := e.reach(ctx, id)
	if err != nil {
		return fmt.Errorf("reach account %s: %w", id, err)
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	c.copying.mu.RLock()
	defer c.copying.mu.RUnlock()
	s, err := c.js.Stream(ctx, stream)
	if err != nil {
		return fmt.Errorf("look at stream %s of account %s: %w", stream, id, err)
	}
	cfg := s.CachedInfo().Config
	if cfg.Replicas >= replicas && !lacksCopies(stream, cfg.RePublish != nil) {
		return nil
	}
	cfg.Replicas = max(cfg.Replicas, replicas)
	if lacksCopies(stream, cfg.RePublish != nil) { // one node alone has made it
		cfg.RePublish = c.copies(Stream(stream))
	}
	if _, err := c.js.UpdateStream(ctx, cfg); err != nil {
		return fmt.Errorf("put stream %s of account %s on %d nodes: %w", stream, id, replicas, err)
	}
	e.log.Info("a stream is being put on more nodes", "account", id, "stream", stream, "nodes", replicas)
	return nil
}
