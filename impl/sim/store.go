// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"time"

	"dalio/impl/config"
)

// etcdPatience is how long a control plane waits for etcd.
const etcdPatience = 2 * time.Second

// store is etcd, which keeps the configuration: it never forgets and never errs, but
// may be out of reach, and its answers may be lost.
type store struct {
	w        *world
	node     *node
	config   config.Config
	revision config.Revision
	// asked are the changes that are on their way.
	asked map[*config.Config]config.Revision
}

func newStore(w *world) *store {
	return &store{w: w, node: w.net.add("etcd", 3, 1, 2379), asked: map[*config.Config]config.Revision{}}
}

// access is the store as a control plane reaches it.
type access struct {
	*store
	from *node
}

func (a access) Load(ctx context.Context) (c config.Config, r config.Revision, err error) {
	err = a.w.ask(ctx, a.from, a.node, etcdPatience, func() error {
		c, r = a.config.Clone(), a.revision
		if r == 0 {
			return config.ErrNone
		}
		return nil
	})
	return c, r, err
}

func (a access) Swap(ctx context.Context, base config.Revision, next config.Config) (r config.Revision, err error) {
	if err := next.Check(); err != nil {
		a.w.fail("%s changes the configuration to one that can't be: %v", a.from.name, err)
		return 0, err
	}
	pending := next.Clone()
	a.asked[&pending] = base
	err = a.w.ask(ctx, a.from, a.node, etcdPatience, func() error {
		delete(a.asked, &pending)
		if base != a.revision {
			a.w.cover.met(staleSwap)
			return config.ErrChanged
		}
		a.w.witness.configured(&a.config, &pending)
		a.config, a.revision = pending, a.revision+1
		r = a.revision
		a.w.say("configuration %d: epoch %d of %s, members %v", a.revision, pending.Epoch, pending.Coordinator, pending.Members)
		a.w.point("configuration")
		for _, h := range a.w.hosts {
			a.w.after(between(a.w.net.random, 50*time.Microsecond, time.Millisecond), h.changed)
		}
		return nil
	})
	return r, err
}

// Changes and Announce are what a Coordinator's own goroutines use.
func (a access) Changes(context.Context) <-chan struct{} { return nil }

func (a access) Announce(context.Context, config.Presence, time.Duration) {}

// Present answers at once: a fault of etcd keeps the configuration back, not this.
func (a access) Present(context.Context) ([]config.Presence, error) { return a.w.present(), nil }
