// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
	"runtime"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"dalio/bpf"
	"dalio/protocol"
)

const (
	// DefaultKeys and DefaultRoom make a table of 17 MB.
	DefaultKeys = 65536
	DefaultRoom = 208
	// MinKeys gives each of a replica's 256 lock stripes a set of its own, and
	// MaxKeys bounds the memory.
	MinKeys = stripes * ways
	MaxKeys = 1 << 24
	// MinRoom and MaxRoom bound the room for a key and its value, in bytes.
	MinRoom = 8
	MaxRoom = protocol.MaxPayloadSize
)

var (
	// ErrOptions is returned for options that can't work.
	ErrOptions = errors.New("bad options of the in-kernel read path")
	// ErrProcessor is returned on processors that may exchange loads.
	ErrProcessor = errors.New("in-kernel reads need an amd64 processor, whose loads stay in order")
)

// Options is what is fixed when the program is loaded.
type Options struct {
	// Address is the replica's own, of IPv4.
	Address netip.AddrPort
	// MAC is its hardware address, that of the device.
	MAC [6]byte
	// Object is the path of an object to load in place of the embedded one, built from
	// the same sources.
	Object string
	// Keys is how many there is room for, rounded up to a power of two; 0 means
	// DefaultKeys.
	Keys int
	// Room is how many bytes a key and its value may have together, rounded up to a
	// multiple of 8; 0 means DefaultRoom.
	Room int
}

func (o Options) withDefaults() (Options, error) {
	if o.Keys == 0 {
		o.Keys = DefaultKeys
	}
	if o.Room == 0 {
		o.Room = DefaultRoom
	}
	switch {
	case !o.Address.Addr().Is4() || o.Address.Addr().IsUnspecified() || o.Address.Port() == 0:
		return o, fmt.Errorf("%w: the replica listens on %v; one IPv4 address and port is needed", ErrOptions, o.Address)
	case o.MAC == [6]byte{}:
		return o, fmt.Errorf("%w: the device has no hardware address", ErrOptions)
	case o.Keys < 0 || o.Keys > MaxKeys:
		return o, fmt.Errorf("%w: %d keys, want 1 to %d", ErrOptions, o.Keys, MaxKeys)
	case o.Room < MinRoom || o.Room > MaxRoom:
		return o, fmt.Errorf("%w: room for %d bytes of key and value, want %d to %d", ErrOptions, o.Room, MinRoom, MaxRoom)
	}
	o.Keys = max(MinKeys, 1<<bits.Len(uint(o.Keys-1)))
	o.Room = (o.Room + 7) &^ 7
	return o, nil
}

// Reader is the program with its table, loaded into the kernel.
type Reader struct {
	*Table
	options Options
	objects readerObjects
	link    link.Link
}

// Load loads the program. It returns ErrOptions or ErrProcessor, and as bpf.Load
// does bpf.ErrPermission or bpf.ErrKernel. The caller must Close it.
func Load(o Options) (*Reader, error) {
	spec, err := loadReader()
	if o.Object != "" {
		spec, err = ebpf.LoadCollectionSpec(o.Object)
	}
	if err != nil {
		return nil, fmt.Errorf("read the object of the in-kernel read path: %w", err)
	}
	r := &Reader{}
	if err := r.load(spec, o, &r.objects); err != nil {
		return nil, err
	}
	return r, nil
}

// load loads a program into what has r.objects in it.
func (r *Reader) load(spec *ebpf.CollectionSpec, o Options, objects any) error {
	o, err := o.withDefaults()
	if err != nil {
		return err
	}
	if runtime.GOARCH != "amd64" {
		return ErrProcessor
	}
	r.options = o
	sets := uint32(o.Keys / ways)
	spec.Maps[readerMapSets].ValueSize = setSize(o.Room)
	spec.Maps[readerMapSets].MaxEntries = sets
	for name, value := range map[string]any{readerVarReplicaIp: o.Address.Addr().As4(), readerVarReplicaPort: bigEndian(o.Address.Port()),
		readerVarReplicaMac: o.MAC, readerVarSetMask: sets - 1, readerVarRoom: uint32(o.Room)} {
		if err := spec.Variables[name].Set(value); err != nil {
			return fmt.Errorf("configure the in-kernel read path: %w", err)
		}
	}
	if err := spec.LoadAndAssign(objects, nil); err != nil {
		return fmt.Errorf("load the in-kernel read path: %w", bpf.ExplainLoad(err))
	}
	if r.Table, err = mapTable(r.objects.Sets, r.objects.View, o); err != nil {
		return errors.Join(err, r.objects.Close())
	}
	return nil
}

func bigEndian(n uint16) [2]byte { return [2]byte{byte(n >> 8), byte(n)} }

// Options returns the options in effect, defaults filled in.
func (r *Reader) Options() Options { return r.options }

// Attach has the device, of the calling thread's network namespace, run the program
// in native mode for as long as the process lives. It returns bpf.ErrNoDevice,
// bpf.ErrNoNativeXDP, bpf.ErrDeviceBusy, bpf.ErrMTU or bpf.ErrPermission for that
// cause.
func (r *Reader) Attach(ifindex int) (err error) {
	if r.link != nil {
		return bpf.ErrAttached
	}
	r.link, err = bpf.AttachNative(r.objects.ReplicaReads, ifindex)
	return err
}

// Close takes the program off its device and frees the table, which nobody may use
// any more.
func (r *Reader) Close() error {
	var err error
	if r.link != nil {
		err = r.link.Close()
	}
	return errors.Join(err, r.Table.unmap(), r.objects.Close())
}

// Fates says what became of the messages for the replica: how many the program
// answered, and how many it left to the process, by reason.
func (r *Reader) Fates() (answered uint64, passed map[string]uint64, err error) {
	passed = make(map[string]uint64)
	for fate := readerPassedPASSED_NONE; fate < readerPassedPASSED_COUNT; fate++ {
		var counts []uint64
		if err := r.objects.Fates.Lookup(uint32(fate), &counts); err != nil {
			return 0, nil, fmt.Errorf("read the counters of the in-kernel read path: %w", err)
		}
		sum := uint64(0)
		for _, n := range counts {
			sum += n
		}
		if fate == readerPassedPASSED_NONE {
			answered = sum
			continue
		}
		passed[reasons[fate]] = sum
	}
	return answered, passed, nil
}

// reasons are the names of enum passed.
var reasons = [readerPassedPASSED_COUNT]string{"none", "unusual", "type", "gated", "closed", "absent", "changing", "room"}

// What XDP programs return.
const (
	xdpPass     = 2
	xdpTransmit = 3
)

// Run runs the program on one frame, without a device. It returns the answer, or
// nil and the frame's remains if the frame is left to the process.
func (r *Reader) Run(frame []byte) (answer, passed []byte, err error) {
	run := &ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame)+MaxRoom)}
	verdict, err := r.objects.ReplicaReads.Run(run)
	out := run.DataOut
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("run the in-kernel read path on a frame of %d bytes: %w", len(frame), err)
	case verdict == xdpTransmit:
		return out, nil, nil
	case verdict == xdpPass:
		return nil, out, nil
	}
	return nil, nil, fmt.Errorf("the in-kernel read path returned %d, no verdict of its own", verdict)
}
