// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"dalio/protocol"
)

// run hands the data plane a message and returns what it sends, or the reason
// why it sends nothing.
func run(t *testing.T, dp *DataPlane, m protocol.Message, from protocol.Address) (protocol.Message, protocol.Reason) {
	t.Helper()
	got, err := dp.HandleFrame(protocol.NewFrame(&m, from, self))
	if err != nil {
		t.Fatal(err)
	}
	if got.Verdict == protocol.Drop {
		return protocol.Message{}, got.Reason
	}
	return mustDecode(t, got.Frame), protocol.NotDropped
}

func readReply(from int, version protocol.Version, writer protocol.SessionID, sent uint64) protocol.Message {
	m := readRequest(9, "k")
	m.Type, m.Epoch, m.Replica, m.Version, m.Writer, m.Client, m.Sent = protocol.ReadReply, 1, replica(from).ID, version, writer, client(1), sent
	if version.Seq != 0 {
		m.Op = protocol.OpPut
	}
	return m
}

// TestLease follows the lease of a shard of three: a value is released only while
// every member has answered something that was sent within the lease (hazard 29).
func TestLease(t *testing.T) {
	dp := load(t, "")
	c := shard(3)
	c.Now, c.Answered = 5000, [protocol.MaxMembers]uint64{4500, 4800, 4700}
	restore(t, dp, c)
	at := func(now uint64) {
		t.Helper()
		// Each look at the clock is to be for what is expected after it alone.
		if err := errors.Join(dp.objects.ClockNow.Set(now), dp.setHeld(0)); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(what string, m protocol.Message, want protocol.MessageType, to protocol.ReplicaID, reason protocol.Reason) {
		t.Helper()
		out, dropped := run(t, dp, m, replica(m.Replica.Index()).Address)
		if out.Type != want || dropped != reason || want == protocol.Read && out.Replica != to {
			t.Errorf("%s: %v to replica %d, dropped for %v; want %v to %d, %v", what, out.Type, out.Replica, dropped, want, to, reason)
		}
	}
	reply := readReply(1, protocol.Version{}, 0, 0)
	expect("all have been heard", reply, protocol.ReadResponse, 0, protocol.NotDropped)
	at(5500)
	expect("at the last moment", reply, protocol.ReadResponse, 0, protocol.NotDropped)
	at(5501)
	expect("one is overdue", reply, protocol.Read, replica(0).ID, protocol.NotDropped)
	probe := protocol.Message{Type: protocol.Probe, Sent: 3}
	if out, _ := run(t, dp, probe, client(2)); out.Type != protocol.ProbeReply || out.Status != protocol.StatusBusy || out.Sent != 3 {
		t.Errorf("a probe while one is overdue: %+v", out)
	}
	tired := reply
	tired.Hops = protocol.MaxHops
	expect("the read has gone round enough", tired, 0, 0, protocol.LeaseExpired)

	// Nobody is heard before he was asked: a stamp from the future is none.
	expect("an answer from the future", readReply(0, protocol.Version{}, 0, 9999), protocol.Read, replica(0).ID, protocol.NotDropped)
	// The answer of the overdue member renews the lease, and is released itself.
	expect("the overdue one answers", readReply(0, protocol.Version{}, 0, 5400), protocol.ReadResponse, 0, protocol.NotDropped)
	// Now the next one is, whose acknowledgement of anything will do.
	at(5801)
	expect("the next one is overdue", reply, protocol.Read, replica(2).ID, protocol.NotDropped)
	ack := protocol.Message{Type: protocol.WriteAck, Epoch: 1, Replica: replica(2).ID, Version: protocol.Version{Epoch: 1, Seq: 99}, Sent: 5700}
	expect("it acknowledges", ack, 0, 0, protocol.StaleAck)
	expect("and the third", reply, protocol.Read, replica(1).ID, protocol.NotDropped)
	answer := protocol.Message{Type: protocol.ProbeReply, Epoch: 1, Replica: replica(1).ID, Sent: 5750}
	got, err := dp.HandleFrame(protocol.NewFrame(&answer, replica(1).Address, self))
	if err != nil || got.Verdict != protocol.Pass {
		t.Errorf("a replica's answer to a probe: %+v, %v", got, err)
	}
	expect("all are heard again", reply, protocol.ReadResponse, 0, protocol.NotDropped)
	if out, _ := run(t, dp, probe, client(2)); out.Status != protocol.StatusOK || out.Epoch != 1 {
		t.Errorf("a probe while all have been heard: %+v", out)
	}
	// What another epoch's, or somebody else's, answer says does not count.
	at(6401)
	expect("overdue once more", reply, protocol.Read, replica(0).ID, protocol.NotDropped)
	stale := readReply(0, protocol.Version{}, 0, 6400)
	stale.Epoch = 0
	expect("an answer of another epoch", stale, 0, 0, protocol.StaleEpoch)
	expect("still overdue", reply, protocol.Read, replica(0).ID, protocol.NotDropped)
}

// TestNewEpoch opens an epoch on what was recovered of another (hazards 16, 17, 33).
func TestNewEpoch(t *testing.T) {
	dp := load(t, "")
	wrote, opened := protocol.MintSessionID(1, 2, 4), protocol.MintSessionID(1, 3, 5)
	m := writeRequest(wrote, 6, "k", "v")
	epoch := Epoch{Number: 2, Members: []protocol.Member{replica(0), replica(1)}, MinMembers: 2, Answered: Now(),
		Recovered: []protocol.SessionRecord{{Session: wrote, Request: 6, Version: protocol.Version{Epoch: 1, Seq: 41},
			Op: protocol.OpPut, KeyHash: m.KeyHash, Digest: m.Digest}}}
	if _, reason := run(t, dp, m, client(0)); reason != protocol.Closed {
		t.Errorf("before any epoch: %v", reason)
	}
	if err := dp.Open(epoch); err != nil {
		t.Fatal(err)
	}
	if out, _ := run(t, dp, m, client(0)); out.Type != protocol.WriteResponse || out.Status != protocol.StatusOK || out.Version != (protocol.Version{Epoch: 1, Seq: 41}) {
		t.Errorf("the retry of a write that was recovered: %+v", out)
	}
	m.Request = 7
	if out, _ := run(t, dp, m, client(0)); out.Type != protocol.Write || out.Version != (protocol.Version{Epoch: 2, Seq: 1}) {
		t.Errorf("its session's next write: %+v", out)
	}
	m = writeRequest(opened, 1, "k", "w")
	if out, _ := run(t, dp, m, client(1)); out.Type != protocol.Write || out.Version.Seq != 2 {
		t.Errorf("a session that had not written: %+v", out)
	}
	m = writeRequest(protocol.MintSessionID(1, 1, 4), 9, "k", "x")
	if out, _ := run(t, dp, m, client(2)); out.Status != protocol.StatusExpired {
		t.Errorf("a session that had lost its slot: %+v", out)
	}
	m = writeRequest(protocol.MintSessionID(2, 1, 9), 1, "k", "x")
	if out, _ := run(t, dp, m, client(2)); out.Status != protocol.StatusExpired {
		t.Errorf("a session of this epoch that nobody opened: %+v", out)
	}
	m = writeRequest(protocol.MintSessionID(3, 1, 9), 1, "k", "x")
	if _, reason := run(t, dp, m, client(2)); reason != protocol.FutureEpoch {
		t.Errorf("a session of a later epoch: %v", reason)
	}
	if floor, err := dp.Floor(); err != nil || floor != (protocol.Version{Epoch: 2}) {
		t.Errorf("with two writes pending the floor is %v, %v", floor, err)
	}
	if err := dp.Shut(); err != nil {
		t.Fatal(err)
	}
	if _, reason := run(t, dp, readRequest(1, "k"), client(2)); reason != protocol.Closed {
		t.Errorf("when shut: %v", reason)
	}
}

func TestEpochsThatCannotBe(t *testing.T) {
	dp := load(t, "")
	member := []protocol.Member{replica(0)}
	for what, c := range map[string]struct {
		e    Epoch
		want error
	}{
		"epoch 0":              {Epoch{Members: member}, ErrEpoch},
		"an epoch too late":    {Epoch{Number: maxEpoch + 1, Members: member}, ErrEpoch},
		"one member twice":     {Epoch{Number: 2, Members: append(member, replica(0))}, ErrMembers},
		"a slot too many":      {Epoch{Number: 2, Members: member, Recovered: []protocol.SessionRecord{{Session: testSlots}}}, ErrOptions},
		"a record of tomorrow": {Epoch{Number: 2, Members: member, Recovered: []protocol.SessionRecord{{Session: 1, Version: protocol.Version{Epoch: 2, Seq: 1}}}}, ErrEpoch},
	} {
		if err := dp.Open(c.e); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
	}
}

// TestChangeOfMembers shrinks and grows a shard under pending writes (hazards 20,
// 21, 37).
func TestChangeOfMembers(t *testing.T) {
	dp := load(t, "")
	if err := dp.Open(Epoch{Number: 1, Members: []protocol.Member{replica(0), replica(1), replica(2)}, MinMembers: 2, Answered: Now()}); err != nil {
		t.Fatal(err)
	}
	session := protocol.MintSessionID(0, 1, 3) // Adopted: epoch 0 came before.
	m := writeRequest(session, 1, "k", "v")
	write, _ := run(t, dp, m, client(0))
	ack := func(i int) protocol.Message {
		a := write
		a.Type, a.Replica, a.Key, a.Value = protocol.WriteAck, replica(i).ID, nil, nil
		return a
	}
	for i := range 2 {
		if _, reason := run(t, dp, ack(i), replica(i).Address); reason != protocol.Acknowledged {
			t.Fatalf("acknowledgement %d: %v", i, reason)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(dp.SetServing(0b011))
	must(dp.SetMembers(replica(0), replica(1)))
	if _, reason := run(t, dp, ack(2), replica(2).Address); reason != protocol.UnknownReplica {
		t.Errorf("the acknowledgement of a replica that was removed: %v", reason)
	}

	// Another replica with the index that has acknowledged must wait.
	other := replica(1)
	other.ID += 16
	must(dp.SetServing(0b001))
	if err := dp.SetMembers(replica(0), other); !errors.Is(err, ErrMembers) {
		t.Errorf("a member is replaced by another in one step: %v", err)
	}
	must(dp.SetMembers(replica(0)))
	if err := dp.SetMembers(replica(0), other); !errors.Is(err, ErrIndexInUse) {
		t.Errorf("an index that a pending write counts: %v", err)
	}
	if out, _ := run(t, dp, writeRequest(session, 2, "k", "w"), client(0)); out.Status != protocol.StatusBusy {
		t.Errorf("the next write of a session with one pending: %+v", out)
	}
	// The retry finds the write covered, though fewer members are left than new
	// writes need.
	if out, _ := run(t, dp, m, client(0)); out.Type != protocol.WriteResponse || out.Status != protocol.StatusOK {
		t.Errorf("the retry of a covered write: %+v", out)
	}
	if out, _ := run(t, dp, writeRequest(session, 2, "k", "w"), client(0)); out.Status != protocol.StatusTooFew {
		t.Errorf("a write with one member, of two at least: %+v", out)
	}
	must(dp.SetMembers(replica(0), other))
	write, _ = run(t, dp, writeRequest(session, 2, "k", "w"), client(0))
	// A write is pending for all who are members when it is acknowledged.
	must(dp.SetMembers(replica(0), other, replica(2)))
	if _, reason := run(t, dp, ack(0), replica(0).Address); reason != protocol.Acknowledged {
		t.Error(reason)
	}
	a := ack(1)
	a.Replica = other.ID
	if _, reason := run(t, dp, a, replica(1).Address); reason != protocol.Acknowledged {
		t.Errorf("a write that was sequenced before a third became a member: %v", reason)
	}
	if out, _ := run(t, dp, ack(2), replica(2).Address); out.Status != protocol.StatusOK {
		t.Errorf("all three have acknowledged: %+v", out)
	}
	if floor, err := dp.Floor(); err != nil || floor != (protocol.Version{Epoch: 1, Seq: 2}) {
		t.Errorf("the floor is %v, %v", floor, err)
	}
}

// TestFloorUnderLoad takes the floor again and again while two processors write:
// every version up to it must have been committed.
func TestFloorUnderLoad(t *testing.T) {
	tr := newTraffic(t, load(t, ""), 1)
	tr.place(make([]int, raceMembers))
	stop, stopped := make(chan struct{}), make(chan error, 1)
	var floors []protocol.Version
	go func() {
		for {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			floor, err := tr.dp.Floor()
			if err != nil {
				stopped <- err
				return
			}
			state, err := tr.dp.Sessions()
			if err != nil {
				stopped <- err
				return
			}
			for slot, e := range state {
				if e.Pending() && e.Seq <= floor.Seq {
					stopped <- fmt.Errorf("version %d of slot %d is pending, below the floor %d", e.Seq, slot, floor.Seq)
					return
				}
			}
			floors = append(floors, floor)
		}
	}()
	tr.raceRound(raceFrames, 1)
	close(stop)
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	compare := func(a, b protocol.Version) int { return int(a.Seq) - int(b.Seq) }
	if len(floors) < 100 || !slices.IsSortedFunc(floors[1:], compare) || floors[len(floors)-1].Seq < 100 {
		t.Errorf("%d floors, the last %v", len(floors), floors[max(0, len(floors)-1):])
	}
}
