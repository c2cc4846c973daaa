// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"

	"dalio/impl/client"
	"dalio/impl/load"
)

// Dial opens a socket at the clients' node and returns a client on it.
func (c *Cluster) Dial(ctx context.Context, o client.Options) (*client.Client, error) {
	conn, err := c.Client.ListenUDP(0)
	if err != nil {
		return nil, err
	}
	o.Conn = conn
	dialled, err := client.Dial(ctx, c.Addresses, o)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return dialled, nil
}

// Clients returns n clients, each for one operation at a time, that share some sockets,
// and what closes those.
func (c *Cluster) Clients(ctx context.Context, n, sockets int, o client.Options) (clients []load.Client, closeAll func() error, err error) {
	var opened []*client.Client
	closeAll = func() error {
		var problems []error
		for _, c := range opened {
			problems = append(problems, c.Close())
		}
		return errors.Join(problems...)
	}
	for range min(n, sockets) {
		dialled, err := c.Dial(ctx, o)
		if err != nil {
			return nil, nil, errors.Join(err, closeAll())
		}
		opened = append(opened, dialled)
	}
	for i := range n {
		clients = append(clients, load.Shard(opened[i%len(opened)]))
	}
	return clients, closeAll, nil
}
