// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"dalio/impl/config"
)

// etcdCluster is an etcd of several members on TCP ports, as an operator may have.
type etcdCluster struct {
	members   []*embed.Etcd
	closes    []func()
	endpoints []string
}

// freeURL returns the URL of a port that is free now.
func freeURL(t *testing.T) url.URL {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return url.URL{Scheme: "http", Host: l.Addr().String()}
}

func startEtcdCluster(t *testing.T, n int) *etcdCluster {
	t.Helper()
	var configs []*embed.Config
	var initial []string
	cluster := &etcdCluster{}
	for i := range n {
		c := embed.NewConfig()
		c.Name, c.Dir = string(rune('x'+i)), filepath.Join(t.TempDir(), "etcd")
		clients, peers := []url.URL{freeURL(t)}, []url.URL{freeURL(t)}
		c.ListenClientUrls, c.AdvertiseClientUrls, c.ListenPeerUrls, c.AdvertisePeerUrls = clients, clients, peers, peers
		c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
		initial = append(initial, c.Name+"="+peers[0].String())
		cluster.endpoints = append(cluster.endpoints, clients[0].String())
		configs = append(configs, c)
	}
	for _, c := range configs {
		c.InitialCluster = strings.Join(initial, ",")
		e, err := embed.StartEtcd(c)
		if err != nil {
			t.Fatal(err)
		}
		end := sync.OnceFunc(e.Close)
		t.Cleanup(end)
		cluster.closes = append(cluster.closes, end)
		cluster.members = append(cluster.members, e)
	}
	for _, e := range cluster.members {
		select {
		case <-e.Server.ReadyNotify():
		case err := <-e.Err():
			t.Fatal(err)
		case <-time.After(patience):
			t.Fatal("etcd does not become ready")
		}
	}
	return cluster
}

// TestExternalEtcd: the coordinators share an etcd of three members by its endpoints,
// and go on when one of these is gone.
func TestExternalEtcd(t *testing.T) {
	etcd := startEtcdCluster(t, 3)
	l := newSharedLab(t, 3)
	shared := func(o *Options) {
		store, err := config.Open(etcd.endpoints, "external")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		o.Shared, o.Shard = store, "external"
	}
	l.start(0, shared)
	l.start(1, shared)
	l.await("whole", l.whole(0, 3))
	l.put("k", "before")
	etcd.closes[0]()
	l.replicas[2].kill()
	l.put("k", "without a replica")
	l.await("two members", l.whole(0, 2))
	l.replicas[2].start(t)
	l.await("three members", l.whole(0, 3))
	l.ends[0]()
	l.put("k", "without the coordinator")
	l.expect("k", "without the coordinator")
	// The data plane serves before the control plane says so.
	l.await("active", l.whole(1, 3))
	if s := l.status(1); s.Epoch != 2 || s.Config.Generation != 2 {
		t.Errorf("status %+v, configuration %+v", s, s.Config)
	}
}
