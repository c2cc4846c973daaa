// SPDX-License-Identifier: Apache-2.0

package cluster

import "slices"

// View is what runs at one moment.
type View struct {
	// Coordinator is the one of the Coordinators that serves, as far as known.
	Coordinator  *Process
	Coordinators []*Process
	Replicas     []*Process
	// Etcd is nil if the members never change.
	Etcd *Process
	// StatusSocket is the active coordinator's.
	StatusSocket string
}

// View returns what runs now. It is safe while processes are started again and
// coordinators take over.
func (c *Cluster) View() View {
	c.mu.Lock()
	defer c.mu.Unlock()
	return View{Coordinator: c.Coordinator, Coordinators: slices.Clone(c.Coordinators), Replicas: slices.Clone(c.Replicas),
		Etcd: c.Etcd, StatusSocket: c.StatusSocket}
}

// Socket returns the path of a coordinator's status socket.
func (c *Cluster) Socket(coordinator *Process) string { return c.socketOf(coordinator) }
