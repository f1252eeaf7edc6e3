package broker

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// gatewayName is what the broker's own connections call themselves, for people who look at the server.
	gatewayName = "parley-gateway"
	// gatewayTag is in the tokens of their users. Nobody else can have it.
	gatewayTag = "parley-gateway"
)

// arrivalsWithin is how soon one service that connects after another is told again: a service that is told to come back
// at every moment must not keep the node busy.
const arrivalsWithin = 100 * time.Millisecond

// OnService has f called with a tenant's account whenever one of its services has connected, on any node: whoever serves
// the services of a tenant must be there before they ask, and a node opens nothing of a tenant that nobody uses. f must
// not block. There is no way to take it back: it is meant for those who live as long as the engine.
func (e *Engine) OnService(f func(AccountID)) error {
	var last string
	var at time.Time
	return e.onArrival(func(a arrival) {
		if a.Client.Account == last && time.Since(at) < arrivalsWithin {
			return
		}
		last, at = a.Client.Account, time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
		defer cancel()
		if id, err := e.accountID(ctx, a.Client.Account); err == nil && id != systemAccount && id != brokerAccount {
			f(id)
		}
	})
}

// OnServiceHere has f called with each service that has connected to this node's server, in the moment in which it may
// begin to publish. f must not block. Like OnService, it can't be taken back. With external servers f is never called.
func (e *Engine) OnServiceHere(f func(Service)) error {
	if e.server == nil {
		return nil
	}
	own := e.server.ID()
	return e.onArrival(func(a arrival) {
		if a.Server.ID == own {
			f(Service{AccountKey: a.Client.Account, UserKey: a.Client.User, Address: a.Client.Host, id: a.Client.ID})
		}
	})
}

// arrival is what a server tells of somebody who has connected.
type arrival struct {
	Server struct {
		ID string `json:"id"`
	} `json:"server"`
	Client struct {
		ID      uint64   `json:"id"`
		Account string   `json:"acc"`
		User    string   `json:"user"`
		Host    string   `json:"host"`
		Tags    []string `json:"tags"`
	} `json:"client"`
}

// onArrival has f called with everybody who connects to any server, but the nodes themselves.
func (e *Engine) onArrival(f func(arrival)) error {
	_, err := e.system.nc.Subscribe("$SYS.ACCOUNT.*.CONNECT", func(m *nats.Msg) {
		var a arrival
		if json.Unmarshal(m.Data, &a) == nil && !slices.Contains(a.Client.Tags, gatewayTag) {
			f(a)
		}
	})
	return err
}
