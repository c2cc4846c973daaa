// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// Close ends the processes, in good order if they are up to it, and takes the
// network down. Later calls wait for the first and return what it returned.
func (c *Cluster) Close() error { return c.close() }

func (c *Cluster) shutdown() error {
	c.mu.Lock()
	c.closing = true
	c.mu.Unlock()
	c.cancel()
	c.watching.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unhook()
	problems := []error{removeFile(filepath.Join(c.dir, StateFile))}
	for _, p := range c.Coordinators {
		// One that was killed has left its socket.
		problems = append(problems, removeFile(c.socketOf(p)))
	}
	problems = append(problems, end(slices.Concat(c.Coordinators, c.Replicas)...))
	for _, p := range slices.Concat(c.Coordinators, c.Replicas) {
		problems = append(problems, c.mendEvents(p.Node))
	}
	if c.Etcd != nil {
		if c.events {
			problems = append(problems, c.tellConfiguration())
		}
		problems = append(problems, end(c.Etcd))
	}
	if c.Etcd != nil && !c.durable {
		problems = append(problems, os.RemoveAll(c.etcdDir()))
	}
	if c.pass != nil {
		problems = append(problems, c.pass.Close())
	}
	problems = append(problems, c.dropDisks())
	return errors.Join(append(problems, c.Rack.Close())...)
}

// end ends processes, in good order if they are up to it.
func end(children ...*Process) error {
	var problems []error
	for _, p := range children {
		problems = append(problems, p.Signal(syscall.SIGTERM), p.Signal(syscall.SIGCONT))
	}
	patience, cancel := context.WithTimeout(context.Background(), endTimeout)
	defer cancel()
	for _, p := range children {
		select {
		case <-p.Done():
		case <-patience.Done():
			problems = append(problems, p.Kill())
		}
	}
	return errors.Join(problems...)
}

func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
