// SPDX-License-Identifier: Apache-2.0

package bytecode

import "github.com/cilium/ebpf/asm"

// operator is one way to change an instruction; it returns what may take its place.
type operator struct {
	name   string
	change func(asm.Instruction) []asm.Instruction
}

// operators are fixed: docs/mutation.md lists them.
var operators = []operator{
	{"invert-jump", invertJump},
	{"move-bound", moveBound},
	{"immediate+1", immediate(1)},
	{"immediate-1", immediate(-1)},
	{"drop-store", dropStore},
	{"swap-arithmetic", swapArithmetic},
	{"swap-atomic", swapAtomic},
	{"swap-helper", swapHelper},
	{"drop-call", dropCall},
}

// Operators returns the names of the operators.
func Operators() []string {
	var names []string
	for _, o := range operators {
		names = append(names, o.name)
	}
	return names
}

var inverse = map[asm.JumpOp]asm.JumpOp{
	asm.JEq: asm.JNE, asm.JNE: asm.JEq,
	asm.JGT: asm.JLE, asm.JLE: asm.JGT, asm.JGE: asm.JLT, asm.JLT: asm.JGE,
	asm.JSGT: asm.JSLE, asm.JSLE: asm.JSGT, asm.JSGE: asm.JSLT, asm.JSLT: asm.JSGE,
}

// A bound that is moved takes in the value that it left out, or the other way round.
var moved = map[asm.JumpOp]asm.JumpOp{
	asm.JGT: asm.JGE, asm.JGE: asm.JGT, asm.JLT: asm.JLE, asm.JLE: asm.JLT,
	asm.JSGT: asm.JSGE, asm.JSGE: asm.JSGT, asm.JSLT: asm.JSLE, asm.JSLE: asm.JSLT,
}

func invertJump(ins asm.Instruction) []asm.Instruction { return jump(ins, inverse) }
func moveBound(ins asm.Instruction) []asm.Instruction  { return jump(ins, moved) }

func jump(ins asm.Instruction, to map[asm.JumpOp]asm.JumpOp) []asm.Instruction {
	if !ins.OpCode.Class().IsJump() {
		return nil
	}
	op, ok := to[ins.OpCode.JumpOp()]
	if !ok {
		return nil
	}
	ins.OpCode = ins.OpCode.SetJumpOp(op)
	return []asm.Instruction{ins}
}

// immediate adds to the constant of an operation, a comparison or a store.
func immediate(add int64) func(asm.Instruction) []asm.Instruction {
	return func(ins asm.Instruction) []asm.Instruction {
		class := ins.OpCode.Class()
		switch {
		case class.IsALU() && ins.OpCode.ALUOp() != asm.Swap && ins.OpCode.ALUOp() != asm.Neg && ins.OpCode.Source() == asm.ImmSource:
		case class.IsJump() && inverse[ins.OpCode.JumpOp()] != 0 && ins.OpCode.Source() == asm.ImmSource:
		case class == asm.StClass && ins.OpCode.Mode() == asm.MemMode:
		default:
			return nil
		}
		ins.Constant += add
		return []asm.Instruction{ins}
	}
}

// nothing takes the place of what is dropped.
var nothing = asm.Instruction{OpCode: asm.OpCode(asm.JumpClass).SetJumpOp(asm.Ja)}

func dropStore(ins asm.Instruction) []asm.Instruction {
	if !ins.OpCode.Class().IsStore() {
		return nil
	}
	return []asm.Instruction{nothing}
}

var otherArithmetic = map[asm.ALUOp]asm.ALUOp{
	asm.Add: asm.Sub, asm.Sub: asm.Add, asm.And: asm.Or, asm.Or: asm.And, asm.Xor: asm.And,
	asm.LSh: asm.RSh, asm.RSh: asm.LSh, asm.Mul: asm.Add, asm.Mod: asm.Div,
}

func swapArithmetic(ins asm.Instruction) []asm.Instruction {
	if !ins.OpCode.Class().IsALU() {
		return nil
	}
	op, ok := otherArithmetic[ins.OpCode.ALUOp()]
	if !ok {
		return nil
	}
	ins.OpCode = ins.OpCode.SetALUOp(op)
	return []asm.Instruction{ins}
}

var otherAtomics = map[asm.AtomicOp][]asm.AtomicOp{
	asm.FetchAdd: {asm.FetchOr, asm.FetchXor, asm.AddAtomic},
	asm.CmpXchg:  {asm.Xchg, asm.FetchOr},
}

func swapAtomic(ins asm.Instruction) (all []asm.Instruction) {
	if ins.OpCode.Class() != asm.StXClass || ins.OpCode.Mode() != asm.AtomicMode {
		return nil
	}
	for _, op := range otherAtomics[ins.OpCode.AtomicOp()] {
		other := ins
		// Both say what the operation is, and what is loaded has that of the constant.
		other.OpCode, other.Constant = ins.OpCode.SetAtomicOp(op), int64(op>>8)
		all = append(all, other)
	}
	return all
}

// Helpers that take what the other takes.
var otherHelpers = map[asm.BuiltinFunc]asm.BuiltinFunc{
	asm.FnKtimeGetNs:       asm.FnGetPrandomU32,
	asm.FnXdpAdjustTail:    asm.FnXdpAdjustHead,
	asm.FnXdpAdjustMeta:    asm.FnXdpAdjustHead,
	asm.FnMapLookupElem:    asm.FnMapDeleteElem,
	asm.FnSpinLock:         asm.FnSpinUnlock,
	asm.FnSpinUnlock:       asm.FnSpinLock,
	asm.FnMapUpdateElem:    asm.FnMapDeleteElem,
	asm.FnRedirectMap:      asm.FnRedirect,
	asm.FnXdpAdjustHead:    asm.FnXdpAdjustTail,
	asm.FnGetPrandomU32:    asm.FnKtimeGetNs,
	asm.FnMapDeleteElem:    asm.FnMapLookupElem,
	asm.FnKtimeGetBootNs:   asm.FnKtimeGetNs,
	asm.FnKtimeGetCoarseNs: asm.FnKtimeGetNs,
}

func swapHelper(ins asm.Instruction) []asm.Instruction {
	if !ins.IsBuiltinCall() {
		return nil
	}
	other, ok := otherHelpers[asm.BuiltinFunc(ins.Constant)]
	if !ok {
		return nil
	}
	return []asm.Instruction{other.Call()}
}

// dropCall has the helper not called, and its result 0.
func dropCall(ins asm.Instruction) []asm.Instruction {
	if !ins.IsBuiltinCall() {
		return nil
	}
	return []asm.Instruction{asm.Mov.Imm(asm.R0, 0)}
}
