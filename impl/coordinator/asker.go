// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"net/netip"
	"sync"
	"time"

	"dalio/impl/config"
	"dalio/impl/coordinator/membership"
	"dalio/impl/replica/control"
	"dalio/protocol"
)

// What a step asks of a replica is bounded, so that one that hangs holds up the
// others only for a moment. Recovery moves more, and nothing goes on without it.
const (
	askTimeout     = 500 * time.Millisecond
	fenceTimeout   = 150 * time.Millisecond
	recoverTimeout = 5 * time.Second
)

// asker asks replicas for what the steps of the membership need.
type asker struct {
	shard string
	// rate bounds a catch-up, in bytes a second.
	rate int64
	// clientAt returns a client of the replica at an address.
	clientAt func(netip.AddrPort) *control.Client

	mu sync.Mutex
	// collect is the mark up to which tombstones have been collected.
	collect protocol.Version
	// sources has the members that joining ones were told to catch up from.
	sources map[protocol.ReplicaID]config.Member
}

func (a *asker) Assign(ctx context.Context, m config.Member, e protocol.Epoch, sessions uint32) error {
	ctx, cancel := bounded(ctx, recoverTimeout)
	defer cancel()
	a.mu.Lock()
	collect := a.collect
	a.mu.Unlock()
	return a.clientAt(m.Address).Assign(ctx, control.Assignment{Shard: a.shard, ID: m.ID, Epoch: e, Collect: collect, Sessions: int(sessions)})
}

func (a *asker) Fence(ctx context.Context, m config.Member, e protocol.Epoch) error {
	ctx, cancel := bounded(ctx, fenceTimeout)
	defer cancel()
	fenced, err := a.clientAt(m.Address).Fence(ctx, control.Fence{Shard: a.shard, Epoch: e})
	if err == nil && fenced.ID != m.ID {
		return fmt.Errorf("replica %v: it is member %d, and not %d any more", m.Address, fenced.ID, m.ID)
	}
	return err
}

func (a *asker) Recent(ctx context.Context, m config.Member, since *protocol.Version) (membership.Recent, error) {
	ctx, cancel := bounded(ctx, recoverTimeout)
	defer cancel()
	var all membership.Recent
	client := a.clientAt(m.Address)
	ask := client.Recent
	if since != nil {
		ask = func(ctx context.Context, visit func(*protocol.Message) error) error {
			return client.RecentSince(ctx, *since, visit)
		}
	}
	err := ask(ctx, func(m *protocol.Message) error {
		if m.Type == protocol.WriteAck {
			all.Sessions = append(all.Sessions, protocol.RecordOf(m))
			return nil
		}
		kept := *m // Its key and value are valid for this visit only.
		kept.Key, kept.Value = bytes.Clone(m.Key), bytes.Clone(m.Value)
		all.Records = append(all.Records, kept)
		return nil
	})
	return all, err
}

func (a *asker) Install(ctx context.Context, m config.Member, e protocol.Epoch, r membership.Recent) error {
	ctx, cancel := bounded(ctx, recoverTimeout)
	defer cancel()
	return a.clientAt(m.Address).Install(ctx, e, messages(r))
}

// messages returns the records and session records as a replica takes them.
func messages(r membership.Recent) iter.Seq[*protocol.Message] {
	return func(yield func(*protocol.Message) bool) {
		for i := range r.Records {
			if !yield(&r.Records[i]) {
				return
			}
		}
		for _, s := range r.Sessions {
			m := protocol.Message{Type: protocol.WriteAck, Session: s.Session, Writer: s.Session, Request: s.Request,
				Version: s.Version, Op: s.Op, KeyHash: s.KeyHash, Digest: s.Digest}
			if !yield(&m) {
				return
			}
		}
	}
}

func (a *asker) Open(ctx context.Context, m config.Member, e protocol.Epoch) error {
	ctx, cancel := bounded(ctx, recoverTimeout)
	defer cancel()
	return a.clientAt(m.Address).Open(ctx, e)
}

func (a *asker) CatchUp(ctx context.Context, m config.Member, e protocol.Epoch, source config.Member) error {
	ctx, cancel := bounded(ctx, askTimeout)
	defer cancel()
	a.mu.Lock()
	a.sources[m.ID] = source
	a.mu.Unlock()
	return a.clientAt(m.Address).CatchUp(ctx, control.CatchUp{ID: m.ID, Epoch: e, Source: source.Address, Rate: a.rate})
}

func (a *asker) Expel(ctx context.Context, m config.Member) error {
	ctx, cancel := bounded(ctx, askTimeout)
	defer cancel()
	return a.clientAt(m.Address).Expel(ctx, m.ID)
}

// sourceOf returns whom a member was told to catch up from, if that is at the
// address.
func (a *asker) sourceOf(id protocol.ReplicaID, at netip.AddrPort) protocol.ReplicaID {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s := a.sources[id]; s.Address == at {
		return s.ID
	}
	return 0
}

// collected returns the mark up to which tombstones have been collected, which is
// raised first if a replica knows a higher one.
func (a *asker) collected(known protocol.Version) protocol.Version {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.collect.Less(known) {
		a.collect = known
	}
	return a.collect
}
