// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"dalio/bpf/prefetch"
	"dalio/protocol"
)

// DataPlane is the coordinator's program with its tables, loaded into the kernel.
// Its methods may be called from several goroutines.
type DataPlane struct {
	options Options
	objects objects

	mu sync.Mutex
	// memberships mirrors the two in the kernel; active is the one in use.
	memberships [2]membership
	active      uint32
	// paths has the device by which each replica index is reached; 0 stands for
	// the first of devices.
	paths [protocol.MaxMembers]int
	// devices has the devices that the program is attached to, in the order of
	// their numbers, and links what keeps it there; both are empty while it is
	// not attached.
	devices []int
	links   []link.Link
	// entries has the program that each device runs first: the coordinator's, or
	// prefetch, which leads to it. noPrefetch is why not all have that.
	entries    []*ebpf.Program
	prefetch   *prefetch.Program
	noPrefetch error
	// group has the device of each entry in the multicast group; 0: no entry.
	group [protocol.MaxMembers]int
	// pins is nil while the data plane is not pinned.
	pins *pins
	// now is the clock that the programs read.
	now func() time.Duration
}

// Load loads the data plane. It returns ErrOptions for options that can't work,
// and ErrPermission or ErrKernel when the kernel refuses for that cause. The
// caller must Close it.
func Load(o Options) (*DataPlane, error) {
	spec, err := prepare(&o)
	if err != nil {
		return nil, err
	}
	d := &DataPlane{options: o, now: Now}
	if err := spec.LoadAndAssign(&d.objects, nil); err != nil {
		return nil, fmt.Errorf("load data plane: %w", ExplainLoad(err))
	}
	return d, nil
}

// prepare fills in the options' defaults and returns the object that is to be
// loaded with them.
func prepare(o *Options) (*ebpf.CollectionSpec, error) {
	*o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	spec, err := readObject(*o)
	if err != nil {
		return nil, err
	}
	if err := configure(spec, *o); err != nil {
		return nil, fmt.Errorf("configure data plane: %w", err)
	}
	return spec, nil
}

func readObject(o Options) (*ebpf.CollectionSpec, error) {
	path, several := o.Object, o.SeveralDevices
	switch {
	case path == "" && o.Events:
		return loadEventful()
	case path == "":
		return embedded(several)
	}
	spec, err := ebpf.LoadCollectionSpec(path)
	if err != nil {
		return nil, fmt.Errorf("read BPF object %s: %w", path, err)
	}
	if spec.Maps[sessionsMap] == nil {
		return nil, fmt.Errorf("read BPF object %s: it was not built from coordinator.bpf.c", path)
	}
	if tells := spec.Maps[eventsMap] != nil; tells != o.Events {
		return nil, fmt.Errorf("%w: BPF object %s is to be built with -DDALIO_EVENTS if events are wanted, and only then", ErrOptions, path)
	}
	switch is, err := isForSeveral(spec); {
	case err != nil:
		return nil, fmt.Errorf("read BPF object %s: %w", path, err)
	case several && !is:
		return nil, fmt.Errorf("%w: BPF object %s is for one device; build it with -DDALIO_SEVERAL_DEVICES", ErrOptions, path)
	case !several && is:
		return nil, fmt.Errorf("%w: BPF object %s is for several devices; build it without -DDALIO_SEVERAL_DEVICES", ErrOptions, path)
	}
	return spec, nil
}

// Options returns the options in effect, defaults filled in.
func (d *DataPlane) Options() Options { return d.options }

// Close detaches the program and frees its tables, pinned or not. Nothing stays in
// the kernel.
func (d *DataPlane) Close() error {
	return errors.Join(d.Detach(), d.objects.Close())
}

// RunCounts returns how often the kernel ran each program, by name. It counts
// only while BPF statistics are enabled, as by [ebpf.EnableStats]. A run that prefetch has
// led to is counted by the kernel as one of prefetch, and by this as one of "coordinator".
func (d *DataPlane) RunCounts() (map[string]uint64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	programs := map[string][]*ebpf.Program{"coordinator": {d.objects.Coordinator}, "clone": {d.objects.Clone}}
	if d.prefetch != nil {
		programs["coordinator"] = append(programs["coordinator"], d.prefetch.Program())
	}
	counts := map[string]uint64{}
	for name, some := range programs {
		for _, program := range some {
			stats, err := program.Stats()
			if err != nil {
				return nil, fmt.Errorf("read statistics of program %s: %w", name, err)
			}
			counts[name] += stats.RunCount
		}
	}
	return counts, nil
}
