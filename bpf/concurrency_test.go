// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"dalio/protocol"
)

const (
	contendedSessions = 4
	contendedWrites   = 20_000
)

// witness is what one processor saw: for each session and request, the versions
// multicast and how many acknowledgements were answered as the commit.
type witness struct {
	versions [contendedSessions][contendedWrites + 1]map[uint64]bool
	commits  [contendedSessions][contendedWrites + 1]int
	err      error
}

// TestConcurrentDuplicates has every processor handle a copy of each request and
// of each acknowledgement, on the same sessions and the same key. A request must
// get one version and one answer, whichever copies meet.
func TestConcurrentDuplicates(t *testing.T) {
	dp := load(t, "")
	c := shard(3)
	var sessions [contendedSessions]protocol.SessionID
	for i := range sessions {
		sessions[i] = protocol.MintSessionID(1, 1, i)
		c.Sessions[i].Owner = sessions[i]
	}
	restore(t, dp, c)

	cpus, err := processors()
	if err != nil {
		t.Fatal(err)
	}
	witnesses := make([]witness, max(2, len(cpus)))
	var ready, done sync.WaitGroup
	ready.Add(len(witnesses))
	for cpu := range witnesses {
		done.Go(func() {
			witnesses[cpu].err = pin(cpus[cpu%len(cpus)])
			ready.Done()
			ready.Wait()
			if witnesses[cpu].err == nil {
				witnesses[cpu].err = witnesses[cpu].write(dp, sessions)
			}
		})
	}
	done.Wait()
	checkWitnesses(t, witnesses)
	state, err := dp.State()
	if err != nil {
		t.Fatal(err)
	}
	if state.NextSeq != contendedSessions*contendedWrites {
		t.Errorf("%d versions were given to %d writes", state.NextSeq, contendedSessions*contendedWrites)
	}
	counters, err := dp.Counters()
	if err != nil {
		t.Fatal(err)
	}
	if n := counters.Activities["commits"]; n != contendedSessions*contendedWrites {
		t.Errorf("%d commits of %d writes", n, contendedSessions*contendedWrites)
	}
	if counters.Activities["retried"] == 0 || counters.Drops["late_ack"] == 0 {
		t.Error("no duplicates met: the test says nothing")
	}
	t.Logf("activities %v", counters.Activities)
	t.Logf("drops %v", counters.Drops)
}

// write takes each session through all its writes, and acknowledges whatever
// this processor was told to multicast.
func (w *witness) write(dp *DataPlane, sessions [contendedSessions]protocol.SessionID) error {
	for request := uint64(1); request <= contendedWrites; request++ {
		for i, session := range sessions {
			m := writeRequest(session, request, "key", "value")
			verdict, out, err := dp.Run(protocol.NewFrame(&m, client(0), self))
			if err != nil {
				return err
			}
			if verdict == protocol.Drop {
				continue
			}
			var write protocol.Message
			if err := write.Unmarshal(out[protocol.FrameOverhead:]); err != nil {
				return err
			}
			if write.Type != protocol.Write {
				// Another processor was faster, and this request is settled.
				continue
			}
			if w.versions[i][request] == nil {
				w.versions[i][request] = map[uint64]bool{}
			}
			w.versions[i][request][write.Version.Seq] = true
			if err := w.acknowledge(dp, write, i); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *witness) acknowledge(dp *DataPlane, m protocol.Message, session int) error {
	m.Type, m.Key, m.Value = protocol.WriteAck, nil, nil
	for i := range 3 {
		m.Replica = replica(i).ID
		verdict, _, err := dp.Run(protocol.NewFrame(&m, replica(i).Address, self))
		if err != nil {
			return err
		}
		if verdict == protocol.Transmit {
			w.commits[session][m.Request]++
		}
	}
	return nil
}

func checkWitnesses(t *testing.T, witnesses []witness) {
	t.Helper()
	owner := map[uint64]string{}
	for session := range contendedSessions {
		for request := 1; request <= contendedWrites; request++ {
			versions, commits := map[uint64]bool{}, 0
			for i := range witnesses {
				w := &witnesses[i]
				if w.err != nil {
					t.Fatal(w.err)
				}
				for seq := range w.versions[session][request] {
					versions[seq] = true
				}
				commits += w.commits[session][request]
			}
			name := fmt.Sprintf("request %d of session %d", request, session)
			if len(versions) != 1 {
				t.Fatalf("%s got the versions %v", name, versions)
			}
			if commits != 1 {
				t.Fatalf("%s was answered %d times as it committed", name, commits)
			}
			for seq := range versions {
				if owner[seq] != "" {
					t.Fatalf("%s has the version of %s", name, owner[seq])
				}
				owner[seq] = name
			}
		}
	}
}

// rendezvous lets several goroutines, each on a processor of its own, go on at the
// same moment, again and again: what they race for lasts some nanoseconds.
type rendezvous struct {
	parties int64
	crowded bool
	arrived atomic.Int64
}

func newRendezvous(parties, cpus int) *rendezvous {
	return &rendezvous{parties: int64(parties), crowded: parties > cpus}
}

// meet returns when all have called it for the nth time, counted from 1.
func (r *rendezvous) meet(n int) {
	r.arrived.Add(1)
	for r.arrived.Load() < r.parties*int64(n) {
		if r.crowded {
			runtime.Gosched()
		}
	}
}

// TestConcurrentOpens has every processor open sessions in one small table until
// it is full. No session may be given to two nonces.
func TestConcurrentOpens(t *testing.T) {
	dp := load(t, "")
	const rounds = 300
	allowed, err := processors()
	if err != nil {
		t.Fatal(err)
	}
	cpus := max(2, len(allowed))
	for round := range rounds {
		c := shard(1)
		restore(t, dp, c)
		opened := make([]map[protocol.SessionID]uint64, cpus)
		errs := make([]error, cpus)
		together := newRendezvous(cpus, len(allowed))
		var done sync.WaitGroup
		for cpu := range cpus {
			opened[cpu] = map[protocol.SessionID]uint64{}
			done.Go(func() {
				errs[cpu] = pin(allowed[cpu%len(allowed)])
				for n := range uint64(testSlots) {
					together.meet(int(n) + 1)
					nonce := 1 + n + uint64(cpu*1000*testSlots)
					m := protocol.Message{Type: protocol.OpenRequest, Request: nonce}
					_, out, err := dp.Run(protocol.NewFrame(&m, client(cpu), self))
					if err == nil {
						err = m.Unmarshal(out[protocol.FrameOverhead:])
					}
					if err != nil {
						errs[cpu] = err
						continue // The others wait for this one.
					}
					if m.Status == protocol.StatusOK {
						opened[cpu][m.Session] = nonce
					}
				}
			})
		}
		done.Wait()
		nonces := map[protocol.SessionID]uint64{}
		for cpu, sessions := range opened {
			if errs[cpu] != nil {
				t.Fatal(errs[cpu])
			}
			for session, nonce := range sessions {
				if other, taken := nonces[session]; taken {
					t.Fatalf("round %d: session %v was given to the nonces %d and %d", round, session, nonce, other)
				}
				nonces[session] = nonce
			}
		}
		if len(nonces) != testSlots {
			t.Fatalf("round %d: %d sessions were opened in a table of %d", round, len(nonces), testSlots)
		}
	}
}

// TestConcurrentRetriesOfCoveredWrites has two processors retry writes that the
// members which are left have acknowledged. One of them commits each: a second
// commit might come when the slot holds the session's next write, and undo that
// (hazard 20).
func TestConcurrentRetriesOfCoveredWrites(t *testing.T) {
	const slots = 1 << 12
	dp, err := Load(Options{Self: self, MaxSessions: slots, SessionTTL: testTTL, Lease: testLease, clockStands: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer dp.Close()
	cpus, err := processors()
	if err != nil {
		t.Fatal(err)
	}
	c := shard(1)
	c.Sessions, c.NextSeq = make([]protocol.SessionEntry, slots), slots
	frames := make([][]byte, slots)
	for slot := range frames {
		m := writeRequest(protocol.MintSessionID(1, 1, slot), 1, "k", "v")
		c.Sessions[slot] = protocol.SessionEntry{Owner: m.Session, Request: 1, Op: m.Op, KeyHash: m.KeyHash, Digest: m.Digest,
			Seq: uint64(slot + 1), Acks: 1}
		frames[slot] = protocol.NewFrame(&m, client(0), self)
	}
	var met uint64
	for round := uint64(1); met < 10; round++ {
		restore(t, dp, c)
		var errs [2]error
		together := newRendezvous(len(errs), len(cpus))
		var done sync.WaitGroup
		for i := range errs {
			done.Go(func() {
				errs[i] = pin(cpus[i%len(cpus)])
				for slot, frame := range frames {
					together.meet(slot + 1)
					if _, _, err := dp.Run(frame); err != nil {
						errs[i] = err
					}
				}
			})
		}
		done.Wait()
		if errs[0] != nil || errs[1] != nil {
			t.Fatal(errs)
		}
		counters, err := dp.Counters()
		if err != nil {
			t.Fatal(err)
		}
		if n := counters.Activities["covered"]; n != round*slots {
			t.Fatalf("%d writes were committed %d times", round*slots, n)
		}
		if met = counters.Drops["contended"]; met < 10 && round == 200 {
			t.Fatalf("two processors met %d times: too little is shown", met)
		}
	}
	t.Logf("two processors met %d times", met)
}
