// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"dalio/bpf"
	"dalio/impl/config"
	"dalio/impl/coordinator"
	"dalio/impl/fabric"
	"dalio/traces/event"
)

// tellConfiguration records each state that the configuration has been in, when nobody
// changes it any more.
func (c *Cluster) tellConfiguration() (err error) {
	if err := c.Etcd.Signal(syscall.SIGCONT); err != nil {
		return err
	}
	store, err := config.Open([]string{c.etcdEndpoint()}, coordinator.DefaultShard)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	patience, cancel := context.WithTimeout(context.Background(), endTimeout)
	defer cancel()
	history, err := store.History(patience)
	if errors.Is(err, config.ErrNone) {
		return nil // The shard was never open.
	}
	if err != nil {
		return fmt.Errorf("record the configurations: %w", err)
	}
	recorder, err := event.Create(filepath.Join(EventsDir(c.dir), "configuration.jsonl"), "configuration", bpf.Now)
	if err != nil {
		return err
	}
	for _, v := range history {
		told := &event.Membership{Coordinator: v.Config.Coordinator, Revision: int64(v.Revision)}
		for _, m := range v.Config.Members {
			told.IDs = append(told.IDs, uint32(m.ID))
			if m.InSync {
				told.InSync = append(told.InSync, uint32(m.ID))
			}
		}
		// Etcd does not tell when it was.
		recorder.Add(&event.Event{By: "configuration", N: uint64(v.Number), Event: event.Configure, Epoch: uint32(v.Config.Epoch), Membership: told})
	}
	recorder.Add(&event.Event{By: "configuration", N: uint64(history[len(history)-1].Number) + 1, Event: event.End})
	return recorder.Close()
}

// mendEvents cuts off what a process of the node was killed in the midst of writing:
// the part of a line would spoil the next one. Nothing came of what it tells.
func (c *Cluster) mendEvents(node *fabric.Node) error {
	if !c.events {
		return nil
	}
	text, err := os.ReadFile(c.eventsOf(node))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("mend the events of %s: %w", node.Name, err)
	}
	if whole := bytes.LastIndexByte(text, '\n') + 1; whole < len(text) {
		return os.Truncate(c.eventsOf(node), int64(whole))
	}
	return nil
}
