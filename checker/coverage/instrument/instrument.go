// SPDX-License-Identifier: Apache-2.0

package instrument

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
)

// NewCounters makes the map of n counters. The caller must close it.
func NewCounters(n int) (*ebpf.Map, error) {
	m, err := ebpf.NewMap(&ebpf.MapSpec{Name: "coverage", Type: ebpf.Array, KeySize: 4, ValueSize: uint32(8 * n), MaxEntries: 1})
	if err != nil {
		return nil, fmt.Errorf("make %d counters: %w", n, err)
	}
	return m, nil
}

// Read returns the counters.
func Read(m *ebpf.Map) ([]uint64, error) {
	value, err := m.LookupBytes(uint32(0))
	if err != nil {
		return nil, fmt.Errorf("read the counters: %w", err)
	}
	counters := make([]uint64, len(value)/8)
	for i := range counters {
		counters[i] = binary.NativeEndian.Uint64(value[8*i:])
	}
	return counters, nil
}

// Instrument puts the counters into the program that the plan was made of; those of
// the map are taken from first on.
func (p *Plan) Instrument(program *ebpf.ProgramSpec, counters *ebpf.Map, first int) error {
	live, depth := p.live(), p.depth()
	var out asm.Instructions
	// at has where each instruction went, and entry where a jump to it leads now.
	at, entry := make([]int, len(live)), make([]int, len(live))
	blocks, branches := p.Blocks, p.Branches
	for i, ins := range p.instructions {
		entry[i] = len(out)
		if len(blocks) > 0 && blocks[0].First == i {
			more, err := count(counters, first+blocks[0].Counter, live[i], depth)
			if err != nil {
				return fmt.Errorf("before instruction %d, %v: %w", i, ins, err)
			}
			if i == 0 {
				more[0], ins = takeName(more[0], ins)
			}
			out, blocks = append(out, more...), blocks[1:]
		}
		at[i] = len(out)
		out = append(out, ins)
		if len(branches) > 0 && branches[0].At == i {
			more, err := count(counters, first+branches[0].Counter, live[i+1], depth)
			if err != nil {
				return fmt.Errorf("after instruction %d, %v: %w", i, ins, err)
			}
			out, branches = append(out, more...), branches[1:]
		}
	}
	if err := p.redirect(out, at, entry); err != nil {
		return err
	}
	program.Instructions = out
	return nil
}

// stackSize is what the kernel gives a program.
const stackSize = 512

// count adds one to a counter, in two registers that are not live, or else are saved
// below the stack that the program uses.
func count(counters *ebpf.Map, number int, live registers, depth int) (asm.Instructions, error) {
	pair, saved := spare(live)
	if saved != 0 && depth+8*len(pair) > stackSize {
		return nil, fmt.Errorf("no register is free, and the program uses %d bytes of its stack", depth)
	}
	load := asm.LoadMapValue(pair[0], 0, uint32(8*number))
	if err := load.AssociateMap(counters); err != nil {
		return nil, err
	}
	add := asm.Instructions{load, asm.Mov.Imm(pair[1], 1), asm.AddAtomic.Mem(pair[0], pair[1], asm.DWord, 0)}
	for i, r := range pair {
		if slot := int16(-depth - 8*(i+1)); saved&of(r) != 0 {
			add = slices.Insert(add, 0, asm.StoreMem(asm.RFP, slot, r, asm.DWord))
			add = append(add, asm.LoadMem(r, asm.RFP, slot, asm.DWord))
		}
	}
	return add, nil
}

// takeName moves what names the program from its first instruction to the one that
// now comes before it; the source line stays with both.
func takeName(to, from asm.Instruction) (asm.Instruction, asm.Instruction) {
	bare := from
	bare.Metadata = asm.Metadata{}
	to = btf.WithFuncMetadata(to.WithSymbol(from.Symbol()), btf.FuncMetadata(&from)).WithSource(from.Source())
	return to, bare.WithSource(from.Source()).WithReference(from.Reference())
}

// redirect has the jumps lead to where their targets went, counters included.
func (p *Plan) redirect(out asm.Instructions, at, entry []int) error {
	offsets := offsetsOf(out)
	for i, target := range p.targets {
		if target == none {
			continue
		}
		jump := offsets[entry[target]] - offsets[at[i]] - 1
		if jump != int(int16(jump)) {
			return fmt.Errorf("with counters, instruction %d jumps over %d units, which are more than %d", i, jump, math.MaxInt16)
		}
		out[at[i]].Offset = int16(jump)
	}
	return nil
}

// Collection puts counters into every program of an object that one map counts for,
// in the order of the programs' names, and returns where each program's begin.
func Collection(spec *ebpf.CollectionSpec, counters *ebpf.Map, first int) (next int, err error) {
	for _, name := range Names(spec) {
		plan, err := Analyze(spec.Programs[name].Instructions)
		if err == nil {
			err = plan.Instrument(spec.Programs[name], counters, first)
		}
		if err != nil {
			return 0, fmt.Errorf("program %s: %w", name, err)
		}
		first += plan.Counters
	}
	return first, nil
}

// Names returns the names of an object's programs, in order.
func Names(spec *ebpf.CollectionSpec) []string {
	var names []string
	for name := range spec.Programs {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Size returns how many counters an object needs.
func Size(spec *ebpf.CollectionSpec) (n int, err error) {
	for _, name := range Names(spec) {
		plan, err := Analyze(spec.Programs[name].Instructions)
		if err != nil {
			return 0, fmt.Errorf("program %s: %w", name, err)
		}
		n += plan.Counters
	}
	return n, nil
}
