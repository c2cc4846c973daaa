// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"errors"

	"dalio/impl/client"
	"dalio/protocol"
	"dalio/traces"
)

// Shard returns a Client that sends operations to a shard. One client.Client may
// serve many.
func Shard(c *client.Client) Client { return shard{c} }

type shard struct{ client *client.Client }

var ops = map[string]protocol.Op{traces.Read: protocol.OpNone, traces.Write: protocol.OpPut, traces.Delete: protocol.OpDelete}

func (s shard) Do(ctx context.Context, f, key, value string) Answer {
	r := client.Request{Op: ops[f], Key: key}
	if r.Op == protocol.OpPut {
		r.Value = []byte(value)
	}
	response := s.client.Do(ctx, r)
	a := Answer{Outcome: traces.OK, Retries: response.Retries, Hops: response.Hops, Replica: uint32(response.Replica)}
	switch {
	case response.Err == nil:
		a.Found, a.Value = r.Op == protocol.OpNone, string(response.Value)
	case errors.Is(response.Err, client.ErrNotFound):
	case errors.Is(response.Err, client.ErrNotDone):
		a.Outcome, a.Err = traces.Fail, response.Err
	default:
		// What is not certain is unknown: that is never wrong.
		a.Outcome, a.Err = traces.Info, response.Err
	}
	if a.Outcome == traces.OK {
		a.Version = &traces.Version{Epoch: uint64(response.Version.Epoch), Seq: response.Version.Seq}
	}
	return a
}
