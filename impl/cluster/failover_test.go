// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"dalio/impl/client"
	"dalio/impl/coordinator"
	"dalio/impl/fabric"
)

// startShared starts a shard of three replicas and two coordinators.
func startShared(t *testing.T, flags ...string) *Cluster {
	t.Helper()
	c, err := Start(t.Context(), Options{Dir: t.TempDir(), Replicas: 3, Coordinators: 2, Executable: executable, Sessions: 64,
		CoordinatorFlags: flags})
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

func (c *Cluster) dialAll(t *testing.T) *client.Client {
	t.Helper()
	cl, err := c.Dial(t.Context(), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cl.Close() })
	return cl
}

func mustPut(t *testing.T, cl *client.Client, key, value string) {
	t.Helper()
	if err := cl.Put(t.Context(), key, []byte(value)); err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
}

func mustGet(t *testing.T, cl *client.Client, key, value string) {
	t.Helper()
	if got, err := cl.Get(t.Context(), key); err != nil || string(got) != value {
		t.Fatalf("get %s: %q, %v; want %q", key, got, err, value)
	}
}

// whole waits until the coordinator at the place serves with so many members.
func (c *Cluster) whole(t *testing.T, place, members int) *coordinator.Status {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		s, err := coordinator.FetchStatus(ctx, c.socketOf(c.Coordinators[place]))
		cancel()
		if err == nil && s.Role == coordinator.RoleActive && s.Config.InSync() == members && len(s.Members) == members {
			return s
		}
		if time.Now().After(deadline) {
			t.Fatalf("coordinator %d does not serve with %d members: %+v, %v", place, members, s, err)
		}
	}
}

func TestReplicaComesBack(t *testing.T) {
	c := startShared(t)
	cl := c.dialAll(t)
	for i := range 50 {
		mustPut(t, cl, fmt.Sprint("k", i), "before")
	}
	if err := c.Replicas[1].Kill(); err != nil {
		t.Fatal(err)
	}
	mustPut(t, cl, "k0", "after")
	c.whole(t, 0, 2)
	if _, err := c.Restart(t.Context(), c.Replicas[1]); err != nil {
		t.Fatal(err)
	}
	if s := c.whole(t, 0, 3); s.Epoch != 1 {
		t.Errorf("epoch %d", s.Epoch)
	}
	// The others leave, so that all is read from the one that came back.
	for _, change := range []coordinator.MemberChange{
		{Do: "least", MinMembers: 1},
		{Do: "remove", Replica: addressOf(c.Replicas[0])},
		{Do: "remove", Replica: addressOf(c.Replicas[2])},
	} {
		if err := coordinator.ChangeMembers(t.Context(), c.StatusSocket, change); err != nil {
			t.Fatal(err)
		}
	}
	c.whole(t, 0, 1)
	mustGet(t, cl, "k0", "after")
	for i := 1; i < 50; i++ {
		mustGet(t, cl, fmt.Sprint("k", i), "before")
	}
}

// TestCoordinatorHostIsLost: nobody reaches it any more, and it reaches nobody. It
// goes on believing, and must do no harm when it is back.
func TestCoordinatorHostIsLost(t *testing.T) {
	c := startShared(t)
	cl := c.dialAll(t)
	mustPut(t, cl, "k", "before")
	lost := c.Coordinators[0].Node
	for _, d := range []fabric.Direction{fabric.ToNode, fabric.FromNode} {
		if err := lost.Cut(d); err != nil {
			t.Fatal(err)
		}
	}
	begun := time.Now()
	mustPut(t, cl, "k", "after")
	t.Logf("the next write took %v", time.Since(begun))
	mustGet(t, cl, "k", "after")
	for _, d := range []fabric.Direction{fabric.ToNode, fabric.FromNode} {
		if err := lost.Mend(d); err != nil {
			t.Fatal(err)
		}
	}
	if s := c.whole(t, 1, 3); s.Epoch != 2 {
		t.Errorf("epoch %d", s.Epoch)
	}
	mustGet(t, cl, "k", "after")
}

// TestControlPlaneIsKilled: while clients write and read, the control plane dies and
// comes back. They must not notice. On a busy machine the other coordinator might
// take over meanwhile, which would be no harm, and not what is tried here.
func TestControlPlaneIsKilled(t *testing.T) {
	c := startShared(t, "--takeover-after", "20s", "--control-timeout", "20s")
	cl := c.dialAll(t)
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	var done atomic.Int64
	for i := range 8 {
		load.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				key, value := fmt.Sprint("k", i), fmt.Sprint(n)
				if err := cl.Put(t.Context(), key, []byte(value)); err != nil {
					t.Errorf("put %s: %v", key, err)
				}
				if got, err := cl.Get(t.Context(), key); err != nil || string(got) != value {
					t.Errorf("get %s: %q, %v; want %q", key, got, err, value)
				}
				done.Add(2)
			}
		})
	}
	defer load.Wait()
	defer stop()
	progress := func() {
		t.Helper()
		for before, deadline := done.Load(), time.Now().Add(patience); done.Load() < before+200; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the clients make no progress")
			}
		}
	}
	progress()
	for range 3 {
		killed := c.Coordinators[0]
		if err := killed.Kill(); err != nil {
			t.Fatal(err)
		}
		progress()
		if _, err := c.Restart(t.Context(), killed); err != nil {
			t.Fatal(err)
		}
		progress()
	}
	if s := c.whole(t, 0, 3); s.Epoch != 1 || s.Activities["commits"] < 200 {
		t.Errorf("epoch %d, %d commits: the data plane was not adopted; %+v", s.Epoch, s.Activities["commits"], s.Config.History)
	}
}

// TestEtcdStops: requests need it not, and changes of the members wait for it.
func TestEtcdStops(t *testing.T) {
	c := startShared(t)
	cl := c.dialAll(t)
	mustPut(t, cl, "k", "before")
	if err := c.Etcd.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		mustPut(t, cl, "k", fmt.Sprint(i))
	}
	if err := c.Replicas[2].Kill(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if err := cl.Put(ctx, "k", []byte("meanwhile")); !errors.Is(err, client.ErrUnknown) {
		t.Errorf("a write that a member lacks which nobody could take out: %v", err)
	}
	if err := c.Etcd.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	mustPut(t, cl, "k", "after")
	c.whole(t, 0, 2)
	mustGet(t, cl, "k", "after")
}

// TestProgramIsPutBack: a coordinator with nobody to take over gets its device's frames
// again when somebody has taken its program off, or put another in its place.
func TestProgramIsPutBack(t *testing.T) {
	for name, harm := range map[string]func(*fabric.Node) error{"taken off": DetachProgram, "replaced": ReplaceProgram} {
		t.Run(name, func(t *testing.T) {
			c, err := Start(t.Context(), Options{Dir: t.TempDir(), Replicas: 1, Coordinators: 1, Executable: executable, Sessions: 64})
			if err != nil {
				t.Fatalf("%v (the tests of this package need root)", err)
			}
			t.Cleanup(func() {
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			})
			cl := c.dialAll(t)
			mustPut(t, cl, "k", "before")
			if err := harm(c.Coordinator.Node); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := cl.Put(ctx, "k", []byte("after")); err != nil {
				t.Fatalf("put after that: %v", err)
			}
			mustGet(t, cl, "k", "after")
		})
	}
}
