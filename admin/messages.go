package admin

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"parley/acks"
	"parley/broker"
	"parley/channels"
	"parley/internal/fault"
	"parley/internal/rawjson"
)

// maxContentBytes is what clients may say in one message, too.
const maxContentBytes = 64 << 10

func (s *Server) listChannels(w http.ResponseWriter, r *http.Request) error {
	space, _, err := s.space(r)
	if err != nil {
		return err
	}
	defer space.Release()
	found, err := space.Channels(r.Context())
	if err != nil {
		return err
	}
	slices.SortFunc(found, func(a, b channels.ChannelInfo) int { return cmp.Compare(a.Name, b.Name) })
	all := Channels{Channels: []Channel{}}
	for _, c := range found {
		all.Channels = append(all.Channels, Channel{ID: c.Name, Messages: c.Messages})
	}
	s.reply(w, http.StatusOK, all)
	return nil
}

// channel opens the tenant and the channel that the path names. The caller releases the space.
func (s *Server) channel(r *http.Request) (*channels.Space, channels.Address, error) {
	name, err := broker.ParseName(r.PathValue("channel"))
	if err != nil {
		return nil, channels.Address{}, err
	}
	space, t, err := s.space(r)
	return space, channels.Address{Tenant: t.ID, Channel: name}, err
}

func (s *Server) publish(w http.ResponseWriter, r *http.Request) error {
	body, err := read[NewMessage](w, r)
	if err != nil {
		return err
	}
	m, err := body.message()
	if err != nil {
		return err
	}
	space, to, err := s.channel(r)
	if err != nil {
		return err
	}
	defer space.Release()
	m.To = to
	settled := make(receipt, 1)
	if err := space.Publish(r.Context(), m, settled); err != nil {
		return err
	}
	outcome := <-settled // the publisher settles every message within its timeout
	if outcome.Err != nil {
		return outcome.Err
	}
	s.reply(w, http.StatusCreated, Receipt{ID: m.ID, Seq: outcome.Seq, Duplicate: outcome.Duplicate, Stored: !outcome.Unstored})
	return nil
}

// message is m as it is stored, but for where to.
func (m NewMessage) message() (channels.Message, error) {
	if len(m.Content) == 0 {
		return channels.Message{}, fault.New(fault.InvalidFormat, "The message has no content.")
	}
	if len(m.Content) > maxContentBytes {
		return channels.Message{}, fault.New(fault.MessageTooLarge, "The content is longer than %d bytes.", maxContentBytes)
	}
	if len(m.ID) > channels.MaxIDBytes {
		return channels.Message{}, fault.New(fault.InvalidID, "A message id is at most %d bytes long.", channels.MaxIDBytes)
	}
	if m.Agent != "" {
		if _, err := broker.ParseToken(string(m.Agent)); err != nil {
			return channels.Message{}, err
		}
	}
	if m.ID == "" {
		id, err := uuid.NewV7()
		if err != nil {
			return channels.Message{}, fault.Wrap(fault.Internal, err, "make a message id")
		}
		m.ID = id.String()
	}
	return channels.Message{
		Sender: m.Agent, ID: m.ID, Time: time.Now(),
		Members: []rawjson.Member{{Name: "type", Value: jsontext.Value(`"message"`)}, {Name: "content", Value: m.Content}},
	}, nil
}

// receipt takes the one outcome of a message.
type receipt chan acks.Outcome

// Settle implements acks.Receipt.
func (r receipt) Settle(o acks.Outcome) { r <- o }

// Flush implements acks.Receipt.
func (r receipt) Flush() {}

var _ acks.Receipt = receipt(nil)

func (s *Server) history(w http.ResponseWriter, r *http.Request) error {
	since, err := sinceOf(r)
	if err != nil {
		return err
	}
	limit, err := limitOf(r)
	if err != nil {
		return err
	}
	space, from, err := s.channel(r)
	if err != nil {
		return err
	}
	defer space.Release()
	h, err := space.History(r.Context(), from, since, limit)
	if err != nil {
		return err
	}
	page := Page{Messages: []jsontext.Value{}, Last: h.Last, More: h.More}
	if h.Gap != nil {
		page.Messages = append(page.Messages, gapLine(from.Channel, *h.Gap))
	}
	for _, m := range h.Messages {
		page.Messages = append(page.Messages, jsontext.Value(m))
	}
	s.reply(w, http.StatusOK, page)
	return nil
}

// limitOf reads how much of a list is wanted at most.
func limitOf(r *http.Request) (int, error) {
	text := r.URL.Query().Get("limit")
	if text == "" {
		return channels.MaxHistory, nil
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 1 || limit > channels.MaxHistory {
		return 0, fault.New(fault.InvalidFormat, "limit is a number from 1 to %d.", channels.MaxHistory)
	}
	return limit, nil
}

func sinceOf(r *http.Request) (channels.Since, error) {
	if text := r.URL.Query().Get("since"); text != "" {
		return channels.ParseSince(text)
	}
	return channels.Since{}, nil
}

// gapLine tells of messages that retention has dropped, the way clients of the agents dialect are told.
func gapLine(c broker.Name, g channels.Gap) jsontext.Value {
	b := rawjson.AppendString([]byte(`{"type":"GAP","channel_id":`), string(c))
	b = strconv.AppendUint(append(b, `,"from":`...), g.From, 10)
	return append(strconv.AppendUint(append(b, `,"to":`...), g.To, 10), '}')
}
