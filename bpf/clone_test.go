// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"runtime"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"dalio/protocol"
)

// processors returns the numbers of the processors that the process may use.
func processors() (cpus []int, err error) {
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return nil, fmt.Errorf("ask for the processors: %w", err)
	}
	for cpu := 0; len(cpus) < allowed.Count(); cpu++ {
		if allowed.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus, nil
}

// pin keeps the calling goroutine, whose thread ends with it, on the processor.
func pin(cpu int) error {
	runtime.LockOSThread()
	var one unix.CPUSet
	one.Set(cpu)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return fmt.Errorf("pin to processor %d: %w", cpu, err)
	}
	return nil
}

// retryTo returns a shard with one pending write, and a retry of that write that
// the coordinator multicasts to the members in targets.
func retryTo(members int, targets uint16) (*protocol.Coordinator, []byte) {
	c := shard(members)
	session := protocol.MintSessionID(1, 1, 3)
	m := writeRequest(session, 5, "key", fmt.Sprintf("value for %d of %d", targets, members))
	c.NextSeq = 7
	c.Sessions[3] = protocol.SessionEntry{Owner: session, Request: 5, Seq: 7, Acks: c.Members &^ targets,
		Op: m.Op, KeyHash: m.KeyHash, Digest: m.Digest}
	return c, protocol.NewFrame(&m, client(0), self)
}

// runClone runs a test entry on a broadcast frame with its metadata in front.
func runClone(t *testing.T, program *ebpf.Program, meta multicastMeta, frame []byte) (uint32, []byte) {
	t.Helper()
	in := binary.NativeEndian.AppendUint32(nil, meta.Nonce)
	in = binary.NativeEndian.AppendUint16(in, meta.Targets)
	in = append(append(in, 0, 0), frame...)
	context := xdpContext{Data: 8, DataEnd: uint32(len(in))}
	run := &ebpf.RunOptions{Data: in, DataOut: make([]byte, len(in)+64), Context: context, ContextOut: &context}
	verdict, err := program.Run(run)
	if err != nil {
		t.Fatal(err)
	}
	return verdict, run.DataOut[context.Data:]
}

// TestClones runs the body of the clone program on what the coordinator program
// broadcasts, for every set of up to five members, as often as the multicast
// group has entries, and compares each copy with the model's.
func TestClones(t *testing.T) {
	// Each processor tells its own clones apart.
	cpus, err := processors()
	if err == nil {
		err = pin(cpus[0])
	}
	if err != nil {
		t.Fatal(err)
	}
	dp := load(t, "")
	nonce := uint32(0)
	for members := 1; members <= 5; members++ {
		entries := loadEntries(t, handlerCase{frame: handlerCases()[0].frame})
		for targets := uint16(1); targets < 1<<members; targets++ {
			c, frame := retryTo(members, targets)
			setMembership(t, entries, c)
			restore(t, dp, c)
			want := c.HandleFrame(bytes.Clone(frame))
			got, err := dp.HandleFrame(frame)
			if err != nil || got.Verdict != want.Verdict || got.Targets != want.Targets {
				t.Fatalf("frame to %05b: %+v, %v; the model: %+v", targets, got, err, want)
			}
			if bits.OnesCount16(targets) == 1 {
				if got.Verdict != protocol.Transmit || !bytes.Equal(got.Frame, want.Frame) {
					t.Errorf("frame to %05b:\ngot  %x\nwant %x", targets, got.Frame, want.Frame)
				}
				continue
			}
			nonce++
			for i, copied := range copiesOf(want, members) {
				verdict, out := runClone(t, entries.CloneEntry, multicastMeta{Nonce: nonce, Targets: got.Targets}, got.Frame)
				if verdict != xdpPass || !bytes.Equal(out, copied) {
					t.Errorf("copy %d of a multicast to %05b: verdict %d\ngot  %x\nwant %x", i, targets, verdict, out, copied)
				}
			}
		}
		counted := readCounters(t, entries.Counters)
		if n := counted.Activities[activity(t, "clones")]; n == 0 && members > 1 {
			t.Error("no copy was counted")
		}
		if n := counted.Activities[activity(t, "surplus")]; n == 0 && members > 2 {
			t.Error("no surplus copy was counted")
		}
	}
}

// TestCloneAstray gives the clone program what it must not address.
func TestCloneAstray(t *testing.T) {
	entries := loadEntries(t, handlerCase{frame: handlerCases()[0].frame})
	frame := handlerCases()[0].frame
	internal := func() uint64 { return readCounters(t, entries.Counters).Drops[protocol.Internal] }

	if verdict, _ := runClone(t, entries.CloneAstray, multicastMeta{Nonce: 1, Targets: 7}, frame); verdict != xdpDrop || internal() != 1 {
		t.Errorf("copy on another device: verdict %d, %d counted", verdict, internal())
	}
	if verdict, err := entries.CloneEntry.Run(&ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame)+64)}); verdict != xdpDrop || internal() != 2 {
		t.Errorf("copy without metadata: verdict %d (%v), %d counted", verdict, err, internal())
	}
}

// TestCovered: a pending write that all members which are left have acknowledged
// is committed by whoever comes first, a retry or the gate.
func TestCovered(t *testing.T) {
	dp := load(t, "")
	c, frame := retryTo(3, 7)
	c.Sessions[3].Acks = 7
	restore(t, dp, c)
	if got, err := dp.HandleFrame(frame); err != nil || got.Verdict != protocol.Transmit || mustDecode(t, got.Frame).Status != protocol.StatusOK {
		t.Errorf("retry: %+v, %v", got, err)
	}
	restore(t, dp, c)
	write := mustDecode(t, frame)
	reply := protocol.Message{Type: protocol.ReadReply, Op: write.Op, Epoch: 1, Replica: replica(0).ID,
		Version: protocol.Version{Epoch: 1, Seq: 7}, Writer: write.Session, Key: write.Key, Value: write.Value, Client: client(1)}
	frame = protocol.NewFrame(&reply, replica(0).Address, self)
	if got, err := dp.HandleFrame(frame); err != nil || got.Verdict != protocol.Transmit || mustDecode(t, got.Frame).Type != protocol.ReadResponse {
		t.Errorf("gated reply: %+v, %v", got, err)
	}
	if state, err := dp.State(); err != nil || state.Sessions[3].Pending() {
		t.Errorf("the write is still pending (%v)", err)
	}
}

// TestContended runs the object whose acknowledgements give up at once.
func TestContended(t *testing.T) {
	dp := load(t, "contended_bpfel_test.o")
	c, _ := retryTo(3, 7)
	restore(t, dp, c)
	session := c.Sessions[3].Owner
	ack := protocol.Message{Type: protocol.WriteAck, Epoch: 1, Replica: replica(0).ID,
		Version: protocol.Version{Epoch: 1, Seq: 7}, Session: session, Writer: session, Request: 5}
	if got, err := dp.HandleFrame(protocol.NewFrame(&ack, replica(0).Address, self)); err != nil || got.Reason != protocol.Contended {
		t.Errorf("acknowledgement: %+v, %v", got, err)
	}
}

func activity(t *testing.T, name string) int {
	t.Helper()
	for i, other := range activityNames {
		if name == other {
			return i
		}
	}
	t.Fatalf("no activity %s", name)
	return 0
}

func readCounters(t testing.TB, m *ebpf.Map) (total counterSet) {
	t.Helper()
	var each []counterSet
	if err := m.Lookup(uint32(0), &each); err != nil {
		t.Fatal(err)
	}
	total.add(each)
	return total
}
