package broker

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"parley/internal/fault"
)

// takeStock notes which accounts the servers know, before the registry is read: whatever is made later can't be mistaken
// for one that the registry has lost. The broker's own must be among them.
func (x *external) takeStock(ctx context.Context, nc *nats.Conn) error {
	err := x.e.gather(ctx, nc, "$SYS.REQ.CLAIMS.LIST", nil, x.everyServer, func(b []byte) error {
		var list struct {
			Data []string `json:"data"`
		}
		err := json.Unmarshal(b, &list)
		for _, key := range list.Data {
			x.atOpen[key] = true
		}
		return err
	})
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "The NATS servers do not list their accounts.").
			WithFix("Their account resolver must be of the type full. " + fixConfig)
	}
	own, token, err := x.e.id.fixedToken(brokerAccount)
	if err != nil {
		return err
	}
	if x.atOpen[own] {
		return nil
	}
	var reply server.ServerAPIClaimUpdateResponse
	if err := askSystem(ctx, nc, "$SYS.REQ.CLAIMS.UPDATE", []byte(token), &reply); err != nil {
		return err
	}
	if reply.Error != nil {
		return fault.New(fault.Unavailable, "The NATS servers do not take the broker's account: %s.", reply.Error.Description)
	}
	return nil
}

func (x *external) accounts(context.Context) (map[string]bool, error) {
	return x.atOpen, nil
}

func (x *external) token(ctx context.Context, key string) (string, error) {
	token := ""
	err := x.e.gather(ctx, x.e.system.nc, "$SYS.REQ.ACCOUNT."+key+".CLAIMS.LOOKUP", nil, x.everyServer, func(b []byte) error {
		if len(b) == 0 { // this one does not have it, or not yet
			return nil
		}
		token = string(b)
		return errEnough
	})
	if err == nil && token == "" {
		err = fault.New(fault.NotFound, "The NATS servers have no account %s.", key)
	}
	return token, err
}

// conform has nothing to do: no server is this engine's, and they keep each other up to date.
func (x *external) conform(Account) error { return nil }

func (x *external) everyServer() int { return x.vitals.size().servers }

// disown removes an account that was deleted while a server was down, which has brought it back. One that this broker has
// not made is left alone.
func (x *external) disown(ctx context.Context, key string, whole bool) error {
	token, err := x.token(ctx, key)
	if fault.CodeOf(err) == fault.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	claims, err := jwt.DecodeAccountClaims(token)
	if err != nil {
		return nil //nolint:nilerr // it is nothing that a broker has written
	}
	if _, own := idOf(claims); !own || claims.Issuer != x.e.id.claims.Subject {
		return nil
	}
	if !whole {
		return fault.New(fault.Unavailable, "The NATS servers have the account %s of a tenant that the registry has lost.", key).
			WithFix("Restore their data from a backup. To begin anew, stop them and empty the directories of both JetStream and their account resolvers.")
	}
	x.e.log.Info("an account was deleted while a NATS server was down and is removed there, too", "account_key", key)
	if err := x.e.deleteAccount(ctx, key); err != nil {
		x.e.log.Warn("a deleted account could not be removed", "account_key", key, "err", err)
	}
	return nil
}

// sweep waits until no server has a stream of the account. What the servers keep of its directories is empty.
func (x *external) sweep(ctx context.Context, key string) error {
	for {
		left, err := x.holding(ctx, key)
		if err == nil && left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the streams of account %s are not gone yet: %w", key, ctx.Err())
		case <-time.After(2 * retryEvery):
		}
	}
}

// holding counts the streams of an account that the servers hold, each copy for itself.
func (x *external) holding(ctx context.Context, key string) (streams int, err error) {
	body, err := json.Marshal(server.JSzOptions{Account: key, Streams: true})
	if err != nil {
		return 0, err
	}
	err = x.e.gather(ctx, x.e.system.nc, "$SYS.REQ.SERVER.PING.JSZ", body, x.everyServer, func(b []byte) error {
		var answer server.ServerAPIJszResponse
		if err := json.Unmarshal(b, &answer); err != nil {
			return err
		}
		if answer.Error != nil {
			return fmt.Errorf("the server refused: %s", answer.Error.Description)
		}
		for _, a := range answer.Data.AccountDetails {
			streams += len(a.Streams)
		}
		return nil
	})
	return streams, err
}

const (
	// ledAtOnce is how many accounts a server tells of in one answer.
	ledAtOnce = 32
	// lookAgain is how often all streams are looked at although the servers have not become more.
	lookAgain = 10 * time.Minute
)

// led returns what is on too few servers, to the one engine that tidies up: the streams' leaders are not ours. All streams
// are looked at only when the servers have become more, and now and then.
func (x *external) led(ctx context.Context, replicas int) (all []streamOf, err error) {
	if x.e.Warden() != x.e.Node() || replicas <= x.grown && time.Since(x.looked) < lookAgain {
		x.grown = min(x.grown, replicas)
		return nil, nil
	}
	for _, one := range x.vitals.all() {
		for offset, total := 0, 1; one.storing && offset < total; offset += ledAtOnce {
			var page []streamOf
			if page, total, err = x.ledBy(ctx, one.id, offset, replicas); err != nil {
				return nil, err
			}
			all = append(all, page...)
		}
	}
	if len(all) == 0 { // else they are counted when they have grown
		x.grown, x.looked = replicas, time.Now()
	}
	return all, nil
}

// ledBy asks one server for those streams of some of its accounts that it leads, and how many accounts it has.
func (x *external) ledBy(ctx context.Context, id string, offset, replicas int) (all []streamOf, accounts int, err error) {
	body, err := json.Marshal(server.JSzOptions{
		Accounts: true, Streams: true, Config: true, StreamLeaderOnly: true, Offset: offset, Limit: ledAtOnce,
	})
	if err != nil {
		return nil, 0, err
	}
	var answer server.ServerAPIJszResponse
	if err := askSystem(ctx, x.e.system.nc, "$SYS.REQ.SERVER."+id+".JSZ", body, &answer); err != nil {
		return nil, 0, err
	}
	if answer.Error != nil {
		return nil, 0, fmt.Errorf("the server refused: %s", answer.Error.Description)
	}
	for _, a := range answer.Data.AccountDetails {
		for _, s := range a.Streams {
			if s.Config != nil && s.Config.Replicas < replicas {
				all = append(all, streamOf{a.Id, s.Name})
			}
		}
	}
	return all, answer.Data.Total, nil
}

// askSystem sends a request on the system account that one server answers.
func askSystem(ctx context.Context, nc *nats.Conn, subject string, data []byte, reply any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	m, err := nc.RequestWithContext(ctx, subject, data)
	if err != nil {
		return err
	}
	return json.Unmarshal(m.Data, reply)
}
