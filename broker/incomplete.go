package broker

import (
	"context"
	"encoding/json"
	"maps"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// The leader of a stream counts a copy as current that has the stream's log. What was stored before there was a log, or was
// dropped from it since, comes beside it, from the leader's own copy, and whether it has come only the copy's server knows.

// healthSubject is where all servers answer with what they hold and is not well.
const healthSubject = "$SYS.REQ.SERVER.PING.HEALTHZ"

const (
	// healthRounds is how often in a row a server has to complain of a stream: one that is written to all the time is
	// sometimes a few messages late at the moment of the question.
	healthRounds = 3
	healthPause  = 50 * time.Millisecond // between two of them
)

// complaint is a stream of an account; without a stream, all that the account has; of neither, everything.
type complaint struct{ account, stream string }

// incomplete asks all servers which of the streams that they hold are not complete there, with the places in them. The answers
// are by the server's name.
func (e *Engine) incomplete(ctx context.Context) (map[string]map[complaint]bool, error) {
	all, err := e.complaints(ctx)
	for range healthRounds - 1 {
		if err != nil || len(all) == 0 {
			break
		}
		select {
		case <-time.After(healthPause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		var again map[string]map[complaint]bool
		again, err = e.complaints(ctx)
		for name, about := range all {
			if all[name] = both(about, again[name]); len(all[name]) == 0 {
				delete(all, name)
			}
		}
	}
	return all, err
}

// both returns what is complained of in both answers of a server.
func both(a, b map[complaint]bool) map[complaint]bool {
	switch everything := (complaint{}); {
	case a[everything]:
		return b
	case b[everything]:
		return a
	}
	maps.DeleteFunc(a, func(c complaint, _ bool) bool { return !b[c] })
	return a
}

// complaints asks once. Who has none is not among the answers.
func (e *Engine) complaints(ctx context.Context) (map[string]map[complaint]bool, error) {
	request, err := json.Marshal(server.HealthzOptions{Details: true})
	if err != nil {
		return nil, err
	}
	all := map[string]map[complaint]bool{}
	everyServer := func() int { return e.servers.size().servers }
	err = e.gather(ctx, e.system.nc, healthSubject, request, everyServer, func(b []byte) error {
		var reply server.ServerAPIHealthzResponse
		if err := json.Unmarshal(b, &reply); err != nil || reply.Server == nil || reply.Data == nil {
			return err
		}
		for _, c := range reply.Data.Errors {
			about := all[reply.Server.Name]
			if about == nil {
				about = map[complaint]bool{}
				all[reply.Server.Name] = about
			}
			about[complaint{c.Account, c.Stream}] = true
		}
		return nil
	})
	return all, err
}
