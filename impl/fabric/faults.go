// SPDX-License-Identifier: Apache-2.0

package fabric

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// Direction tells the two directions of a node's link apart.
type Direction uint8

const (
	// FromNode is the direction of the frames that a node sends.
	FromNode Direction = iota
	// ToNode is the direction of the frames that a node receives.
	ToNode
)

func (d Direction) String() string {
	if d == FromNode {
		return "from"
	}
	return "to"
}

const (
	// MaxDelay bounds how long a link holds a frame.
	MaxDelay = 10 * time.Second
	// A frame to be reordered is held for this long, which is enough for
	// later frames to overtake it unless the link is nearly idle.
	reorderMin = 200 * time.Microsecond
	reorderMax = 2 * time.Millisecond
)

// Faults of one direction of a link. The four rates are probabilities for
// each frame; zero means never. ARP meets no faults.
type Faults struct {
	// Loss drops the frame.
	Loss float64 `json:"loss"`
	// Duplicate sends a copy along at once, also when the frame is held.
	Duplicate float64 `json:"duplicate"`
	// Delay holds the frame for a time between DelayMin and DelayMax.
	Delay    float64       `json:"delay"`
	DelayMin time.Duration `json:"delay_min"`
	DelayMax time.Duration `json:"delay_max"`
	// Reorder holds the frame for a time so short that it serves only to
	// let later frames overtake.
	Reorder float64 `json:"reorder"`
}

func (f Faults) validate() error {
	for name, rate := range map[string]float64{
		"loss": f.Loss, "duplicate": f.Duplicate, "delay": f.Delay, "reorder": f.Reorder,
	} {
		if !(rate >= 0 && rate <= 1) {
			return fmt.Errorf("%s rate %v is not between 0 and 1", name, rate)
		}
	}
	if f.DelayMin < 0 || f.DelayMin > f.DelayMax || f.DelayMax > MaxDelay {
		return fmt.Errorf("delay from %v to %v is not within 0..%v", f.DelayMin, f.DelayMax, MaxDelay)
	}
	if f.Delay > 0 && f.DelayMax == 0 {
		return fmt.Errorf("delay rate %v needs a longest delay", f.Delay)
	}
	return nil
}

// Counters of one direction of a link, over the rack's life. They stand still
// while no link of the rack has faults, because then nothing looks at frames.
type Counters struct {
	// Seen counts the frames that came to the link, copies made by another
	// link included, copies made here not.
	Seen       uint64 `json:"seen"`
	Dropped    uint64 `json:"dropped"`
	Duplicated uint64 `json:"duplicated"`
	// Delayed counts frames held, for a delay or a reordering.
	Delayed uint64 `json:"delayed"`
	// Reordered counts frames among those Delayed which a later frame of
	// this direction overtook.
	Reordered uint64 `json:"reordered"`
	// Undelayed counts frames that went on at once for want of room.
	Undelayed uint64 `json:"undelayed"`
	// Failed counts frames that were held and could not be sent on.
	Failed uint64 `json:"failed"`
	// Released counts frames that were held and have gone on.
	Released uint64 `json:"released"`
}

// faults runs the program that judges frames. It is attached to the ports
// only while some direction has faults or a frame is being held.
type faults struct {
	core    *Namespace
	seed    uint64
	objects judgeObjects
	delayer *delayer

	mu       sync.Mutex
	closed   bool
	ports    []int
	attached []link.Link
	wanted   map[uint32]Faults
	cut      map[uint32]bool
}

func newFaults(core *Namespace, seed uint64) (*faults, error) {
	f := &faults{core: core, seed: seed, wanted: map[uint32]Faults{}, cut: map[uint32]bool{}}
	if err := loadJudgeObjects(&f.objects, nil); err != nil {
		return nil, fmt.Errorf("load fault program: %w", err)
	}
	var err error
	f.delayer, err = startDelayer(core, f.objects.Held, f.settle)
	if err != nil {
		return nil, errors.Join(err, f.objects.Close())
	}
	return f, nil
}

// addPort makes a port known. The caller is in the bridge's namespace.
func (f *faults) addPort(port, node int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.objects.Ports.Put(uint32(port), uint32(node+1)); err != nil {
		return fmt.Errorf("register port: %w", err)
	}
	if len(f.attached) > 0 {
		if err := f.attachPort(port); err != nil {
			return err
		}
	}
	f.ports = append(f.ports, port)
	return nil
}

func (f *faults) attachPort(port int) error {
	attached, err := link.AttachTCX(link.TCXOptions{
		Interface: port, Program: f.objects.JudgeFrame, Attach: ebpf.AttachTCXEgress,
	})
	if err != nil {
		return fmt.Errorf("attach fault program: %w", err)
	}
	f.attached = append(f.attached, attached)
	return nil
}

// change applies new faults to one direction.
func (f *faults) change(key uint32, update func()) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return ErrClosed
	}
	update()
	settings := f.settings(key)
	if err := f.objects.Faults.Put(key, &settings); err != nil {
		return fmt.Errorf("write fault settings: %w", err)
	}
	if !f.active() {
		return f.detachIfDrained()
	}
	if len(f.attached) > 0 {
		return nil
	}
	if err := f.core.Do(f.attach); err != nil {
		return errors.Join(err, f.detach())
	}
	return nil
}

func (f *faults) attach() error {
	for _, port := range f.ports {
		if err := f.attachPort(port); err != nil {
			return err
		}
	}
	return nil
}

// active says whether any direction has faults.
func (f *faults) active() bool { return len(f.wanted)+len(f.cut) > 0 }

// settle runs when the delayer has sent on the last frame that it held.
func (f *faults) settle() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed && !f.active() {
		// The program without faults does no harm, only cost; the next
		// change of faults tries again and reports.
		_ = f.detachIfDrained()
	}
}

// detachIfDrained detaches the program unless a held frame is still to pass
// it, for the frame would then be missing from the counters.
func (f *faults) detachIfDrained() error {
	for node := range uint32(len(f.ports)) {
		for _, key := range []uint32{node * 2, node*2 + 1} {
			counters, err := f.counters(key)
			if err != nil {
				return err
			}
			if counters.Delayed > counters.Released+counters.Failed {
				return nil
			}
		}
	}
	return f.detach()
}

func (f *faults) detach() error {
	var problems []error
	for _, attached := range f.attached {
		problems = append(problems, attached.Close())
	}
	f.attached = nil
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("detach fault program: %w", err)
	}
	return nil
}

func (f *faults) counters(key uint32) (Counters, error) {
	var tally judgeTally
	if err := f.objects.Tallies.Lookup(key, &tally); err != nil {
		return Counters{}, fmt.Errorf("read fault counters: %w", err)
	}
	return Counters{
		Seen: tally.Seen, Dropped: tally.Dropped, Duplicated: tally.Duplicated,
		Delayed: tally.Delayed, Reordered: tally.Reordered, Undelayed: tally.Undelayed,
		Failed: f.delayer.failures(key), Released: tally.Released,
	}, nil
}

func (f *faults) close() error {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return nil
	}
	f.closed = true
	err := f.detach()
	f.mu.Unlock()
	return errors.Join(err, f.delayer.close(), f.objects.Close())
}

// settings translates a direction's faults for the program.
func (f *faults) settings(key uint32) judgeSettings {
	wanted := f.wanted[key]
	s := judgeSettings{
		Start:       startOf(f.seed, key),
		Loss:        fraction(wanted.Loss),
		Duplicate:   fraction(wanted.Duplicate),
		Delay:       fraction(wanted.Delay),
		DelayMin:    uint64(max(wanted.DelayMin, time.Nanosecond)),
		DelaySpan:   uint64(wanted.DelayMax - wanted.DelayMin),
		Reorder:     fraction(wanted.Reorder),
		ReorderMin:  uint64(reorderMin),
		ReorderSpan: uint64(reorderMax - reorderMin),
	}
	if f.cut[key] {
		s.Cut = 1
	}
	return s
}

// fraction is a probability in units of 2^-32.
func fraction(rate float64) uint64 { return uint64(math.Round(rate * (1 << 32))) }

// startOf is where a direction's random sequence starts: directions and seeds
// get starts that have nothing to do with one another.
func startOf(seed uint64, key uint32) uint64 { return mix(mix(seed) ^ uint64(key+1)) }

// mix is the output function of splitmix64, as in the program.
func mix(z uint64) uint64 {
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}
