// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"fmt"
	"math/bits"
	"testing"

	"dalio/protocol"
)

// leastBroadcasts is how many multicasts are looked at on one device, and how many
// on several.
const leastBroadcasts = 200_000

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
	for _, several := range []bool{false, true} {
		t.Run(deviceCount(several), func(t *testing.T) {
			tr, spreads := newBroadcasts(t, loadTable(t, "", several), several)
			broadcasts := 0
			for seed := uint64(0); broadcasts < leastBroadcasts; seed++ {
				for _, spread := range spreads {
					n, complaint := tr.broadcast(spread, seed)
					if complaint != "" {
						t.Fatal(complaint)
					}
					broadcasts += n
				}
			}
			expectCounted(t, tr.dp, "clones", "surplus", "forwarded")
			if several {
				expectCounted(t, tr.dp, "redirected", "learned")
			}
			tr.expectBothProcessors()
			t.Logf("%d broadcasts, in %d ways to spread the members, and not one copy wrong", broadcasts, len(spreads))
		})
	}
}

func deviceCount(several bool) string {
	if several {
		return "several devices"
	}
	return "one device"
}

// newBroadcasts returns the surroundings, and the ways in which members are
// spread over its wires.
func newBroadcasts(t *testing.T, dp *DataPlane, several bool) (tr *traffic, spreads [][]int) {
	t.Helper()
	const most = 5
	for members := 1; members <= most; members++ {
		if several {
			spreads = append(spreads, partitions(members)...)
		} else {
			spreads = append(spreads, make([]int, members))
		}
	}
	if several {
		// The last device has no member, but a client.
		return newTraffic(t, dp, most+1), spreads
	}
	return newTraffic(t, dp, 1), spreads
}

// loadTable loads a data plane with a slot for each set of five members.
func loadTable(t *testing.T, object string, several bool) *DataPlane {
	t.Helper()
	dp, err := Load(Options{Self: self, MaxSessions: 32, SessionTTL: testTTL, Lease: testLease, clockStands: 1,
		Object: object, SeveralDevices: several})
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
// their slot's number, and reads. It returns how many of them were broadcast, and
// what is wrong with the first of which something is.
func (tr *traffic) broadcast(spread []int, seed uint64) (broadcasts int, complaint string) {
	tr.Helper()
	// There are fewer ways to spread members over one device, so each gets more.
	frames := 2500
	if len(tr.wires) == 1 {
		frames = 30_000
	}
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
	logs := tr.run(frames, seed)
	logs.each(func(lane, i int, in *trafficInput, out *trafficOutput) {
		want := trafficOutput{Type: uint8(protocol.Read), Request: in.Request, Count: 1}
		session := protocol.MintSessionID(1, 1, int(in.Slot))
		want.Targets = 1 << ((uint64(session) + in.Request) % uint64(len(spread)))
		if in.Kind == kindWrite {
			want = trafficOutput{Type: uint8(protocol.Write), Request: 5, Seq: uint64(100 + in.Slot), Count: 1, Targets: uint16(in.Slot)}
			if bits.OnesCount16(want.Targets) > 1 {
				broadcasts++
				copies := logs.copies(want.Targets)
				want.Count, want.Surplus, want.Targets = copies.Count, copies.Surplus, copies.Targets
			}
		}
		want.Time = out.Time
		if *out != want && complaint == "" {
			complaint = fmt.Sprintf("members by the devices %v, lane %d, frame %d: %+v\ngot  %+v\nwant %+v", spread, lane, i, *in, *out, want)
		}
	})
	return broadcasts, complaint
}
