package broker

import (
	"context"
	"encoding/json"
	"time"

	"github.com/nats-io/nats.go"
)

// gatewayName is what the broker's own connections call themselves.
const gatewayName = "parley-gateway"

// arrivalsWithin is how soon one service that connects after another is told again: a service that is told to come back
// at every moment must not keep the node busy.
const arrivalsWithin = 100 * time.Millisecond

// OnService has f called with a tenant's account whenever one of its services has connected, on any node: whoever serves
// the services of a tenant must be there before they ask, and a node opens nothing of a tenant that nobody uses. f must
// not block. There is no way to take it back: it is meant for those who live as long as the engine.
func (e *Engine) OnService(f func(AccountID)) error {
	var last string
	var at time.Time
	_, err := e.system.nc.Subscribe("$SYS.ACCOUNT.*.CONNECT", func(m *nats.Msg) {
		var event struct {
			Client struct {
				Account string `json:"acc"`
				Name    string `json:"name"`
			} `json:"client"`
		}
		if err := json.Unmarshal(m.Data, &event); err != nil || event.Client.Name == gatewayName {
			return
		}
		if event.Client.Account == last && time.Since(at) < arrivalsWithin {
			return
		}
		last, at = event.Client.Account, time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
		defer cancel()
		if id, err := e.accountID(ctx, event.Client.Account); err == nil && id != systemAccount && id != brokerAccount {
			f(id)
		}
	})
	return err
}
