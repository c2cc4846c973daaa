// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"dalio/protocol"
)

// whileOneLingers calls a function while a program runs on another processor, and
// says whether that had ended when the function returned.
func whileOneLingers(t *testing.T, f func() error) (ended bool) {
	t.Helper()
	var o lingerObjects
	if err := loadLingerObjects(&o, nil); err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	flag := func(v *ebpf.Variable) bool {
		var set uint32
		if err := v.Get(&set); err != nil {
			t.Fatal(err)
		}
		return set != 0
	}
	for range 20 {
		if err := errors.Join(o.Begun.Set(uint32(0)), o.Ended.Set(uint32(0))); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() {
			_, err := o.Linger.Run(&ebpf.RunOptions{Data: make([]byte, 64)})
			done <- err
		}()
		for deadline := time.Now().Add(5 * time.Second); !flag(o.Begun) && time.Now().Before(deadline); {
			runtime.Gosched()
		}
		// It may have had this processor to itself, and be over.
		inTime := flag(o.Begun) && !flag(o.Ended)
		if inTime {
			if err := f(); err != nil {
				t.Error(err)
			}
			ended = flag(o.Ended)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if inTime {
			return ended
		}
	}
	t.Fatal("no program was seen while it ran")
	return false
}

// TestChangesWaitForPrograms: a program that has read the former members is over
// when a change of them returns, or it would commit a write that a new member has
// not got after that has begun to catch up (hazard 41).
func TestChangesWaitForPrograms(t *testing.T) {
	w := newWire(t, 1500)
	dp, err := Load(Options{Self: self, MaxSessions: testSlots})
	if err != nil {
		t.Fatal(err)
	}
	defer dp.Close()
	w.join(t, dp)
	if err := dp.Open(Epoch{Number: 1, Members: []protocol.Member{replica(0), replica(1)}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what string
		do   func() error
	}{
		{"a member is added", func() error { return dp.SetMembers(replica(0), replica(1), replica(2)) }},
		{"a member is read from no more", func() error { return dp.SetServing(0b01) }},
		{"a member is removed", func() error { return dp.SetMembers(replica(0), replica(2)) }},
		{"the data plane is shut", dp.Shut},
	} {
		if !whileOneLingers(t, c.do) {
			t.Errorf("%s, and a program that began before still runs", c.what)
		}
	}
}

// TestSuccessorsWaitForPrograms: the predecessor may have died after a change,
// before it had waited.
func TestSuccessorsWaitForPrograms(t *testing.T) {
	w := newWire(t, 1500)
	letIn(t, w.outside)
	dir := mountPins(t)
	hold(t, dir, w.coordinator).kill()
	var successor *DataPlane
	ended := whileOneLingers(t, func() (err error) {
		successor, err = Adopt(dir, pinOptions(false))
		return err
	})
	if !ended {
		t.Error("adopted, and a program that began before still runs")
	}
	if successor != nil {
		if err := successor.Close(); err != nil {
			t.Error(err)
		}
	}
}

// underLoad changes the data plane while frames are handled without a pause, and
// hands all that comes out to a function, which says whether to go on.
func underLoad(t *testing.T, dp *DataPlane, next func() []byte, see func(protocol.Message) bool, change func()) {
	t.Helper()
	cpus, err := processors()
	if err != nil {
		t.Fatal(err)
	}
	var stop atomic.Bool
	stopped := make(chan error, 1)
	handled := make(chan struct{}, 1)
	go func() {
		if err := pin(cpus[len(cpus)-1]); err != nil {
			stopped <- err
			return
		}
		for !stop.Load() {
			verdict, frame, err := dp.Run(next())
			var m protocol.Message
			if err == nil && verdict != protocol.Drop {
				err = m.Unmarshal(frame[protocol.FrameOverhead:])
			}
			if err != nil || !see(m) {
				stopped <- err
				return
			}
			select {
			case handled <- struct{}{}:
			default:
			}
		}
		stopped <- nil
	}()
	select {
	case <-handled:
		change()
	case err := <-stopped:
		stopped <- err
	}
	stop.Store(true)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// TestChangesAreSeenInOrder: a frame is handled under the membership of now or the
// one before, never under one that was replaced earlier, in whose place the next is
// written (hazard 41).
func TestChangesAreSeenInOrder(t *testing.T) {
	dp := load(t, "")
	restore(t, dp, shard(2))
	probe := protocol.Message{Type: protocol.Probe}
	frame := protocol.NewFrame(&probe, client(0), self)
	const enough = 3000
	var last protocol.Epoch
	var seen atomic.Int64
	underLoad(t, dp, func() []byte { return frame }, func(m protocol.Message) bool {
		if m.Epoch < last {
			t.Errorf("a frame was handled in epoch %d after one in epoch %d", m.Epoch, last)
			return false
		}
		if m.Epoch > last {
			seen.Add(1)
		}
		last = m.Epoch
		return true
	}, func() {
		for e := protocol.Epoch(2); e < maxEpoch && seen.Load() < enough && !t.Failed(); e++ {
			if err := dp.SetEpoch(e); err != nil {
				t.Error(err)
			}
		}
	})
	if !t.Failed() && seen.Load() < enough {
		t.Errorf("only %d epochs were seen: nothing is shown", seen.Load())
	}
}

// TestOpeningUnderLoad: what is handled while an epoch is opened leaves nothing in
// the tables of the new one (hazards 16 and 33).
func TestOpeningUnderLoad(t *testing.T) {
	const slots = 1 << 16
	dp, err := Load(Options{Self: self, MaxSessions: slots})
	if err != nil {
		t.Fatal(err)
	}
	defer dp.Close()
	members := []protocol.Member{replica(0), replica(1)}
	for e := protocol.Epoch(1); e < 20; e += 2 {
		if err := dp.Open(Epoch{Number: e, Members: members}); err != nil {
			t.Fatal(err)
		}
		request, sent := 0, map[protocol.SessionID]bool{}
		underLoad(t, dp, func() []byte {
			// Of the slots that are written first.
			m := writeRequest(protocol.MintSessionID(e-1, 1, request%1024), uint64(1+request/1024), "k", "v")
			request++
			return protocol.NewFrame(&m, client(0), self)
		}, func(m protocol.Message) bool {
			if m.Epoch == e+1 && m.Type == protocol.Write {
				sent[m.Session] = true
			}
			return m.Epoch != e+1
		}, func() {
			if err := dp.Open(Epoch{Number: e + 1, Members: members}); err != nil {
				t.Error(err)
			}
		})
		sessions, err := dp.Sessions()
		if err != nil {
			t.Fatal(err)
		}
		for slot := range sessions {
			if s := &sessions[slot]; s.Pending() && !sent[s.Owner] {
				t.Fatalf("epoch %d begins with a pending write of slot %d, version %d of epoch %d", e+1, slot, s.Seq, e)
			}
		}
	}
}

// TestLeaseOfANewEpoch: it runs from when the members were asked, however long the
// opening took, and that of a member that joins from when it does (hazard 29).
func TestLeaseOfANewEpoch(t *testing.T) {
	dp, err := Load(Options{Self: self, MaxSessions: testSlots, Lease: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer dp.Close()
	for _, c := range []struct {
		what  string
		asked time.Duration
		want  protocol.Status
	}{{"a moment ago", 0, protocol.StatusOK}, {"before the lease", 2 * time.Second, protocol.StatusBusy}} {
		if err := dp.Open(Epoch{Number: 3, Members: []protocol.Member{replica(0)}, Answered: max(0, Now()-c.asked)}); err != nil {
			t.Fatal(err)
		}
		out, _ := run(t, dp, protocol.Message{Type: protocol.Probe}, client(0))
		if out.Status != c.want {
			t.Errorf("opened by members that were asked %s: a probe is told %v, want %v", c.what, out.Status, c.want)
		}
	}
	now := uint64(Now())
	if err := dp.objects.Answered.Set([protocol.MaxMembers]uint64{now, 1}); err != nil {
		t.Fatal(err)
	}
	if err := dp.SetMembers(replica(0), replica(1)); err != nil {
		t.Fatal(err)
	}
	if out, _ := run(t, dp, protocol.Message{Type: protocol.Probe}, client(0)); out.Status != protocol.StatusOK {
		t.Errorf("with a member that has just joined a probe is told %v", out.Status)
	}
}
