// SPDX-License-Identifier: Apache-2.0

package config

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"dalio/impl/internal/unixsocket"
)

const (
	// callTimeout bounds each exchange with etcd.
	callTimeout = 2 * time.Second
	// keepAlive is how often an idle connection is tried, and the time for an answer.
	keepAlive        = 2 * time.Second
	keepAliveTimeout = 1 * time.Second

	unixScheme = "unix://"
)

// Etcd is a Store in etcd, and says which coordinators are alive.
type Etcd struct {
	client *clientv3.Client
	prefix string
}

// Open returns the store of a shard. Endpoints are those of etcd:
// http://HOST:PORT or unix:///PATH, which reaches a server in another network
// namespace. Nothing is sent yet. The caller must Close it.
func Open(endpoints []string, shard string) (*Etcd, error) {
	if len(endpoints) == 0 {
		return nil, errors.New("no etcd endpoint is named")
	}
	c := clientv3.Config{Endpoints: endpoints, DialTimeout: callTimeout, Logger: zap.NewNop(),
		DialKeepAliveTime: keepAlive, DialKeepAliveTimeout: keepAliveTimeout}
	for _, e := range endpoints {
		if path, ok := strings.CutPrefix(e, unixScheme); ok {
			if len(endpoints) > 1 {
				return nil, fmt.Errorf("etcd endpoint %s: a unix socket can't be one of several endpoints", e)
			}
			// The path may be longer than the address of a socket can be.
			c.Endpoints = []string{unixScheme + "/etcd"}
			c.DialOptions = []grpc.DialOption{grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
				return unixsocket.Dial(ctx, path)
			})}
		}
	}
	client, err := clientv3.New(c)
	if err != nil {
		return nil, fmt.Errorf("open etcd at %s: %w", strings.Join(endpoints, ","), err)
	}
	return &Etcd{client: client, prefix: "/dalio/" + shard + "/"}, nil
}

func (e *Etcd) configKey() string { return e.prefix + "config" }

// Load returns the newest configuration. See Store.
func (e *Etcd) Load(ctx context.Context) (Config, Revision, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	got, err := e.client.Get(ctx, e.configKey())
	if err != nil {
		return Config{}, 0, fmt.Errorf("read the configuration from etcd: %w", err)
	}
	if len(got.Kvs) == 0 {
		return Config{}, 0, ErrNone
	}
	c, err := decode(got.Kvs[0].Value)
	if err != nil {
		return c, 0, fmt.Errorf("read the configuration from etcd, key %s: %w", e.configKey(), err)
	}
	return c, Revision(got.Kvs[0].ModRevision), nil
}

// Swap changes the configuration. See Store.
func (e *Etcd) Swap(ctx context.Context, base Revision, next Config) (Revision, error) {
	value, err := next.encode()
	if err != nil {
		return 0, fmt.Errorf("change the configuration: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	done, err := e.client.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(e.configKey()), "=", int64(base))).
		Then(clientv3.OpPut(e.configKey(), string(value))).Commit()
	if err != nil {
		return 0, fmt.Errorf("change the configuration in etcd: %w", err)
	}
	if !done.Succeeded {
		return 0, ErrChanged
	}
	return Revision(done.Header.Revision), nil
}

// Version is one state that the configuration has been in.
type Version struct {
	// Number counts them, from 1 on.
	Number   int64
	Revision Revision
	Config   Config
}

// History returns all states of the configuration so far, in their order: those that
// etcd has not compacted, the first of which has number 1 if none is missing.
func (e *Etcd) History(ctx context.Context) ([]Version, error) {
	ctx, cancel := context.WithTimeout(ctx, historyTimeout)
	defer cancel()
	_, newest, err := e.Load(ctx)
	if err != nil {
		return nil, err
	}
	var all []Version
	for w := range e.client.Watch(clientv3.WithRequireLeader(ctx), e.configKey(), clientv3.WithRev(1)) {
		if err := w.Err(); err != nil {
			return nil, fmt.Errorf("read the history of the configuration from etcd: %w", err)
		}
		for _, change := range w.Events {
			c, err := decode(change.Kv.Value)
			if err != nil {
				return nil, fmt.Errorf("read the history of the configuration from etcd, revision %d: %w", change.Kv.ModRevision, err)
			}
			all = append(all, Version{change.Kv.Version, Revision(change.Kv.ModRevision), c})
			if Revision(change.Kv.ModRevision) >= newest {
				return all, nil
			}
		}
	}
	return nil, fmt.Errorf("read the history of the configuration from etcd: it ends before revision %d: %w", newest, ctx.Err())
}

// historyTimeout bounds the reading of a history.
const historyTimeout = 10 * time.Second

// Changes returns a channel that gets an entry when something of the shard may
// have changed, until the context ends. Entries that nobody takes are merged.
func (e *Etcd) Changes(ctx context.Context) <-chan struct{} {
	changed := make(chan struct{}, 1)
	go func() {
		for ctx.Err() == nil {
			// A watch ends when etcd has compacted what it was to tell, or is gone for
			// long; the next one tells that it has begun, for what was missed.
			for w := range e.client.Watch(clientv3.WithRequireLeader(ctx), e.prefix, clientv3.WithPrefix(), clientv3.WithCreatedNotify()) {
				if w.Err() != nil {
					break
				}
				select {
				case changed <- struct{}{}:
				default:
				}
			}
			select {
			case <-time.After(watchAgain):
			case <-ctx.Done():
			}
		}
	}()
	return changed
}

// watchAgain is how long to wait before a watch that ended is begun again.
const watchAgain = 100 * time.Millisecond

// Close ends the use of etcd.
func (e *Etcd) Close() error { return e.client.Close() }
