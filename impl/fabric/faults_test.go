// SPDX-License-Identifier: Apache-2.0

package fabric

import (
	"fmt"
	"math"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

func counters(t testing.TB, node *Node, direction Direction) Counters {
	t.Helper()
	c, err := node.Counters(direction)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func setFaults(t testing.TB, node *Node, direction Direction, faults Faults) {
	t.Helper()
	if err := node.SetFaults(direction, faults); err != nil {
		t.Fatal(err)
	}
}

// flood sends numbered datagrams and returns those that arrived. It pauses
// now and then because a full veth ring would drop frames of its own accord.
func flood(t testing.TB, from, to *net.UDPConn, count, expected int) []uint32 {
	t.Helper()
	arrived := make(chan []uint32)
	go func() { arrived <- receive(t, to, expected) }()
	for number := range count {
		send(t, from, to, uint32(number))
		if number%64 == 63 {
			time.Sleep(100 * time.Microsecond)
		}
	}
	return <-arrived
}

// TestFatesFollowTheSeed checks every single frame: the numbers that arrive
// are those the oracle lets through, in its order.
func TestFatesFollowTheSeed(t *testing.T) {
	const frames = 3000
	sent := Faults{Loss: 0.1, Duplicate: 0.05}
	received := Faults{Loss: 0.03, Duplicate: 0.2}
	arrivals := map[uint64][]uint32{}
	for _, seed := range []uint64{1, 2} {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			p := newPair(t, seed)
			setFaults(t, p.a, FromNode, sent)
			setFaults(t, p.b, ToNode, received)
			from := newOracle(seed, p.a, FromNode, sent)
			to := newOracle(seed, p.b, ToNode, received)
			var want []uint32
			var wantFrom, wantTo Counters
			arrive := func(number uint32) {
				fate := to.next()
				wantTo.note(fate)
				want = append(want, slices.Repeat([]uint32{number}, fate.copies())...)
			}
			for number := range uint32(frames) {
				fate := from.next()
				wantFrom.note(fate)
				for range fate.copies() {
					arrive(number)
				}
			}
			got := flood(t, p.fromA, p.fromB, frames, len(want))
			if !slices.Equal(got, want) {
				t.Errorf("%d frames arrived, %d expected, or not the same ones", len(got), len(want))
			}
			if c := counters(t, p.a, FromNode); c != wantFrom {
				t.Errorf("counters from a: %+v, want %+v", c, wantFrom)
			}
			if c := counters(t, p.b, ToNode); c != wantTo {
				t.Errorf("counters to b: %+v, want %+v", c, wantTo)
			}
			arrivals[seed] = got
		})
	}
	if slices.Equal(arrivals[1], arrivals[2]) {
		t.Error("two seeds gave the same fates")
	}
}

// TestRatesAreMet compares what the receiver saw with the rates, at five
// standard deviations, and with the counters, exactly.
func TestRatesAreMet(t *testing.T) {
	const frames = 20000
	p := newPair(t, 3)
	faults := Faults{Loss: 0.05, Duplicate: 0.04, Reorder: 0.01,
		Delay: 0.02, DelayMin: time.Millisecond, DelayMax: 5 * time.Millisecond}
	setFaults(t, p.b, ToNode, faults)
	got := flood(t, p.fromA, p.fromB, frames, frames*9/10)
	c := counters(t, p.b, ToNode)
	near := func(what string, count uint64, of, rate float64) {
		if deviation := math.Sqrt(of * rate * (1 - rate)); math.Abs(float64(count)-of*rate) > 5*deviation {
			t.Errorf("%s: %d of %.0f, want a rate of %v", what, count, of, rate)
		}
	}
	near("dropped", c.Dropped, frames, faults.Loss)
	near("duplicated", c.Duplicated, frames*(1-faults.Loss), faults.Duplicate)
	near("delayed", c.Delayed, frames*(1-faults.Loss), 1-(1-faults.Delay)*(1-faults.Reorder))

	seen := map[uint32]int{}
	for _, number := range got {
		seen[number]++
	}
	var lost, twice uint64
	for number := range uint32(frames) {
		switch seen[number] {
		case 0:
			lost++
		case 2:
			twice++
		}
	}
	if c.Seen != frames || c.Dropped != lost || c.Duplicated != twice || c.Released != c.Delayed || c.Failed != 0 {
		t.Errorf("receiver missed %d and got %d twice, counters: %+v", lost, twice, c)
	}
}

// TestReorderedFramesAreOvertaken counts at the receiver the frames that came
// after a later one: later frames that were not held, and ones that were.
func TestReorderedFramesAreOvertaken(t *testing.T) {
	for _, test := range []struct {
		faults         Faults
		frames, sparse uint64
	}{
		{Faults{Reorder: 0.02}, 10000, 100},
		{Faults{Delay: 1, DelayMin: time.Millisecond, DelayMax: 30 * time.Millisecond}, 300, 1},
	} {
		t.Run(fmt.Sprint(test.faults), func(t *testing.T) {
			p := newPair(t, 4)
			setFaults(t, p.a, FromNode, test.faults)
			got := flood(t, p.fromA, p.fromB, int(test.frames), int(test.frames))
			if uint64(len(got)) != test.frames {
				t.Fatalf("%d of %d frames arrived", len(got), test.frames)
			}
			var highest uint32
			var overtaken uint64
			for _, number := range got {
				if number < highest {
					overtaken++
				}
				highest = max(highest, number)
			}
			c := counters(t, p.a, FromNode)
			// A frame is counted before it is delivered, and one that another
			// processor sends at the same moment may come in between.
			if difference := max(c.Reordered, overtaken) - min(c.Reordered, overtaken); difference > c.Delayed/50 {
				t.Errorf("receiver saw %d overtaken frames, counters: %+v", overtaken, c)
			}
			if overtaken < c.Delayed/2 || c.Delayed < test.frames/test.sparse {
				t.Errorf("%d frames overtaken of %d held, want most", overtaken, c.Delayed)
			}
		})
	}
}

// TestLoneFrameIsNotReordered keeps the counter honest: a held frame that
// nothing follows was delayed, not reordered.
func TestLoneFrameIsNotReordered(t *testing.T) {
	p := newPair(t, 5)
	setFaults(t, p.b, ToNode, Faults{Reorder: 1})
	for number := range uint32(20) {
		send(t, p.fromA, p.fromB, number)
		receive(t, p.fromB, 1)
	}
	if c := counters(t, p.b, ToNode); c.Delayed != 20 || c.Reordered != 0 {
		t.Errorf("counters of frames sent one at a time: %+v", c)
	}
}

// TestDelaysAreKept compares every frame's time on the way with its due time.
// None may be early; a busy machine makes some late.
func TestDelaysAreKept(t *testing.T) {
	const frames = 60
	const tolerance = 10 * time.Millisecond
	late := 0
	p := newPair(t, 6)
	faults := Faults{Delay: 0.5, DelayMin: 3 * time.Millisecond, DelayMax: 12 * time.Millisecond}
	setFaults(t, p.b, ToNode, faults)
	to := newOracle(6, p.b, ToNode, faults)
	var want Counters
	var message [64]byte
	for number := range uint32(frames) {
		fate := to.next()
		want.note(fate)
		begin := time.Now()
		send(t, p.fromA, p.fromB, number)
		if err := p.fromB.SetReadDeadline(begin.Add(patience)); err != nil {
			t.Fatal(err)
		}
		if _, err := p.fromB.Read(message[:]); err != nil {
			t.Fatal(err)
		}
		took := time.Since(begin)
		if took < fate.hold {
			t.Errorf("frame %d took %v, was to be held for %v", number, took, fate.hold)
		}
		if took > fate.hold+tolerance {
			late++
		}
	}
	if late > frames/2 {
		t.Errorf("%d of %d frames were late by more than %v", late, frames, tolerance)
	}
	if c := counters(t, p.b, ToNode); c.Delayed != want.Delayed || want.Delayed == 0 {
		t.Errorf("counters %+v, want %d delayed", c, want.Delayed)
	}
}

// TestDirectionsAreSeparate drops all frames of one direction at a time.
func TestDirectionsAreSeparate(t *testing.T) {
	p := newPair(t, 7)
	for _, test := range []struct {
		node       *Node
		direction  Direction
		aToB, bToA int
	}{
		{p.a, FromNode, 0, 1}, {p.a, ToNode, 1, 0}, {p.b, FromNode, 1, 0}, {p.b, ToNode, 0, 1},
	} {
		t.Run(fmt.Sprintf("%s %s", test.direction, test.node.Name), func(t *testing.T) {
			before := counters(t, test.node, test.direction)
			setFaults(t, test.node, test.direction, Faults{Loss: 1})
			defer setFaults(t, test.node, test.direction, Faults{})
			checkReach(t, p, test.aToB, test.bToA)
			after := counters(t, test.node, test.direction)
			if after.Dropped-before.Dropped != 1 || after.Seen-before.Seen != 1 {
				t.Errorf("counters went from %+v to %+v, want one frame seen and dropped", before, after)
			}
		})
	}
}

// checkReach sends one frame each way and says how many should arrive.
func checkReach(t *testing.T, p pair, aToB, bToA int) {
	t.Helper()
	send(t, p.fromA, p.fromB, 1)
	if got := receive(t, p.fromB, aToB); len(got) != aToB {
		t.Errorf("%d of 1 frames went from a to b, want %d", len(got), aToB)
	}
	send(t, p.fromB, p.fromA, 1)
	if got := receive(t, p.fromA, bToA); len(got) != bToA {
		t.Errorf("%d of 1 frames went from b to a, want %d", len(got), bToA)
	}
}

// TestPartition cuts a link one way, then both ways, and mends it.
func TestPartition(t *testing.T) {
	p := newPair(t, 8)
	change := func(change func(Direction) error, direction Direction) {
		t.Helper()
		if err := change(direction); err != nil {
			t.Fatal(err)
		}
	}
	change(p.b.Cut, ToNode)
	checkReach(t, p, 0, 1)
	change(p.b.Cut, FromNode)
	checkReach(t, p, 0, 0)
	checkResolution(t, p)
	change(p.b.Mend, ToNode)
	checkReach(t, p, 1, 0)
	change(p.b.Mend, FromNode)
	checkReach(t, p, 1, 1)
	if n := len(p.rack.faults.attached); n != 0 {
		t.Errorf("%d programs attached without faults", n)
	}
}

// checkResolution checks that a finds b's address although they are cut off.
func checkResolution(t *testing.T, p pair) {
	t.Helper()
	err := p.a.Do(func() error {
		device, err := netlink.LinkByName(Device)
		if err != nil {
			return err
		}
		return netlink.NeighDel(&netlink.Neigh{LinkIndex: device.Attrs().Index, IP: p.b.Addr.AsSlice()})
	})
	if err != nil {
		t.Fatal(err)
	}
	send(t, p.fromA, p.fromB, 1)
	waitFor(t, "address resolution across a partition", func() bool {
		resolved := false
		err := p.a.Do(func() error {
			neighbours, err := netlink.NeighList(0, netlink.FAMILY_V4)
			for _, n := range neighbours {
				resolved = resolved || n.IP.Equal(p.b.Addr.AsSlice()) && n.State == netlink.NUD_REACHABLE
			}
			return err
		})
		return err == nil && resolved
	})
}

// TestHeldFramesOutliveTheirFaults heals a link while it holds frames.
func TestHeldFramesOutliveTheirFaults(t *testing.T) {
	const frames = 50
	p := newPair(t, 9)
	setFaults(t, p.b, ToNode, Faults{Delay: 1, DelayMin: 20 * time.Millisecond, DelayMax: 40 * time.Millisecond})
	for number := range uint32(frames) {
		send(t, p.fromA, p.fromB, number)
	}
	setFaults(t, p.b, ToNode, Faults{})
	if got := receive(t, p.fromB, frames); len(got) != frames {
		t.Errorf("%d of %d held frames arrived", len(got), frames)
	}
	if c := counters(t, p.b, ToNode); c.Delayed != frames || c.Released != frames {
		t.Errorf("counters: %+v", c)
	}
	waitFor(t, "the program to be detached", func() bool {
		p.rack.faults.mu.Lock()
		defer p.rack.faults.mu.Unlock()
		return len(p.rack.faults.attached) == 0
	})
}

func TestFaultsAreChecked(t *testing.T) {
	rack := newRack(t, 1)
	node := addNode(t, rack, "a", 1)
	for _, bad := range []Faults{
		{Loss: -0.1}, {Duplicate: 1.1}, {Reorder: math.NaN()}, {Delay: math.Inf(1), DelayMax: 1},
		{Delay: 0.1}, {DelayMin: 2, DelayMax: 1}, {DelayMin: -1}, {DelayMax: MaxDelay + 1},
	} {
		if err := node.SetFaults(ToNode, bad); err == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
}

// TestLateNodeMeetsFaults adds a node while the program is attached.
func TestLateNodeMeetsFaults(t *testing.T) {
	p := newPair(t, 10)
	setFaults(t, p.a, FromNode, Faults{Loss: 1})
	late := addNode(t, p.rack, "late", 3)
	conn := listen(t, late)
	send(t, p.fromA, conn, 1)
	waitFor(t, "the frame to be dropped", func() bool { return counters(t, p.a, FromNode).Dropped == 1 })
	if got := receive(t, conn, 0); len(got) != 0 {
		t.Errorf("a frame passed the port of a late node unjudged")
	}
}
