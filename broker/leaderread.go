package broker

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// In a cluster any node that has a copy of a stream answers direct gets, also one that lags behind. So what a direct get
// says of the end of a stream, or of a message that is not there, is asked of the stream's leader once more.

// leaderGet names one message: the one with the sequence, the first on Next from the sequence on, or the last on Last.
type leaderGet struct {
	Seq  uint64  `json:"seq,omitempty"`
	Next Subject `json:"next_by_subj,omitempty"`
	Last Subject `json:"last_by_subj,omitempty"`
}

// codeNoMessage is the server's answer when there is no such message.
const codeNoMessage = 10037

// fromLeader returns a message as the stream's leader has it, and whether there is one.
func (c *Conn) fromLeader(ctx context.Context, s Stream, get leaderGet) (Stored, bool, error) {
	body, err := json.Marshal(get)
	if err != nil {
		return Stored{}, false, err
	}
	var m *nats.Msg
	err = c.Insist(ctx, func(ctx context.Context) (err error) {
		m, err = c.nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+string(s), body)
		return err
	})
	if err != nil {
		return Stored{}, false, err
	}
	var answer struct {
		Message *struct {
			Subject Subject   `json:"subject"`
			Seq     uint64    `json:"seq"`
			Header  []byte    `json:"hdrs"`
			Data    []byte    `json:"data"`
			Time    time.Time `json:"time"`
		} `json:"message"`
		Error *struct {
			Code        int    `json:"err_code"`
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return Stored{}, false, err
	}
	switch {
	case answer.Error != nil && answer.Error.Code == codeNoMessage:
		return Stored{}, false, nil
	case answer.Error != nil:
		return Stored{}, false, fmt.Errorf("%s (%d)", answer.Error.Description, answer.Error.Code)
	case answer.Message == nil:
		return Stored{}, false, fmt.Errorf("an answer without a message")
	}
	header, err := nats.DecodeHeadersMsg(answer.Message.Header)
	if err != nil && len(answer.Message.Header) > 0 {
		return Stored{}, false, err
	}
	return Stored{answer.Message.Subject, answer.Message.Seq, answer.Message.Time, header, answer.Message.Data}, true, nil
}

// confirmEnd asks the leader whether there is really nothing behind the messages that req has found.
func (c *Conn) confirmEnd(ctx context.Context, req ReadRequest, msgs []Stored) ([]Stored, bool, error) {
	next := leaderGet{Seq: max(req.FromSeq, 1), Next: req.Subject}
	switch {
	case len(msgs) > 0:
		next.Seq = msgs[len(msgs)-1].Seq + 1
	case req.FromSeq == 0 && !req.FromTime.IsZero():
		next = leaderGet{Last: req.Subject}
	}
	m, found, err := c.fromLeader(ctx, req.Stream, next)
	if err != nil {
		return nil, false, unreadable(req, err)
	}
	if !found || len(msgs) == 0 && m.Time.Before(req.FromTime) {
		return msgs, false, nil
	}
	if next.Last != "" {
		// This copy has nothing since then, and the leader has: where it begins there can't be asked by time.
		return nil, false, unreadable(req, fmt.Errorf("the copy that has answered lags behind"))
	}
	if len(msgs) >= req.Limit {
		return msgs, true, nil
	}
	return append(msgs, m), true, nil
}
