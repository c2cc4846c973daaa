// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"fmt"
	"testing"
	"time"
)

func TestFoundedShardServes(t *testing.T) {
	l := newSharedLab(t, 3)
	l.start(0)
	l.await("whole", l.whole(0, 3))
	l.put("k", "v")
	l.expect("k", "v")
	s := l.status(0)
	if s.Epoch != 1 || s.Members[0].ID != 16 || s.Members[2].ID != 18 || s.Config.Generation != 1 || s.Name != "a" {
		t.Errorf("status %+v, configuration %+v", s, s.Config)
	}
}

// TestKilledReplica: the shard goes on without it at once, and takes it in again
// when it is back.
func TestKilledReplica(t *testing.T) {
	l := newSharedLab(t, 3)
	l.start(0)
	l.put("k", "before")
	l.replicas[1].kill()
	begun := time.Now()
	l.put("k", "after")
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("the next write took %v", took)
	}
	l.expect("k", "after")
	l.await("two members", l.whole(0, 2))
	l.replicas[1].start(t)
	l.await("three members", l.whole(0, 3))
	for i := range 6 {
		l.put(fmt.Sprint("k", i), "v")
		l.expect("k", "after")
	}
	if s := l.status(0); s.Config.Generation != 2 || s.Epoch != 1 {
		t.Errorf("configuration %+v", s.Config)
	}
}

// TestDeafReplica: one that does not answer, though its machine is up.
func TestDeafReplica(t *testing.T) {
	l := newSharedLab(t, 3)
	l.start(0)
	l.put("k", "before")
	l.replicas[0].set(true)
	l.put("k", "after")
	l.await("two members", l.whole(0, 2))
	l.replicas[0].set(false)
	l.await("three members", l.whole(0, 3))
	l.expect("k", "after")
}

// TestLostCoordinator: the one that stands by takes over, and what was committed
// is there.
func TestLostCoordinator(t *testing.T) {
	l := newSharedLab(t, 3)
	l.start(0)
	l.start(1)
	l.put("k", "before")
	l.ends[0]()
	begun := time.Now()
	l.put("k", "after")
	t.Logf("the next write took %v", time.Since(begun))
	l.expect("k", "after")
	// The data plane serves before the control plane says so.
	l.await("active", l.whole(1, 3))
	if s := l.status(1); s.Epoch != 2 || s.Config.Coordinator != "b" {
		t.Errorf("status %+v", s)
	}
	// The old one comes back, and stands by.
	l.start(0)
	l.await("standing by", func() bool { return l.status(0).Role == RoleStandby })
	l.put("k", "later")
}

// TestTwoCoordinators: of two that are alive the one that was told to takes over,
// and the other one gives way.
func TestTwoCoordinators(t *testing.T) {
	l := newSharedLab(t, 3)
	l.start(0)
	l.start(1)
	l.put("k", "before")
	for round := range 3 {
		next := 1 - round%2
		l.await("failover", func() bool {
			return Failover(t.Context(), l.coordinators[next].options.StatusSocket) == nil
		})
		l.await("active", l.whole(next, 3))
		l.await("standby", func() bool { return l.status(1-next).Role == RoleStandby })
		l.put("k", fmt.Sprint(round))
		l.expect("k", fmt.Sprint(round))
	}
}
