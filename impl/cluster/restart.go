// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"
)

// deathNotice is how long the news that a process has ended may wait: the end of
// all of them, as by Ctrl-C in a terminal, is no news.
const deathNotice = 200 * time.Millisecond

// watch keeps the state file true, says which processes end, and starts them again.
func (c *Cluster) watch(ctx context.Context) {
	if c.Etcd != nil {
		c.watching.Go(func() { c.lookAround(ctx) })
	}
	for _, p := range c.processes() {
		c.watching.Go(func() {
			for p := p; p != nil; {
				p = c.revive(ctx, p)
			}
		})
	}
}

// revive waits until a process has ended, and starts another one in its place. It
// returns nil if there is to be none.
func (c *Cluster) revive(ctx context.Context, p *Process) *Process {
	select {
	case <-p.Done():
	case <-ctx.Done():
		return nil
	}
	if !sleep(ctx, deathNotice) || c.replaced(p) {
		return nil
	}
	c.say("%s (process %d) has ended", p.Name, p.PID)
	for c.restart > 0 && sleep(ctx, c.restart) {
		renewed, err := c.Restart(ctx, p)
		if err == nil {
			c.say("%s was started again as process %d", p.Name, renewed.PID)
			return renewed
		}
		if ctx.Err() == nil {
			c.say("%s could not be started again: %v", p.Name, err)
		}
	}
	return nil
}

// replaced says whether somebody else has started another process in its place.
func (c *Cluster) replaced(p *Process) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !slices.Contains(c.processes(), p)
}

func (c *Cluster) say(format string, args ...any) {
	if c.notice != nil {
		c.notice(fmt.Sprintf(format, args...))
	}
}

// sleep says whether the time has passed before the context ended.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// Restart kills a process of the shard, if it still runs, and starts the same
// command in its place, waiting until it is ready. In a shard whose members never
// change a replica comes back empty under the id that acknowledged writes: a fault
// for an audit to find.
func (c *Cluster) Restart(ctx context.Context, old *Process) (*Process, error) {
	if err := errors.Join(old.Kill(), c.mendEvents(old.Node)); err != nil {
		return nil, fmt.Errorf("restart: %w", err)
	}
	ready, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	renewed, err := start(ready, old.Node, old.command[0], filepath.Dir(old.log), old.command[1:]...)
	if err != nil {
		return nil, fmt.Errorf("restart: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return renewed, renewed.Kill()
	}
	if c.Coordinator == old {
		c.Coordinator = renewed
	}
	if c.Etcd == old {
		c.Etcd = renewed
	}
	for _, all := range [][]*Process{c.Coordinators, c.Replicas} {
		if i := slices.Index(all, old); i >= 0 {
			all[i] = renewed
		}
	}
	return renewed, c.writeState()
}
