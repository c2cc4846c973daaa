// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"dalio/bpf/internal/namespace"
	"dalio/protocol"
)

const (
	trafficLanes = len(trafficPlan{}.Clients)
	// laneFrames is how many frames a lane's logs hold.
	laneFrames = 1 << 18
	// trafficBatch is how many frames a lane hands over at a time: with all their
	// copies, fewer than a veth device's queue holds.
	trafficBatch = 32
	// blankFrame is the size of what a lane makes into frames, none of which is as long.
	blankFrame = 192
	// trafficPatience bounds the making of a run's frames.
	trafficPatience = 2 * time.Minute
)

// kinds of frames, as in traffic_test.bpf.c.
const (
	kindWrite = iota
	kindAck
	kindReply
	kindRead
)

// traffic is the surroundings of an attached coordinator; traffic_test.bpf.c
// says what they do. Its wires have a queue for each lane, so that native XDP
// runs on the processor of each.
type traffic struct {
	*testing.T
	trafficParts
	dp    *DataPlane
	wires []*wire
	// cpus are the processors of the lanes, and spread the wires of the replicas.
	cpus   []int
	spread []int
	plan   trafficPlan
	ns     netns.NsHandle
}

type trafficParts struct {
	Make     *ebpf.Program  `ebpf:"make"`
	Capture  *ebpf.Program  `ebpf:"capture"`
	Inputs   *ebpf.Map      `ebpf:"inputs"`
	Outputs  *ebpf.Map      `ebpf:"outputs"`
	Plan     *ebpf.Variable `ebpf:"plan"`
	Lanes    *ebpf.Variable `ebpf:"lanes"`
	Captured *ebpf.Variable `ebpf:"captured"`
}

// newTraffic attaches the data plane to the inner ends of new wires, and the
// capturing program to the outer ones.
func newTraffic(t *testing.T, dp *DataPlane, wires int) *traffic {
	t.Helper()
	namespace.EnterNetwork(t)
	tr := &traffic{T: t, dp: dp}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	tr.cpus, err = processors()
	must(err)
	if len(tr.cpus) < trafficLanes {
		t.Fatalf("races between processors need %d of them, and the process may use %d", trafficLanes, len(tr.cpus))
	}
	tr.cpus = tr.cpus[:trafficLanes]
	tr.ns, err = netns.Get()
	must(err)
	t.Cleanup(func() { tr.ns.Close() })
	spec, err := loadTraffic()
	must(err)
	spec.Maps[sessionsMap].MaxEntries = dp.options.MaxSessions
	address := toAddress(self)
	must(spec.Variables[coordinatorVarCoordinatorAddress].Set(address))
	err = spec.LoadAndAssign(&tr.trafficParts, &ebpf.CollectionOptions{
		MapReplacements: map[string]*ebpf.Map{sessionsMap: dp.objects.Sessions, trafficMapCounters: dp.objects.Counters}})
	if err != nil {
		t.Fatal(ExplainLoad(err))
	}
	t.Cleanup(func() { tr.Make.Close(); tr.Capture.Close(); tr.Inputs.Close(); tr.Outputs.Close() })

	var indices []int
	for number := range wires {
		// A veth device uses the queue that has the processor's number.
		w := addWire(t, number, 1500, slices.Max(tr.cpus)+1)
		tr.wires = append(tr.wires, w)
		indices = append(indices, w.coordinator)
		l, err := AttachNative(tr.Capture, w.outside)
		must(err)
		t.Cleanup(func() { l.Close() })
	}
	must(dp.Attach(indices...))
	for _, w := range tr.wires {
		tr.expectNative(w.coordinator)
		tr.expectNative(w.outside)
	}
	for lane, cpu := range tr.cpus {
		tr.plan.Clients[lane] = tr.end(client(lane), tr.clientWire(lane))
		tr.plan.LaneOf[cpu%len(tr.plan.LaneOf)] = uint8(lane)
	}
	return tr
}

// expectNative fails unless a device runs XDP in native mode and has a queue for
// each lane's processor.
func (tr *traffic) expectNative(ifindex int) {
	tr.Helper()
	device, err := netlink.LinkByIndex(ifindex)
	if err != nil {
		tr.Fatal(err)
	}
	a := device.Attrs()
	if a.Xdp == nil || a.Xdp.AttachMode != nl.XDP_ATTACHED_DRV || a.NumRxQueues <= slices.Max(tr.cpus) {
		tr.Fatalf("device %s has %d queues and XDP %+v, want native mode and a queue for each of the processors %v", a.Name, a.NumRxQueues, a.Xdp, tr.cpus)
	}
}

// clientWire is the number of the wire of a lane's client: the first, or for the
// last lane the last.
func (tr *traffic) clientWire(lane int) int {
	if lane == trafficLanes-1 {
		return len(tr.wires) - 1
	}
	return 0
}

// end is a client or replica at the outer end of a wire.
func (tr *traffic) end(at protocol.Address, number int) (e trafficStationEnd) {
	a := toAddress(at)
	e.Address.Ip, e.Address.Port, e.Address.Mac = a.ip, a.port, a.mac
	e.CoordinatorMac = toAddress(protocol.Address{MAC: deviceMAC(number)}).mac
	e.Ifindex = uint32(tr.wires[number].outside)
	return e
}

// place puts each replica at the wire with the number.
func (tr *traffic) place(spread []int) {
	tr.Helper()
	var paths [protocol.MaxMembers]int
	for i, number := range spread {
		paths[i] = tr.wires[number].coordinator
		tr.plan.Replicas[i] = tr.end(replica(i).Address, number)
	}
	tr.spread, tr.plan.ReplicaCount = spread, uint32(len(spread))
	if err := tr.dp.SetPaths(paths); err != nil {
		tr.Fatal(err)
	}
}

// mix sets how many of 256 frames are of each kind, and how many writes retries.
func (tr *traffic) mix(write, ack, reply, read, retries uint32) {
	tr.plan.UpTo = [4]uint32{write, write + ack, write + ack + reply, write + ack + reply + read}
	tr.plan.Retries = retries
}

// logs is what a run left: inputs and outputs by lane and number.
type logs struct {
	in  [trafficLanes][]trafficInput
	out [trafficLanes][]trafficOutput
	// clients and spread have the wire of each lane's client and of each replica.
	clients [trafficLanes]int
	spread  []int
}

// wire returns the number of the wire that an input came by.
func (l *logs) wire(lane int, in *trafficInput) int {
	if in.Kind == kindAck || in.Kind == kindReply {
		return l.spread[in.Replica]
	}
	return l.clients[lane]
}

func (l *logs) each(visit func(lane, i int, in *trafficInput, out *trafficOutput)) {
	for lane := range l.in {
		for i := range l.in[lane] {
			visit(lane, i, &l.in[lane][i], &l.out[lane][i])
		}
	}
}

// run has each lane make the frames at the same time, and returns when all of
// them have been handled and all that came of them has been captured.
func (tr *traffic) run(frames int, seed uint64) *logs {
	tr.Helper()
	before := tr.counters()
	tr.start(frames, seed)
	errs := make([]error, trafficLanes)
	var done sync.WaitGroup
	for lane := range trafficLanes {
		done.Go(func() {
			err := pin(tr.cpus[lane])
			if err == nil {
				// The thread ends with its goroutine, so it need not come back.
				err = netns.Set(tr.ns)
			}
			if err == nil {
				err = tr.drive(lane, frames)
			}
			errs[lane] = err
		})
	}
	done.Wait()
	if err := errors.Join(errs...); err != nil {
		tr.Fatalf("make traffic: %v", err)
	}
	tr.settle(before, frames*trafficLanes)
	return tr.read(frames)
}

// drive has the calling thread's processor make the frames of a lane.
func (tr *traffic) drive(lane, frames int) error {
	context := xdpContext{DataEnd: blankFrame, IngressIfindex: uint32(tr.wires[0].outside)}
	for deadline := time.Now().Add(trafficPatience); ; {
		_, err := tr.Make.Run(&ebpf.RunOptions{Data: make([]byte, blankFrame), Context: context, Repeat: uint32(frames),
			Flags: unix.BPF_F_TEST_XDP_LIVE_FRAMES, BatchSize: trafficBatch})
		if err != nil {
			return err
		}
		var lanes [trafficLanes]trafficLane
		if err := tr.Lanes.Get(&lanes); err != nil {
			return err
		}
		if int(lanes[lane].Next) >= frames {
			return nil
		}
		if time.Now().After(deadline) {
			now := tr.counters()
			return fmt.Errorf("lane %d made %d of %d frames in %v; of %d frames %d were handled, and of %d that the coordinator sent %d captured",
				lane, lanes[lane].Next, frames, trafficPatience, lanes[0].Next+lanes[1].Next,
				total(now.Actions[:])-tr.plan.Handled, tr.sent(now)-tr.plan.Sent, tr.captured())
		}
	}
}

// start empties the outputs and puts the lanes at their beginning.
func (tr *traffic) start(frames int, seed uint64) {
	tr.Helper()
	tr.plan.Frames = uint32(frames)
	now := tr.counters()
	tr.plan.Handled, tr.plan.Sent = total(now.Actions[:]), tr.sent(now)
	random := rand.New(rand.NewPCG(seed, 0))
	var lanes [trafficLanes]trafficLane
	for i := range lanes {
		lanes[i].Random = random.Uint64() | 1
	}
	memory, err := tr.Outputs.Memory()
	if err != nil {
		tr.Fatal(err)
	}
	blank := make([]byte, frames*int(unsafe.Sizeof(trafficOutput{})))
	for lane := range trafficLanes {
		_, err := memory.WriteAt(blank, int64(lane*laneFrames*int(unsafe.Sizeof(trafficOutput{}))))
		if err != nil {
			tr.Fatal(err)
		}
	}
	if err := errors.Join(tr.Plan.Set(tr.plan), tr.Lanes.Set(lanes), tr.Captured.Set([trafficLanes][8]uint64{})); err != nil {
		tr.Fatal(err)
	}
}

// settle waits until the coordinator has handled the frames and everything that
// it sent since then has been captured.
func (tr *traffic) settle(before counterSet, frames int) {
	tr.Helper()
	for deadline := time.Now().Add(trafficPatience); ; time.Sleep(time.Millisecond) {
		now := tr.counters()
		handled, sent := total(now.Actions[:])-total(before.Actions[:]), tr.sent(now)-tr.sent(before)
		captured := tr.captured()
		if handled == uint64(frames) && captured == sent {
			return
		}
		if time.Now().After(deadline) {
			tr.Fatalf("of %d frames %d were handled, and of %d that the coordinator sent %d captured: a queue was too short",
				frames, handled, sent, captured)
		}
	}
}

// sent returns how many frames the coordinator has sent in all, by its counters.
func (tr *traffic) sent(c counterSet) uint64 {
	tr.Helper()
	return total(c.Actions[:]) - total(c.Drops[:]) - c.Activities[activity(tr.T, "multicasts")] + c.Activities[activity(tr.T, "clones")]
}

func (tr *traffic) captured() uint64 {
	tr.Helper()
	var lanes [trafficLanes][8]uint64
	if err := tr.Captured.Get(&lanes); err != nil {
		tr.Fatal(err)
	}
	n := uint64(0)
	for _, lane := range lanes {
		n += lane[0]
	}
	return n
}

func (tr *traffic) counters() counterSet {
	tr.Helper()
	counted, err := tr.dp.readCounters()
	if err != nil {
		tr.Fatal(err)
	}
	return counted
}

// expectBothProcessors fails if one of the lanes' processors has handled less than
// a third of what was handled in all.
func (tr *traffic) expectBothProcessors() {
	tr.Helper()
	var each []counterSet
	if err := tr.dp.objects.Counters.Lookup(uint32(0), &each); err != nil {
		tr.Fatal(err)
	}
	all := uint64(0)
	for i := range each {
		all += total(each[i].Actions[:])
	}
	for _, cpu := range tr.cpus {
		n := total(each[cpu].Actions[:])
		tr.Logf("processor %d handled %d of %d frames", cpu, n, all)
		if n < all/3 {
			tr.Errorf("processor %d handled only %d of %d frames", cpu, n, all)
		}
	}
}

func total(counts []uint64) (n uint64) {
	for _, count := range counts {
		n += count
	}
	return n
}

// read copies the logs of a run.
func (tr *traffic) read(frames int) *logs {
	tr.Helper()
	l := &logs{spread: tr.spread}
	for lane := range trafficLanes {
		l.clients[lane] = tr.clientWire(lane)
		l.in[lane] = readLog[trafficInput](tr, tr.Inputs, lane, frames)
		l.out[lane] = readLog[trafficOutput](tr, tr.Outputs, lane, frames)
	}
	return l
}

func readLog[entry any](tr *traffic, m *ebpf.Map, lane, frames int) []entry {
	tr.Helper()
	memory, err := m.Memory()
	if err != nil {
		tr.Fatal(err)
	}
	entries := make([]entry, frames)
	size := int(unsafe.Sizeof(entries[0]))
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(&entries[0])), frames*size)
	if _, err := memory.ReadAt(bytes, int64(lane*laneFrames*size)); err != nil {
		tr.Fatal(err)
	}
	return entries
}
