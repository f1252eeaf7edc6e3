package channels

import (
	"parley/broker"
	"parley/internal/fault"
	"parley/tenants"
)

// Address is where messages go: a channel, or the inbox of an agent. Exactly one of Channel and Agent is set.
type Address struct {
	Tenant  tenants.ID
	Channel broker.Name
	Agent   broker.Token
}

// Subject is the address inside its tenant's account.
func (a Address) Subject() broker.Subject {
	if a.Agent != "" {
		return broker.AgentSubject(a.Agent)
	}
	return broker.ChannelSubject(a.Channel)
}

func (a Address) stream() broker.Stream {
	if a.Agent != "" {
		return broker.Inboxes
	}
	return broker.Channels
}

// check refuses an address that names both kinds of destination, or none.
func (a Address) check() error {
	if (a.Agent == "") == (a.Channel == "") {
		return fault.New(fault.NoDestination, "The message names neither a channel nor a target.")
	}
	return nil
}
