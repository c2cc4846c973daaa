// SPDX-License-Identifier: Apache-2.0

package systems

import (
	"context"
	"errors"

	"dalio/impl/client"
	"dalio/impl/cluster"
	"dalio/impl/load"
)

// sockets is how many a process with many requests open spreads them over.
const sockets = 2

// Dalio is a shard.
type Dalio struct {
	// Executable is the dalio command.
	Executable string
	// KernelReads has replicas answer reads in the kernel.
	KernelReads bool
	// Durable has them keep data on disk.
	Durable bool
}

// Name implements System.
func (d Dalio) Name() string {
	switch {
	case d.Durable:
		return "dalio_disk"
	case d.KernelReads:
		return "dalio_kernel_reads"
	}
	return "dalio"
}

// Promise implements System.
func (d Dalio) Promise() string {
	if d.Durable {
		return "on the disks of all 3 members; reads linearizable, by any member"
	}
	return "in the memory of all 3 members; reads linearizable, by any member"
}

// Start implements System.
func (d Dalio) Start(ctx context.Context, dir string) (Running, error) {
	o := cluster.Options{Dir: dir, Replicas: copies, Executable: d.Executable, Durable: d.Durable, Seed: 1}
	if d.Durable {
		o.Coordinators = 1
	}
	if d.KernelReads {
		o.ReplicaFlags = []string{"--kernel-reads=on"}
	}
	shard, err := cluster.Start(ctx, o)
	if err != nil {
		return nil, err
	}
	return &runningDalio{shard: shard}, nil
}

type runningDalio struct {
	shard  *cluster.Cluster
	closed []func() error
}

// Clients implements Running.
func (r *runningDalio) Clients(ctx context.Context, n int) ([]load.Client, error) {
	clients, closeAll, err := r.shard.Clients(ctx, n, sockets, client.Options{})
	if err == nil {
		r.closed = append(r.closed, closeAll)
	}
	return clients, err
}

// Close implements Running.
func (r *runningDalio) Close() error {
	var err error
	for _, closeAll := range r.closed {
		err = errors.Join(err, closeAll())
	}
	return errors.Join(err, r.shard.Close())
}
