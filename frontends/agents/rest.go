package agents

import (
	"errors"
	"io"
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"parley/acks"
	"parley/broker"
	"parley/channels"
	"parley/internal/fault"
	"parley/internal/rawjson"
	"parley/tenants"
)

// open returns the tenant's space for the time of a request.
func (d *Dialect) open(r *http.Request, g *tenants.Grant) (*channels.Space, error) {
	return d.hub.Open(r.Context(), g.Tenant, g.Account)
}

// Agents serves GET /v1/agents.
func (d *Dialect) Agents(w http.ResponseWriter, r *http.Request, g *tenants.Grant) error {
	space, err := d.open(r, g)
	if err != nil {
		return err
	}
	defer space.Release()
	return reply(w, http.StatusOK, agentList{views(space.Agents(), g)})
}

// Agent serves GET /v1/agents/{agent}.
func (d *Dialect) Agent(w http.ResponseWriter, r *http.Request, g *tenants.Grant) error {
	id, err := broker.ParseToken(r.PathValue("agent"))
	if err != nil {
		return err
	}
	space, err := d.open(r, g)
	if err != nil {
		return err
	}
	defer space.Release()
	state, err := space.Agent(id)
	if err != nil {
		return err
	}
	return reply(w, http.StatusOK, view(state, g))
}

// Messages serves GET /v1/channels/{channel}/messages?since&limit.
func (d *Dialect) Messages(w http.ResponseWriter, r *http.Request, g *tenants.Grant) error {
	name, err := broker.ParseName(r.PathValue("channel"))
	if err != nil {
		return err
	}
	if !g.MaySubscribe(string(broker.ChannelSubject(name))) {
		return notAllowed("read", name)
	}
	since, limit := channels.Since{}, channels.MaxHistory
	if s := r.URL.Query().Get("since"); s != "" {
		if since, err = channels.ParseSince(s); err != nil {
			return err
		}
	}
	if s := r.URL.Query().Get("limit"); s != "" {
		if limit, err = parseLimit(s); err != nil {
			return err
		}
	}
	space, err := d.open(r, g)
	if err != nil {
		return err
	}
	defer space.Release()
	h, err := space.History(r.Context(), channels.Address{Tenant: g.Tenant, Channel: name}, since, limit)
	if err != nil {
		return err
	}
	page := ack{Channel: string(name)}
	page.setHistory(h)
	return reply(w, http.StatusOK, historyPage{page.Channel, page.Messages, page.Next, page.More, page.Gap})
}

// Publish serves POST /v1/channels/{channel}/messages: a frame as over WebSocket, answered when it is on disk.
func (d *Dialect) Publish(w http.ResponseWriter, r *http.Request, g *tenants.Grant) error {
	name, err := broker.ParseName(r.PathValue("channel"))
	if err != nil {
		return err
	}
	req, err := readRequest(r)
	if err != nil {
		return err
	}
	if named, err := req.channel(); err != nil {
		return err
	} else if named != "" && named != name {
		return fault.New(fault.InvalidFormat, "The message names another channel than the path.")
	}
	if _, ok := req.member("target"); ok {
		return fault.New(fault.InvalidFormat, "A message to a channel has no target.")
	}
	if req.Type == "" { // there is nothing else that one could post here
		req.Type = "message"
		req.Members = append(req.Members, rawjson.Member{Name: "type", Value: jsontext.Value(`"message"`)})
	}
	m, err := compose(req, g, name)
	if err != nil {
		return err
	}
	space, err := d.open(r, g)
	if err != nil {
		return err
	}
	defer space.Release()
	outcome := make(answer, 1)
	if err := space.Publish(r.Context(), m, outcome); err != nil {
		return err
	}
	o := <-outcome
	if o.Err != nil {
		return o.Err
	}
	status := http.StatusCreated
	if o.Duplicate {
		status = http.StatusOK
	}
	a := published{Type: "ACK", MessageID: m.ID, Timestamp: channels.FormatTime(m.Time), Channel: string(name), Seq: &o.Seq, Duplicate: o.Duplicate}
	if o.Unstored {
		a.Seq, a.Stored = nil, new(bool)
	}
	return reply(w, status, a)
}

// answer is a receipt for somebody who waits. The publisher's timeout bounds the wait.
type answer chan acks.Outcome

// Settle passes the outcome on.
func (a answer) Settle(o acks.Outcome) { a <- o }

// Flush has nothing to do.
func (a answer) Flush() {}

func readRequest(r *http.Request) (request, error) {
	body, err := io.ReadAll(r.Body)
	if tooBig, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return request{}, fault.New(fault.MessageTooLarge, "The message has more than %d bytes.", tooBig.Limit)
	}
	if err != nil {
		return request{}, fault.Wrap(fault.InvalidFormat, err, "The body could not be read.")
	}
	return decode(nil, body)
}

func reply(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // a client that is gone needs no answer
	return nil
}
