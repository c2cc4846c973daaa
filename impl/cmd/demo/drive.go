// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"dalio/bpf"
	"dalio/impl/client"
	"dalio/impl/cluster"
	"dalio/impl/coordinator"
	"dalio/impl/load"
	"dalio/traces"
	"dalio/traces/event"
)

const (
	// sockets is how many client programs there are; each has its own socket and
	// serves a share of the concurrent clients.
	sockets = 4
	// deadline is how long a client waits for an operation before it gives up.
	deadline = 5 * time.Second
	// progressInterval is how often a line says how far the load has come.
	progressInterval = 2 * time.Second
)

// drive runs the shard and the load, and fills in what they counted.
func drive(ctx context.Context, c config, s *Summary, history string) (err error) {
	shard, err := cluster.Start(ctx, cluster.Options{Dir: c.shardDir(), Replicas: c.replicas,
		Executable: c.executable, Object: c.object, Events: c.events, Seed: c.workload.Seed})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shard.Close()) }()
	if err := shard.SetFaults(c.faults); err != nil {
		return err
	}
	fmt.Printf("%v\n", describe(c))
	report, err := record(ctx, c, shard, history)
	if ctx.Err() != nil {
		return errors.New("interrupted; everything that was set up has been removed")
	}
	if err != nil {
		return err
	}
	s.fill(report)
	return observe(ctx, s, shard)
}

func describe(c config) string {
	return fmt.Sprintf("every link, each way: %.1f%% of the frames lost, %.1f%% duplicated, %.1f%% delayed up to %v, %.1f%% held until others have passed",
		100*c.faults.Loss, 100*c.faults.Duplicate, 100*c.faults.Delay, c.faults.DelayMax, 100*c.faults.Reorder)
}

// record drives the load and writes its history.
func record(ctx context.Context, c config, shard *cluster.Cluster, history string) (report *load.Report, err error) {
	file, err := os.Create(history)
	if err != nil {
		return nil, fmt.Errorf("create the history: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	recorder := traces.NewRecorder(file)
	told, err := c.recordClients()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, told.Close()) }()
	clients, closeClients, err := shard.Clients(ctx, c.clients, sockets, client.Options{Events: told})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeClients()) }()
	terminal := isTerminal()
	report, err = load.Run(ctx, c.workload, load.Options{Clients: clients, Recorder: recorder, Operations: c.operations,
		Longest: c.longest, Deadline: deadline, Interval: progressInterval,
		Progress: func(p load.Progress) { progress(os.Stdout, terminal, c.operations, p) }})
	if terminal {
		fmt.Println()
	}
	return report, errors.Join(err, recorder.Close())
}

// recordClients returns what records the events of the clients, nil for nothing.
func (c config) recordClients() (*event.Recorder, error) {
	if !c.events {
		return nil, nil
	}
	return event.Create(filepath.Join(cluster.EventsDir(c.shardDir()), "clients.jsonl"), fmt.Sprintf("clients.%d", os.Getpid()), bpf.Now)
}

func (c config) shardDir() string { return filepath.Join(c.dir, "shard") }

// observe asks the network and the coordinator what they counted.
func observe(ctx context.Context, s *Summary, shard *cluster.Cluster) error {
	frames, err := shard.Frames()
	if err != nil {
		return err
	}
	s.Frames = Frames{frames.Seen, frames.Dropped, frames.Duplicated, frames.Delayed, frames.Reordered}
	status, err := coordinator.FetchStatus(ctx, shard.StatusSocket)
	if err != nil {
		return fmt.Errorf("ask the coordinator what it counted: %w", err)
	}
	s.Drops, s.Actions, s.Activity = status.Drops, status.Actions, status.Activities
	return nil
}
