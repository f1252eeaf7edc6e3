package broker

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats-server/v2/server"
)

// places asks for the places of all durable consumers of a stream, in a cluster. They are asked for before the messages are
// copied, and one with messages on their way to somebody goes back to the last one below which all is acknowledged.
//
// Buckets have watches only, which are nobody's place. One of them may be a dead node's, of whom nobody knows anything.
func (c *Conn) places(ctx context.Context, stream string) ([]json.RawMessage, error) {
	places := []json.RawMessage{}
	if strings.HasPrefix(stream, BucketStream("")) {
		return places, nil
	}
	for offset := 0; ; {
		list, err := c.consumers(ctx, stream, offset)
		if err != nil {
			return nil, err
		}
		for _, info := range list.Consumers {
			if info.Config.Durable == "" {
				continue
			}
			place, err := placeOf(info)
			if err != nil {
				return nil, err
			}
			places = append(places, place)
		}
		if offset += list.Limit; list.Limit == 0 || offset >= list.Total {
			return places, nil
		}
	}
}

// consumers returns a page of a stream's consumers, and an error when it lacks one. The client's own list takes what is
// lacking for the end of a page, and asks for the next one until its time is over, or passes it over.
func (c *Conn) consumers(ctx context.Context, stream string, offset int) (list server.JSApiConsumerListResponse, err error) {
	request, err := json.Marshal(server.JSApiConsumersRequest{ApiPagedRequest: server.ApiPagedRequest{Offset: offset}})
	if err != nil {
		return list, err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	answer, err := c.nc.RequestWithContext(ctx, fmt.Sprintf(server.JSApiConsumerListT, stream), request)
	if err != nil {
		return list, err
	}
	if err := json.Unmarshal(answer.Data, &list); err != nil {
		return list, fmt.Errorf("read the list of consumers: %w", err)
	}
	if list.Error != nil {
		return list, list.Error
	}
	if len(list.Missing) > 0 {
		return list, fmt.Errorf("the places %s can't be asked for now", strings.Join(slices.Sorted(slices.Values(list.Missing)), ", "))
	}
	return list, nil
}

// placeOf returns a place as it stands in backups.
func placeOf(info *server.ConsumerInfo) (json.RawMessage, error) {
	floor := server.SequencePair{Consumer: info.AckFloor.Consumer, Stream: info.AckFloor.Stream}
	state := server.ConsumerState{
		Delivered: server.SequencePair{Consumer: info.Delivered.Consumer, Stream: info.Delivered.Stream}, AckFloor: floor,
	}
	if info.NumAckPending > 0 {
		state.Delivered = floor
	}
	return json.Marshal(struct {
		Config *server.ConsumerConfig `json:"config"`
		State  server.ConsumerState   `json:"state"`
	}{info.Config, state})
}
