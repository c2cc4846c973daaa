// SPDX-License-Identifier: Apache-2.0

package systems

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"dalio/impl/load"
	"dalio/traces"
)

// Etcd has three members, each a process.
type Etcd struct {
	// Disk has members fsync their logs before they acknowledge, as etcd does unless
	// told otherwise.
	Disk bool
}

// Name implements System.
func (e Etcd) Name() string {
	if e.Disk {
		return "etcd_disk"
	}
	return "etcd"
}

// Promise implements System.
func (e Etcd) Promise() string {
	if e.Disk {
		return "on the disks of 2 of 3 members; reads linearizable, confirmed by 2"
	}
	return "in the memory of 2 of 3 members (unsafe-no-fsync); reads linearizable, confirmed by 2"
}

// etcdMember is what a member's process is told.
type etcdMember struct {
	Name, Dir, Cluster string
	Client, Peer       string
	Disk               bool
}

// memberVariable names the variable with which this program is a member of etcd.
const memberVariable = "DALIO_SYSTEMS_ETCD"

// BeMember must be called first in the program: it serves and does not return when the
// program was started as a member of etcd.
func BeMember() {
	text := os.Getenv(memberVariable)
	if text == "" {
		return
	}
	var m etcdMember
	err := json.Unmarshal([]byte(text), &m)
	if err == nil {
		err = m.serve()
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func (m *etcdMember) serve() error {
	c := embed.NewConfig()
	c.Name, c.Dir, c.UnsafeNoFsync = m.Name, m.Dir, !m.Disk
	c.InitialCluster = m.Cluster
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	for at, urls := range map[string][]*[]url.URL{
		m.Client: {&c.ListenClientUrls, &c.AdvertiseClientUrls}, m.Peer: {&c.ListenPeerUrls, &c.AdvertisePeerUrls},
	} {
		u, err := url.Parse(at)
		if err != nil {
			return err
		}
		for _, list := range urls {
			*list = []url.URL{*u}
		}
	}
	server, err := embed.StartEtcd(c)
	if err != nil {
		return err
	}
	return <-server.Err()
}

// Start implements System.
func (e Etcd) Start(ctx context.Context, dir string) (Running, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	ports, err := freePorts(2 * copies)
	if err != nil {
		return nil, err
	}
	at := func(i int) string { return fmt.Sprintf("http://127.0.0.1:%d", ports[i]) }
	var peers, endpoints []string
	for i := range copies {
		peers, endpoints = append(peers, fmt.Sprintf("m%d=%s", i, at(copies+i))), append(endpoints, at(i))
	}
	running := &runningEtcd{endpoints: endpoints}
	for i := range copies {
		m := etcdMember{Name: "m" + strconv.Itoa(i), Dir: filepath.Join(dir, strconv.Itoa(i)), Cluster: strings.Join(peers, ","),
			Client: at(i), Peer: at(copies + i), Disk: e.Disk}
		text, err := json.Marshal(m)
		if err != nil {
			return nil, errors.Join(err, running.Close())
		}
		command := exec.Command(self)
		command.Env = append(os.Environ(), memberVariable+"="+string(text))
		if err := running.start(command, filepath.Join(dir, m.Name+".log")); err != nil {
			return nil, errors.Join(err, running.Close())
		}
	}
	clients, err := running.Clients(ctx, 1)
	if err == nil {
		err = await(ctx, "etcd: no write was answered", func(ctx context.Context) error { return clients[0].Do(ctx, traces.Write, "ready", "yes").Err })
	}
	if err != nil {
		return nil, errors.Join(err, running.Close())
	}
	return running, nil
}

type runningEtcd struct {
	processes
	endpoints []string
	opened    []*clientv3.Client
}

// Clients implements Running. They are spread over the members, to which each has a
// connection for some of them.
func (r *runningEtcd) Clients(_ context.Context, n int) ([]load.Client, error) {
	for _, endpoint := range r.endpoints {
		c, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, DialTimeout: patience, Logger: zap.NewNop()})
		if err != nil {
			return nil, fmt.Errorf("etcd: %w", err)
		}
		r.opened = append(r.opened, c)
	}
	last := r.opened[len(r.opened)-len(r.endpoints):]
	clients := make([]load.Client, n)
	for i := range clients {
		clients[i] = etcdClient{last[i%len(last)]}
	}
	return clients, nil
}

// Close implements Running.
func (r *runningEtcd) Close() error {
	for _, c := range r.opened {
		// It says that its context has ended, which is what was asked for.
		_ = c.Close()
	}
	return r.processes.Close()
}

type etcdClient struct{ client *clientv3.Client }

// Do implements load.Client.
func (c etcdClient) Do(ctx context.Context, f, key, value string) load.Answer {
	switch f {
	case traces.Read:
		got, err := c.client.Get(ctx, key)
		if err != nil || len(got.Kvs) == 0 {
			return answer(err, load.Answer{})
		}
		return answer(nil, load.Answer{Value: string(got.Kvs[0].Value), Found: true})
	case traces.Write:
		_, err := c.client.Put(ctx, key, value)
		return answer(err, load.Answer{})
	}
	_, err := c.client.Delete(ctx, key)
	return answer(err, load.Answer{})
}
