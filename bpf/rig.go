// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bytes"
	"errors"
	"fmt"
	"math/bits"
	"time"

	"github.com/cilium/ebpf"

	"dalio/protocol"
)

// rigFrame is room for the longest frame that a program is run on.
const rigFrame = 2048

// Rig is a data plane on no device, whose programs run on one frame after another at
// a time that the caller sets: same frames, same outcomes. The copies of a multicast
// are addressed by the clone program's own code. Its methods must be called on one
// processor and by one goroutine, because copies are told apart by processor.
type Rig struct {
	*DataPlane
	copies *ebpf.Program
	now    time.Duration
	// counted is what the counters were after the last frame.
	counted counterSet
	out     []byte
}

// Handled is what became of a frame.
type Handled struct {
	Verdict protocol.Verdict
	Reason  protocol.Reason
	// Action is the handler's name, "" if none took the frame.
	Action string
	// Done is the set of activities that were counted, by index in ActivityNames.
	Done uint64
	// Frames are those that leave, each addressed. They are the caller's.
	Frames [][]byte
}

// ActivityNames are the names of what a data plane counts beside drops and actions.
func ActivityNames() []string { return activityNames[:] }

// LoadRig is Load with a clock that stands at 0 until SetClock; the data plane must be
// one for one device, without events. The caller must Close it.
func LoadRig(o Options) (*Rig, error) {
	if o.SeveralDevices || o.Events {
		return nil, fmt.Errorf("%w: a rig is for one device, and without events", ErrOptions)
	}
	o.clockStands = 1
	d, err := Load(o)
	if err != nil {
		return nil, err
	}
	r := &Rig{DataPlane: d, out: make([]byte, rigFrame+256)}
	d.now = func() time.Duration { return r.now }
	if r.copies, err = d.loadCopies(); err != nil {
		return nil, errors.Join(fmt.Errorf("load the clone program's body: %w", err), d.Close())
	}
	return r, nil
}

// loadCopies loads the program that addresses copies, on this data plane's maps.
func (d *DataPlane) loadCopies() (*ebpf.Program, error) {
	spec, err := loadCopies()
	if err != nil {
		return nil, err
	}
	if err := configure(spec, d.options); err != nil {
		return nil, err
	}
	if err := sameLayout(spec, d.options); err != nil {
		return nil, err
	}
	maps, err := openMaps(d.objects.Coordinator)
	if err != nil {
		return nil, err
	}
	defer closeMaps(maps)
	for name := range spec.Programs {
		if name != copiesProgAddressCopy {
			delete(spec.Programs, name)
		}
	}
	all, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: maps})
	if err != nil {
		return nil, err
	}
	defer all.Close()
	return all.Programs[copiesProgAddressCopy].Clone()
}

// Close frees the programs and tables.
func (r *Rig) Close() error { return errors.Join(r.copies.Close(), r.DataPlane.Close()) }

// SetClock sets the time that the programs read. It must not go back.
func (r *Rig) SetClock(now time.Duration) error {
	r.now = now
	if err := r.objects.ClockNow.Set(uint64(now)); err != nil {
		return fmt.Errorf("set the clock: %w", err)
	}
	return nil
}

// Reset has the data plane forget everything, as one that was just loaded.
func (r *Rig) Reset() error {
	if err := r.Shut(); err != nil {
		return err
	}
	var nobody [protocol.MaxMembers]uint64
	err := errors.Join(r.writeSequence(0), r.objects.Answered.Set(nobody), r.setHeld(0), r.objects.Tick.Set(uint32(0)),
		r.writeSessions(make([]protocol.SessionEntry, r.options.MaxSessions)), r.SetClock(0))
	if err == nil {
		err = r.forgetCounters()
	}
	if err != nil {
		return fmt.Errorf("forget everything: %w", err)
	}
	return nil
}

// forgetCounters has the counters of all processors begin anew.
func (r *Rig) forgetCounters() error {
	processors, err := ebpf.PossibleCPU()
	if err != nil {
		return err
	}
	r.counted = counterSet{}
	return r.objects.Counters.Put(uint32(0), make([]counterSet, processors))
}

// Handle runs the programs on a frame, from its coming in to what leaves.
func (r *Rig) Handle(frame []byte) (Handled, error) {
	verdict, data, out, err := r.runProgram(r.objects.Coordinator, 0, frame)
	if err != nil {
		return Handled{}, fmt.Errorf("run coordinator: %w", err)
	}
	o, err := outcomeOf(verdict, data, out)
	if err != nil {
		return Handled{}, err
	}
	h := Handled{Verdict: o.Verdict}
	switch o.Verdict {
	case protocol.Transmit:
		h.Frames = [][]byte{bytes.Clone(o.Frame)}
	case protocol.Multicast:
		if h.Frames, err = r.multicast(o.Targets, data, bytes.Clone(out)); err != nil {
			return h, err
		}
	}
	return h, r.account(&h, o)
}

// multicast addresses the copies of a frame that comes with its metadata, as often
// as the group has entries for members that it is for.
func (r *Rig) multicast(targets uint16, data uint32, broadcast []byte) (frames [][]byte, err error) {
	for range bits.OnesCount16(targets) {
		verdict, data, out, err := r.runProgram(r.copies, data, broadcast)
		if err != nil {
			return nil, fmt.Errorf("address a copy: %w", err)
		}
		if verdict != xdpPass {
			return nil, fmt.Errorf("the clone program returned %d for a copy", verdict)
		}
		frames = append(frames, bytes.Clone(out[data:]))
	}
	return frames, nil
}

func (r *Rig) runProgram(p *ebpf.Program, data uint32, in []byte) (verdict, at uint32, out []byte, err error) {
	context := xdpContext{Data: data, DataEnd: uint32(len(in))}
	run := ebpf.RunOptions{Data: in, DataOut: r.out[:len(in)+64], Context: &context, ContextOut: &context}
	verdict, err = p.Run(&run)
	return verdict, context.Data, run.DataOut, err
}

// account says by the counters what was done.
func (r *Rig) account(h *Handled, o protocol.Outcome) error {
	after, err := r.readCounters()
	if err != nil {
		return err
	}
	before := r.counted
	r.counted = after
	err = after.tell(&before, &o)
	h.Action, h.Reason = o.Action, o.Reason
	for i := range after.Activities {
		if after.Activities[i] != before.Activities[i] {
			h.Done |= 1 << i
		}
	}
	return err
}

// sameLayout says whether the copies' program finds the variables where the
// coordinator that is loaded has them.
func sameLayout(copies *ebpf.CollectionSpec, o Options) error {
	coordinator, err := readObject(o)
	if err != nil {
		return err
	}
	for name, v := range coordinator.Variables {
		if other := copies.Variables[name]; other == nil || other.SectionName != v.SectionName || other.Offset != v.Offset {
			return fmt.Errorf("variable %s is not where the coordinator has it: write copies.bpf.c so that it is", name)
		}
	}
	return nil
}
