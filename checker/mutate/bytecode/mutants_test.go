// SPDX-License-Identifier: Apache-2.0

package bytecode

import (
	"fmt"
	"slices"
	"testing"

	"github.com/cilium/ebpf/asm"
)

var program = asm.Instructions{
	asm.Mov.Imm(asm.R1, 5),
	asm.Add.Reg(asm.R1, asm.R2),
	asm.StoreMem(asm.RFP, -8, asm.R1, asm.Word),
	asm.JGT.Imm(asm.R1, 3, "out"),
	asm.JEq.Reg(asm.R1, asm.R2, "out"),
	asm.CmpXchg.Mem(asm.R1, asm.R2, asm.DWord, 8),
	asm.FnKtimeGetNs.Call(),
	asm.Return().WithSymbol("out"),
}

// TestOperators has each operator change what it is for, and nothing else.
func TestOperators(t *testing.T) {
	want := map[string]int{"immediate+1": 2, "immediate-1": 2, "swap-arithmetic": 1, "drop-store": 2, "invert-jump": 2, "move-bound": 1,
		"swap-atomic": 2, "swap-helper": 1, "drop-call": 1}
	if names := Operators(); len(names) != len(want) {
		t.Errorf("the operators are %v", names)
	}
	lines := slices.Repeat([]string{"a line"}, len(program))
	got, names := map[string]int{}, map[string]bool{}
	for _, m := range Mutants(program, lines) {
		for _, name := range Operators() {
			if len(m.Name) > len(name) && m.Name[:len(name)+1] == name+" " {
				got[name]++
			}
		}
		if names[m.Name] {
			t.Errorf("two mutants have the name %q", m.Name)
		}
		names[m.Name] = true
		changed := m.Apply(program)
		for i := range program {
			same := changed[i].OpCode == program[i].OpCode && changed[i].Constant == program[i].Constant
			if same != (i != m.At) {
				t.Errorf("%s: instruction %d changed: %v", m.Name, i, !same)
			}
			if changed[i].Symbol() != program[i].Symbol() || i != m.At && changed[i].Reference() != program[i].Reference() {
				t.Errorf("%s: instruction %d has lost its name, or where it jumps to", m.Name, i)
			}
		}
	}
	for name, n := range want {
		if got[name] != n {
			t.Errorf("%s made %d mutants, want %d", name, got[name], n)
		}
	}
}

// TestChosen: what a seed chooses does not depend on what else there is, and a larger
// share has all of a smaller one.
func TestChosen(t *testing.T) {
	chosen := map[float64]int{}
	for i := range 10_000 {
		name := fmt.Sprintf("drop-store #%d of: line", i)
		for _, share := range []float64{0, 0.2, 0.5, 1} {
			if Chosen(name, 1, share) {
				chosen[share]++
				if !Chosen(name, 1, 1) {
					t.Fatal("a larger share lacks one")
				}
			}
		}
	}
	if chosen[0] != 0 || chosen[1] != 10_000 || chosen[0.2] < 1800 || chosen[0.2] > 2200 || chosen[0.5] < 4700 || chosen[0.5] > 5300 {
		t.Errorf("of 10,000 the shares have %v", chosen)
	}
}
