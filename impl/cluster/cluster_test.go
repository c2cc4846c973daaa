// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"dalio/impl/client"
	"dalio/impl/coordinator"
	"dalio/impl/fabric"
	"dalio/impl/internal/built"
)

// executable is the dalio command, built for the tests.
var executable string

func TestMain(m *testing.M) {
	os.Exit(built.Run(m, &executable))
}

func startShard(t *testing.T, replicas int) *Cluster {
	t.Helper()
	c, err := Start(t.Context(), Options{Dir: t.TempDir(), Replicas: replicas, Executable: executable, Sessions: 64})
	if err != nil {
		t.Fatalf("%v (the tests of this package need root)", err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func dial(t *testing.T, c *Cluster) *client.Client {
	t.Helper()
	conn, err := c.Client.ListenUDP(0)
	if err != nil {
		t.Fatal(err)
	}
	cl, err := client.Dial(t.Context(), c.Address, client.Options{Conn: conn, SettleTimeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cl.Close() })
	return cl
}

func TestShardServes(t *testing.T) {
	c := startShard(t, 3)
	cl := dial(t, c)
	if _, err := cl.Get(t.Context(), "k"); !errors.Is(err, client.ErrNotFound) {
		t.Fatalf("get of a key never written: %v", err)
	}
	large := strings.Repeat("x", 1300)
	for _, value := range []string{"v", "", large} {
		if err := cl.Put(t.Context(), "k", []byte(value)); err != nil {
			t.Fatal(err)
		}
		for range 4 { // More reads than replicas: each of them answers.
			if got, err := cl.Get(t.Context(), "k"); err != nil || string(got) != value {
				t.Fatalf("got %q, %v after put of %q", got, err, value)
			}
		}
	}
	if err := cl.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	if _, err := cl.Get(t.Context(), "k"); !errors.Is(err, client.ErrNotFound) {
		t.Fatalf("get after delete: %v", err)
	}
	status, err := coordinator.FetchStatus(t.Context(), c.StatusSocket)
	if err != nil {
		t.Fatal(err)
	}
	if len(status.Members) != 3 || status.PendingCount != 0 || status.Activities["commits"] != 4 {
		t.Errorf("status: %+v", status)
	}
}

func TestStateFileSaysWhatRuns(t *testing.T) {
	c := startShard(t, 2)
	b, err := os.ReadFile(filepath.Join(c.dir, StateFile))
	if err != nil {
		t.Fatal(err)
	}
	var s state
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	if !s.Ready || len(s.Replicas) != 2 || s.Replicas[1].ID != 17 || s.Client.NetNS == "" {
		t.Errorf("state: %s", b)
	}
	for _, p := range append([]*Process{c.Coordinator}, c.Replicas...) {
		if !strings.Contains(string(b), fmt.Sprintf(`"pid":%d,`, p.PID)) || syscall.Kill(p.PID, 0) != nil {
			t.Errorf("process %d of %s: not listed, or not alive", p.PID, p.Name)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(c.dir, StateFile)); !errors.Is(err, os.ErrNotExist) {
		t.Error("the state file outlived the shard")
	}
	for _, p := range append([]*Process{c.Coordinator}, c.Replicas...) {
		if p.Running() {
			t.Errorf("%s outlived the shard", p.Name)
		}
	}
	names, err := os.ReadDir("/run/netns")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasPrefix(name.Name(), c.Rack.ID()) {
			t.Errorf("namespace %s outlived the shard", name.Name())
		}
	}
}

func TestWriteWithADeadReplicaEndsUnknownByItsDeadline(t *testing.T) {
	c := startShard(t, 3)
	cl := dial(t, c)
	if err := cl.Put(t.Context(), "k", []byte("before")); err != nil {
		t.Fatal(err)
	}
	if err := c.Replicas[1].Kill(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if err := cl.Put(ctx, "k", []byte("after")); !errors.Is(err, client.ErrUnknown) {
		t.Fatalf("put with a dead replica: %v", err)
	}
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
	status, err := coordinator.FetchStatus(t.Context(), c.StatusSocket)
	if err != nil {
		t.Fatal(err)
	}
	if status.PendingCount != 1 || len(status.Pending[0].Missing) != 1 || status.Pending[0].Missing[0] != uint32(ReplicaID(1)) {
		t.Errorf("pending: %+v", status.Pending)
	}
}

func TestFaultsReachTheShard(t *testing.T) {
	c := startShard(t, 2)
	cl := dial(t, c)
	if err := c.SetFaults(fabric.Faults{Loss: 0.1, Duplicate: 0.1}); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if err := cl.Put(t.Context(), "k", fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	frames, err := c.Frames()
	if err != nil {
		t.Fatal(err)
	}
	if frames.Seen < 800 || frames.Dropped == 0 || frames.Duplicated == 0 {
		t.Errorf("frames: %+v", frames)
	}
}

func TestStartExplainsWhatIsWrong(t *testing.T) {
	for what, o := range map[string]Options{
		"replicas":  {Replicas: 17, Executable: executable},
		"such file": {Replicas: 1, Executable: "/nowhere/dalio"},
		"BPF":       {Replicas: 1, Executable: executable, Object: os.Args[0]},
	} {
		o.Dir = t.TempDir()
		c, err := Start(t.Context(), o)
		if err == nil {
			c.Close()
			t.Errorf("started with bad %s", what)
		} else if !strings.Contains(err.Error(), what) {
			t.Errorf("the error does not speak of %q: %v", what, err)
		}
	}
	if _, err := net.InterfaceByName("lo"); err != nil {
		t.Errorf("this thread was left in another namespace: %v", err)
	}
}
