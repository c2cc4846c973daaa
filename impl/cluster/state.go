// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"dalio/impl/coordinator"
	"dalio/impl/internal/files"
	"dalio/protocol"
)

// state is the shape of the state file.
type state struct {
	Ready bool `json:"ready"`
	// Coordinator is the one that serves.
	Coordinator coordinatorState `json:"coordinator"`
	// Coordinators and Etcd are there only if the members can change.
	Coordinators []coordinatorState `json:"coordinators,omitempty"`
	Etcd         *etcdState         `json:"etcd,omitempty"`
	Replicas     []replicaState     `json:"replicas"`
	Client       clientState        `json:"client"`
}

type coordinatorState struct {
	Name         string `json:"name,omitempty"`
	PID          int    `json:"pid"`
	NetNS        string `json:"netns"`
	Device       string `json:"dev"`
	Address      string `json:"address"`
	StatusSocket string `json:"status_socket"`
}

type etcdState struct {
	PID      int    `json:"pid"`
	Endpoint string `json:"endpoint"`
}

type replicaState struct {
	ID      uint32 `json:"id"`
	PID     int    `json:"pid"`
	NetNS   string `json:"netns"`
	Address string `json:"address"`
}

type clientState struct {
	NetNS   string `json:"netns"`
	Address string `json:"address"`
}

// writeState writes the state file, whole or not at all. The lock is held.
func (c *Cluster) writeState() error {
	s := state{Ready: true, Client: clientState{c.Client.NetNS(), c.Client.Addr.String()}}
	for _, p := range c.Coordinators {
		s.Coordinators = append(s.Coordinators, coordinatorState{p.Name, p.PID, p.Node.NetNS(), device, addressOf(p), c.socketOf(p)})
	}
	for _, one := range s.Coordinators {
		if one.Name == c.Coordinator.Name {
			s.Coordinator = one
		}
	}
	if c.Etcd != nil {
		s.Etcd = &etcdState{c.Etcd.PID, c.etcdEndpoint()}
	} else {
		s.Coordinators, s.Coordinator.Name = nil, ""
	}
	for i, r := range c.Replicas {
		id := uint32(c.ids[addressOf(r)])
		if id == 0 {
			id = uint32(ReplicaID(i))
		}
		s.Replicas = append(s.Replicas, replicaState{id, r.PID, r.Node.NetNS(), addressOf(r)})
	}
	b, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode the shard's state: %w", err)
	}
	if err := files.Replace(filepath.Join(c.dir, StateFile), append(b, '\n')); err != nil {
		return fmt.Errorf("write the shard's state: %w", err)
	}
	return nil
}

func addressOf(p *Process) string { return fmt.Sprintf("%s:%d", p.Node.Addr, protocol.Port) }

// socketOf returns the path of a coordinator's status socket.
func (c *Cluster) socketOf(p *Process) string { return filepath.Join(c.dir, p.Name+".sock") }

// lookInterval is how often the coordinators are asked who serves.
const lookInterval = 200 * time.Millisecond

// lookAround keeps the state file true while coordinators and ids change.
func (c *Cluster) lookAround(ctx context.Context) {
	ticker := time.NewTicker(lookInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		c.mu.Lock()
		coordinators := append([]*Process(nil), c.Coordinators...)
		c.mu.Unlock()
		for _, p := range coordinators {
			asking, cancel := context.WithTimeout(ctx, lookInterval)
			s, err := coordinator.FetchStatus(asking, c.socketOf(p))
			cancel()
			if err == nil && s.Role == coordinator.RoleActive {
				c.noteActive(p, s)
			}
		}
	}
}

// noteActive takes note of who serves, and of the members' ids. Only the active
// coordinator tells the truth about these.
func (c *Cluster) noteActive(p *Process, s *coordinator.Status) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Contains(c.Coordinators, p) {
		return // Another process has taken its place, which will tell.
	}
	changed := c.Coordinator != p
	for _, m := range s.Config.Members {
		if address := m.Address.String(); c.ids[address] != m.ID {
			c.ids[address] = m.ID
			changed = true
		}
	}
	if !changed || c.closing {
		return
	}
	c.Coordinator, c.Address, c.StatusSocket = p, addressOf(p), c.socketOf(p)
	_ = c.writeState() // It is written again when something changes again.
}
