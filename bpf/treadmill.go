// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"fmt"
	"reflect"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"dalio/protocol"
)

// Treadmill is a data plane for handling millions of frames without a device: a frame
// costs one system call, and reading the session table another. All else that frames
// change is mapped into this process. The program is the one that is shipped; only the
// map of the counters is of another type, since those of a processor can't be mapped.
// A Treadmill is for one goroutine.
type Treadmill struct {
	*DataPlane

	counters      *ebpf.Memory
	before, after counterSet
	entries       []sessionEntry
	slots         []uint32
	cursor        uint32
	run           testRun
	lookup        lookupBatch
	// The kernel is given addresses of these, which never move.
	in, out [maxOutput]byte
}

// maxOutput is more than the largest frame that Handle takes, with metadata.
const maxOutput = 4096

// testRun is what BPF_PROG_TEST_RUN takes, from linux/bpf.h.
type testRun struct {
	program, result         uint32
	sizeIn, sizeOut         uint32
	in, out                 uint64
	repeat, duration        uint32
	contextIn, contextOut   uint32
	contextFrom, contextTo  uint64
	flags, processor, batch uint32
	_                       uint32
}

// lookupBatch is what BPF_MAP_LOOKUP_BATCH takes.
type lookupBatch struct {
	from, next, keys, values uint64
	count, table             uint32
	elementFlags, flags      uint64
}

// The numbers of the commands.
const (
	progTestRun    = 10
	mapLookupBatch = 24
)

// LoadTreadmill loads a data plane for one device, whose clock stands until SetNow
// moves it. Its errors are those of Load. The caller must Close it.
func LoadTreadmill(o Options) (*Treadmill, error) {
	o.clockStands = 1
	spec, err := prepare(&o)
	if err != nil {
		return nil, err
	}
	if o.SeveralDevices {
		return nil, fmt.Errorf("%w: a treadmill is for one device", ErrOptions)
	}
	counters := spec.Maps[countersMap]
	counters.Type, counters.Flags = ebpf.Array, unix.BPF_F_MMAPABLE
	t := &Treadmill{DataPlane: &DataPlane{options: o, now: Now},
		entries: make([]sessionEntry, o.MaxSessions), slots: make([]uint32, o.MaxSessions)}
	if err := spec.LoadAndAssign(&t.objects, nil); err != nil {
		return nil, fmt.Errorf("load data plane: %w", ExplainLoad(err))
	}
	if t.counters, err = t.objects.Counters.Memory(); err != nil {
		return nil, errors.Join(fmt.Errorf("map the counters: %w", err), t.Close())
	}
	t.run = testRun{program: uint32(t.objects.Coordinator.FD()), in: addressOf(&t.in), out: addressOf(&t.out)}
	t.lookup = lookupBatch{next: addressOf(&t.cursor), keys: addressOf(&t.slots[0]), values: addressOf(&t.entries[0]),
		table: uint32(t.objects.Sessions.FD())}
	return t, nil
}

func addressOf[T any](value *T) uint64 { return uint64(uintptr(unsafe.Pointer(value))) }

// SetNow sets the clock of the lease, in nanoseconds.
func (t *Treadmill) SetNow(now uint64) error { return t.objects.ClockNow.Set(now) }

// Handle runs the program on a frame of 14 to 1,514 bytes, as HandleFrame does. The
// outcome's frame is good until the next call.
func (t *Treadmill) Handle(frame []byte) (protocol.Outcome, error) {
	a := &t.run
	a.sizeIn, a.sizeOut = uint32(copy(t.in[:], frame)), maxOutput
	// The kernel does not block: the scheduler need not be told.
	_, _, errno := unix.RawSyscall(unix.SYS_BPF, progTestRun, uintptr(unsafe.Pointer(a)), unsafe.Sizeof(*a))
	if errno != 0 {
		return protocol.Outcome{}, fmt.Errorf("run coordinator on a frame of %d bytes: %w", len(frame), errno)
	}
	metadata := uint32(0)
	if a.result == xdpRedirect {
		metadata = metadataSize // Nothing else has any.
	}
	o, err := outcomeOf(a.result, metadata, t.out[:a.sizeOut])
	if err != nil {
		return o, err
	}
	if _, err := t.counters.ReadAt(bytesOf(&t.after), 0); err != nil {
		return o, fmt.Errorf("read counters: %w", err)
	}
	err = t.after.tell(&t.before, &o)
	t.before = t.after
	return o, err
}

// bytesOf gives the memory of a value without pointers.
func bytesOf[T any](value *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(value)), unsafe.Sizeof(*value))
}

// Differs compares what frames change with the model's, and says in what they differ;
// "" means in nothing.
func (t *Treadmill) Differs(c *protocol.Coordinator) (string, error) {
	t.lookup.count = uint32(len(t.entries))
	_, _, errno := unix.RawSyscall(unix.SYS_BPF, mapLookupBatch, uintptr(unsafe.Pointer(&t.lookup)), unsafe.Sizeof(t.lookup))
	if errno != 0 && errno != unix.ENOENT || t.lookup.count != uint32(len(t.entries)) {
		return "", fmt.Errorf("read session table: %d of %d entries: %w", t.lookup.count, len(t.entries), errno)
	}
	var want sessionEntry
	for slot := range t.entries {
		if want.set(c.Sessions[slot]); t.entries[slot] != want {
			return fmt.Sprintf("slot %d differs:\nbytecode %+v\nmodel    %+v", slot, t.entries[slot].model(), c.Sessions[slot]), nil
		}
	}
	var answered [protocol.MaxMembers]uint64
	var held, last uint64
	if err := errors.Join(t.objects.Answered.Get(&answered), t.objects.Held.Get(&held), t.readSequence(&last)); err != nil {
		return "", fmt.Errorf("read lease and sequence number: %w", err)
	}
	if answered != c.Answered || held != c.Held || last != c.NextSeq {
		return fmt.Sprintf("heard at %v, lease held at %d, last number %d; the model: %v, %d, %d", answered, held, last, c.Answered, c.Held, c.NextSeq), nil
	}
	return "", nil
}

// DiffersAnywhere compares all state, also what frames must leave alone.
func (t *Treadmill) DiffersAnywhere(c *protocol.Coordinator) (string, error) {
	state, err := t.State()
	if err != nil || reflect.DeepEqual(state, c) {
		return "", err
	}
	return fmt.Sprintf("the states differ:\nbytecode %+v\nmodel    %+v", state, c), nil
}
