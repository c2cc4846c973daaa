// SPDX-License-Identifier: Apache-2.0

package config

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Presence is what a living coordinator says of itself. It is for others to find
// it by; nothing that must be true rests on it.
type Presence struct {
	Name string `json:"name"`
	// Address is where clients reach it.
	Address string `json:"address"`
	PID     int    `json:"pid"`
}

// Announce keeps the presence known until the context ends: it is gone at most
// ttl later than its process.
func (e *Etcd) Announce(ctx context.Context, p Presence, ttl time.Duration) {
	for ctx.Err() == nil {
		// Whatever fails is begun anew: etcd may be away for any time.
		_ = e.announce(ctx, p, ttl)
		select {
		case <-time.After(watchAgain):
		case <-ctx.Done():
		}
	}
}

func (e *Etcd) announce(ctx context.Context, p Presence, ttl time.Duration) error {
	value, err := json.Marshal(p)
	if err != nil {
		return err
	}
	calling, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	lease, err := e.client.Grant(calling, max(1, int64(ttl/time.Second)))
	if err != nil {
		return err
	}
	defer e.revoke(lease.ID)
	if _, err := e.client.Put(calling, e.presenceKey(p.Name), string(value), clientv3.WithLease(lease.ID)); err != nil {
		return err
	}
	alive, err := e.client.KeepAlive(ctx, lease.ID)
	if err != nil {
		return err
	}
	for range alive {
	}
	return ctx.Err()
}

// revoke ends a lease that nobody keeps alive any more a little earlier.
func (e *Etcd) revoke(id clientv3.LeaseID) {
	ctx, cancel := context.WithTimeout(context.Background(), watchAgain)
	defer cancel()
	_, _ = e.client.Revoke(ctx, id) // It ends by itself.
}

// Present returns the coordinators that are known to be alive.
func (e *Etcd) Present(ctx context.Context) ([]Presence, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	got, err := e.client.Get(ctx, e.presenceKey(""), clientv3.WithPrefix())
	if err != nil {
		return nil, fmt.Errorf("read from etcd who is alive: %w", err)
	}
	var all []Presence
	for _, kv := range got.Kvs {
		var p Presence
		if err := json.Unmarshal(kv.Value, &p); err != nil {
			return nil, fmt.Errorf("read from etcd who is alive, key %s: %w", kv.Key, err)
		}
		all = append(all, p)
	}
	return all, nil
}

func (e *Etcd) presenceKey(name string) string { return e.prefix + "coordinators/" + name }

// ValidName says whether a shard or a coordinator may have the name: it becomes
// part of a key.
func ValidName(name string) bool {
	return name != "" && len(name) <= 64 && !strings.ContainsAny(name, "/ \t\n")
}
