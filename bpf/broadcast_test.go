// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"fmt"
	"math/bits"
	"testing"

	"dalio/protocol"
)

// broadcastFrames is how many frames each lane makes for one way in which up to
// five members are spread over devices.
const broadcastFrames = 2500

// partitions returns the ways to spread members over up to five devices that are
// not the same but for the devices' order: a device number for each member.
func partitions(members int) [][]int {
	if members == 0 {
		return [][]int{{}}
	}
	var all [][]int
	for _, rest := range partitions(members - 1) {
		most := -1
		for _, number := range rest {
			most = max(most, number)
		}
		for number := range most + 2 {
			all = append(all, append(append([]int{}, rest...), number))
		}
	}
	return all
}

// TestBroadcasts multicasts to all sets of up to five members, each of them
// reached by a device of its own or by one together with others, from both
// processors at the same time and with reads in between, and counts every copy.
func TestBroadcasts(t *testing.T) {
	const devices = 5
	t.Run("one device", func(t *testing.T) {
		tr := newTraffic(t, loadTable(t, false), 1)
		broadcasts := 0
		for members := 1; members <= 5; members++ {
			broadcasts += tr.broadcast(make([]int, members))
		}
		t.Logf("%d broadcasts", broadcasts)
	})
	t.Run("several devices", func(t *testing.T) {
		// The last device has no member, but a client.
		tr := newTraffic(t, loadTable(t, true), devices+1)
		broadcasts := 0
		for members := 1; members <= 5; members++ {
			for _, spread := range partitions(members) {
				broadcasts += tr.broadcast(spread)
			}
		}
		expectCounted(t, tr.dp, "redirected", "learned", "clones", "surplus")
		t.Logf("%d broadcasts", broadcasts)
		if broadcasts < 200_000 {
			t.Errorf("only %d broadcasts", broadcasts)
		}
	})
}

// loadTable loads a data plane with a slot for each set of five members.
func loadTable(t *testing.T, several bool) *DataPlane {
	t.Helper()
	dp, err := Load(Options{Self: self, MaxSessions: 32, SessionTTL: testTTL, Lease: testLease, clockStands: 1, SeveralDevices: several})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		reportRuns(t, dp)
		if err := dp.Close(); err != nil {
			t.Error(err)
		}
	})
	return dp
}

// broadcast has each lane send retries of writes that wait for the members in
// their slot's number, and reads, and returns how many broadcasts there were.
func (tr *traffic) broadcast(spread []int) (broadcasts int) {
	tr.Helper()
	c := shard(len(spread))
	c.Sessions = make([]protocol.SessionEntry, 32)
	for slot := range c.Sessions {
		e := &c.Sessions[slot]
		e.Owner, e.Request, e.Seq, e.Op = protocol.MintSessionID(1, 1, slot), 5, uint64(100+slot), protocol.OpPut
		e.Acks, e.KeyHash, e.Digest = c.Members&^uint16(slot), trafficHash(5), trafficDigest(5)
	}
	restore(tr, tr.dp, c)
	tr.place(spread)
	tr.mix(200, 0, 0, 56, 256)
	tr.plan.FirstSlot, tr.plan.SlotCount = 1, 1<<len(spread)-1
	logs := tr.run(broadcastFrames, uint64(len(spread)))
	for lane := range logs.in {
		for i := range logs.in[lane] {
			in, out := &logs.in[lane][i], &logs.out[lane][i]
			want := trafficOutput{Count: 1, Type: uint8(protocol.Read), Request: in.Request}
			session := protocol.MintSessionID(1, 1, int(in.Slot))
			want.Targets = 1 << ((uint64(session) + in.Request) % uint64(len(spread)))
			if in.Kind == kindWrite {
				want = trafficOutput{Type: uint8(protocol.Write), Request: 5, Seq: uint64(100 + in.Slot), Targets: uint16(in.Slot)}
				if bits.OnesCount16(want.Targets) > 1 {
					broadcasts++
					want.Targets |= surplus(spread, want.Targets)
				}
				want.Count = uint8(bits.OnesCount16(want.Targets))
			}
			want.Time = out.Time
			if *out != want {
				tr.Fatalf("members by the devices %v, lane %d, frame %d: %s\ngot  %+v\nwant %+v", spread, lane, i,
					fmt.Sprintf("%+v", *in), *out, want)
			}
		}
	}
	return broadcasts
}

// surplus returns who gets a copy although they are no targets: of the members at
// each device that has none, the first.
func surplus(spread []int, targets uint16) (set uint16) {
	reached := map[int]uint16{}
	for i, device := range spread {
		reached[device] |= 1 << i
	}
	for _, members := range reached {
		if members&targets == 0 {
			set |= members & -members
		}
	}
	return set
}

// trafficHash and trafficDigest are what the frames of a request bear.
func trafficHash(request uint64) uint64   { return request * 0x9E3779B97F4A7C15 }
func trafficDigest(request uint64) uint32 { return uint32(request) * 2654435761 }
