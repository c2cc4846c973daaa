// SPDX-License-Identifier: Apache-2.0

package instrument

import (
	"errors"

	"github.com/cilium/ebpf/asm"
)

// registers is a set of registers, R0 to R9; R10 is the frame's and never free.
type registers uint16

const allRegisters registers = 1<<10 - 1

func of(r asm.Register) registers { return 1 << r & allRegisters }

// arguments is how many registers a helper reads. It must be exact: what is taken
// for an argument counts as in use, and what is not as free.
var arguments = map[asm.BuiltinFunc]int{
	asm.FnMapLookupElem:    2,
	asm.FnMapUpdateElem:    4,
	asm.FnKtimeGetNs:       0,
	asm.FnKtimeGetCoarseNs: 0,
	asm.FnRedirectMap:      3,
	asm.FnXdpAdjustMeta:    2,
	asm.FnXdpAdjustTail:    2,
	asm.FnSpinLock:         1,
	asm.FnSpinUnlock:       1,
}

var errUnknown = errors.New("what it reads and writes is not known here: add it")

// supported returns an error for an instruction of which effects does not know all.
func supported(ins *asm.Instruction) error {
	switch op := ins.OpCode; {
	case op.Class().IsJump() && op.JumpOp() == asm.Call:
		if _, known := arguments[asm.BuiltinFunc(ins.Constant)]; !known || !ins.IsBuiltinCall() {
			return errUnknown
		}
	case op.Class().IsJump():
		if op.JumpOp() == asm.Ja && op.Class() == asm.Jump32Class {
			return errUnknown
		}
	case op.Class().IsALU():
	case op.Class() == asm.LdClass:
		if !op.IsDWordLoad() {
			return errUnknown
		}
	case op.Class() == asm.LdXClass, op.Class() == asm.StClass:
		if op.Mode() != asm.MemMode && op.Mode() != asm.MemSXMode {
			return errUnknown
		}
	case op.Class() == asm.StXClass:
		if op.Mode() != asm.MemMode && op.Mode() != asm.AtomicMode {
			return errUnknown
		}
	}
	return nil
}

// effects says which registers an instruction reads, and which it overwrites
// whatever they held.
func effects(ins *asm.Instruction) (reads, writes registers) {
	op := ins.OpCode
	switch op.Class() {
	case asm.LdClass:
		return 0, of(ins.Dst)
	case asm.LdXClass:
		return of(ins.Src), of(ins.Dst)
	case asm.StClass:
		return of(ins.Dst), 0
	case asm.StXClass:
		reads = of(ins.Dst) | of(ins.Src)
		if op.Mode() != asm.AtomicMode {
			return reads, 0
		}
		switch op.AtomicOp() {
		case asm.CmpXchg:
			return reads | of(asm.R0), of(asm.R0)
		case asm.AddAtomic, asm.AndAtomic, asm.OrAtomic, asm.XorAtomic:
			return reads, 0
		}
		return reads, of(ins.Src)
	}
	if op.Class().IsALU() {
		return effectsOfArithmetic(ins)
	}
	switch op.JumpOp() {
	case asm.Ja:
		return 0, 0
	case asm.Exit:
		return of(asm.R0), 0
	case asm.Call:
		n := arguments[asm.BuiltinFunc(ins.Constant)]
		return (1<<n - 1) << asm.R1, 1<<asm.R6 - 1
	}
	return operands(ins), 0
}

func effectsOfArithmetic(ins *asm.Instruction) (reads, writes registers) {
	reads, writes = operands(ins), of(ins.Dst)
	switch ins.OpCode.ALUOp() {
	case asm.Mov:
		reads = 0
		if ins.OpCode.Source() == asm.RegSource {
			reads = of(ins.Src)
		}
	case asm.Swap, asm.Neg:
		reads = of(ins.Dst)
	}
	return reads, writes
}

// operands are both sides of an operation or comparison.
func operands(ins *asm.Instruction) registers {
	if ins.OpCode.Source() == asm.RegSource {
		return of(ins.Dst) | of(ins.Src)
	}
	return of(ins.Dst)
}

// live returns, for each instruction, the registers whose values just before it may
// still be read.
func (p *Plan) live() []registers {
	n := len(p.instructions)
	in := make([]registers, n+1)
	for changed := true; changed; {
		changed = false
		for i := n - 1; i >= 0; i-- {
			ins := &p.instructions[i]
			var out registers
			if p.targets[i] != none {
				out = in[p.targets[i]]
			}
			if op := ins.OpCode; !endsBlock(ins) || op.JumpOp() != asm.Ja && op.JumpOp() != asm.Exit {
				out |= in[i+1]
			}
			reads, writes := effects(ins)
			if now := reads | out&^writes; now != in[i] {
				in[i], changed = now, true
			}
		}
	}
	return in[:n]
}

// spare returns two registers, and which of them are live and must be saved.
func spare(live registers) (pair [2]asm.Register, saved registers) {
	n := 0
	for _, candidates := range []registers{allRegisters &^ live, live} {
		for r := asm.R0; r <= asm.R9 && n < len(pair); r++ {
			if candidates&of(r) != 0 {
				pair[n], saved = r, saved|live&of(r)
				n++
			}
		}
	}
	return pair, saved
}

// depth returns how many bytes of its stack the program uses, a multiple of eight.
func (p *Plan) depth() int {
	lowest := 0
	for i := range p.instructions {
		ins := &p.instructions[i]
		switch class := ins.OpCode.Class(); {
		case class.IsStore() && ins.Dst == asm.RFP, class == asm.LdXClass && ins.Src == asm.RFP:
			lowest = min(lowest, int(ins.Offset))
		case i > 0 && class == asm.ALU64Class && ins.OpCode.ALUOp() == asm.Add && ins.OpCode.Source() == asm.ImmSource:
			// A pointer to the stack is made of the frame's in two instructions.
			if before := &p.instructions[i-1]; before.OpCode.ALUOp() == asm.Mov && before.Src == asm.RFP && before.Dst == ins.Dst {
				lowest = min(lowest, int(ins.Constant))
			}
		}
	}
	return (-lowest + 7) / 8 * 8
}
