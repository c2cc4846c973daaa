// SPDX-License-Identifier: Apache-2.0

package instrument

import (
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// crowded is a program in which every register is in use at each jump: it returns the
// sum of the numbers from 1 to the first byte of its input, plus 45 if that is odd.
func crowded() asm.Instructions {
	out := asm.Instructions{
		asm.LoadMem(asm.R2, asm.R1, 4, asm.Word),
		asm.LoadMem(asm.R1, asm.R1, 0, asm.Word),
		asm.Mov.Reg(asm.R3, asm.R1),
		asm.Add.Imm(asm.R3, 14),
		asm.Mov.Imm(asm.R0, 0),
		asm.JGT.Reg(asm.R3, asm.R2, "end"),
		asm.LoadMem(asm.R1, asm.R1, 0, asm.Byte),
		asm.And.Imm(asm.R1, 15),
		asm.StoreMem(asm.RFP, -8, asm.R1, asm.DWord),
	}
	for r := asm.R2; r <= asm.R9; r++ {
		out = append(out, asm.Mov.Imm(r, int32(r)+1))
	}
	out = append(out,
		asm.JEq.Imm(asm.R1, 0, "odd").WithSymbol("loop"),
		asm.Add.Reg(asm.R0, asm.R1),
		asm.Sub.Imm(asm.R1, 1),
		asm.Ja.Label("loop"),
		asm.LoadMem(asm.R1, asm.RFP, -8, asm.DWord).WithSymbol("odd"),
		asm.And.Imm(asm.R1, 1),
		asm.JEq.Imm(asm.R1, 0, "end"),
	)
	for r := asm.R2; r <= asm.R9; r++ {
		out = append(out, asm.Add.Reg(asm.R0, r))
	}
	out = append(out, asm.Sub.Imm(asm.R0, 52-45), asm.Return().WithSymbol("end"))
	return resolve(out)
}

// resolve replaces labels by offsets, which is what programs from a file have.
func resolve(in asm.Instructions) asm.Instructions {
	offsets, at := map[string]int{}, offsetsOf(in)
	for i := range in {
		offsets[in[i].Symbol()] = at[i]
	}
	for i := range in {
		if label := in[i].Reference(); label != "" {
			in[i].Offset = int16(offsets[label] - at[i] - 1)
			in[i] = in[i].WithReference("")
		}
		if i > 0 {
			in[i] = in[i].WithSymbol("")
		}
	}
	in[0] = in[0].WithSymbol("crowded")
	return in
}

func want(input byte) uint32 {
	n := uint32(input & 15)
	sum := n * (n + 1) / 2
	if n%2 == 1 {
		sum += 45
	}
	return sum
}

func run(t *testing.T, p *ebpf.Program, input byte) uint32 {
	t.Helper()
	in := make([]byte, 64)
	in[0] = input
	got, err := p.Run(&ebpf.RunOptions{Data: in})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestCounters: with counters everywhere, and no register free for them, the program
// returns what it does without, and the counters are what the inputs make them.
func TestCounters(t *testing.T) {
	spec := &ebpf.ProgramSpec{Type: ebpf.XDP, License: "GPL", Instructions: crowded()}
	plan, err := Analyze(spec.Instructions)
	if err != nil {
		t.Fatal(err)
	}
	counters, err := NewCounters(plan.Counters + 1)
	if err != nil {
		t.Fatalf("the test needs root: %v", err)
	}
	defer counters.Close()
	if err := plan.Instrument(spec, counters, 1); err != nil {
		t.Fatal(err)
	}
	program, err := ebpf.NewProgram(spec)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	loops, runs, odd := uint64(0), uint64(0), uint64(0)
	for input := range byte(32) {
		if got := run(t, program, input); got != want(input) {
			t.Errorf("of %d it makes %d, want %d", input, got, want(input))
		}
		loops, runs, odd = loops+uint64(input&15), runs+1, odd+uint64(input&1)
	}
	all, err := Read(counters)
	if err != nil || all[0] != 0 {
		t.Fatalf("the counters are %v, %v", all, err)
	}
	h := plan.Hits(all[1:])
	// The branches are the check of the length, the loop's end, and the one for odd.
	taken, not := []uint64{0, runs, runs - odd}, []uint64{runs, loops, odd}
	if len(plan.Branches) != 3 || !slices.Equal(h.Taken, taken) || !slices.Equal(h.NotTaken, not) {
		t.Errorf("taken %v, not taken %v; want %v and %v", h.Taken, h.NotTaken, taken, not)
	}
	if saved := savedSomewhere(plan); saved == 0 {
		t.Error("no counter had to save a register: the test shows less than it should")
	}
}

// savedSomewhere returns the registers that some counter saves.
func savedSomewhere(p *Plan) (all registers) {
	live := p.live()
	for _, b := range p.Blocks {
		_, saved := spare(live[b.First])
		all |= saved
	}
	return all
}

// TestRefusals: what is not understood is not instrumented.
func TestRefusals(t *testing.T) {
	for what, in := range map[string]asm.Instructions{
		"a helper it does not know": {asm.FnGetPrandomU32.Call(), asm.Return()},
		"a call of a function":      {asm.Call.Label("f"), asm.Return()},
		"an end that is none":       {asm.Mov.Imm(asm.R0, 0)},
		"a jump into nowhere":       {asm.Instruction{OpCode: asm.Ja.Label("").OpCode, Offset: 7}, asm.Return()},
	} {
		if _, err := Analyze(in); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
}
