// SPDX-License-Identifier: Apache-2.0

package instrument

import (
	"fmt"

	"github.com/cilium/ebpf/asm"
)

// Plan says where the counters of a program go. It depends on the instructions
// alone, so that whoever has the object can tell what a counter means.
type Plan struct {
	Blocks   []Block
	Branches []Branch
	// Counters is how many the program needs.
	Counters int

	instructions asm.Instructions
	targets      []int // by instruction, the index of where it may jump to, or none
}

// Block is a run of instructions that is entered at its first only, and left at its
// last only. Indices are of the program's instructions.
type Block struct {
	First, Last int
	Counter     int
}

// Branch is a conditional jump, the last instruction of a block.
type Branch struct {
	At, Block int
	// Counter counts when the jump is not taken.
	Counter int
}

const none = -1

// Analyze finds the blocks and branches of a program. It returns an error for what
// it knows nothing of, such as calls between functions of one program.
func Analyze(instructions asm.Instructions) (*Plan, error) {
	p := &Plan{instructions: instructions}
	leads, err := p.findTargets()
	if err != nil {
		return nil, err
	}
	p.split(leads)
	return p, nil
}

// offsetsOf returns where each instruction stands, in units of eight bytes.
func offsetsOf(instructions asm.Instructions) []int {
	offsets := make([]int, len(instructions))
	for i := 1; i < len(offsets); i++ {
		offsets[i] = offsets[i-1] + int(instructions[i-1].Width())
	}
	return offsets
}

// findTargets resolves the jumps, and says which instructions begin a block.
func (p *Plan) findTargets() (leads []bool, err error) {
	offsets := offsetsOf(p.instructions)
	at := make(map[int]int, len(offsets))
	for i, offset := range offsets {
		at[offset] = i
	}
	leads = make([]bool, len(p.instructions)+1)
	leads[0] = true
	for i := range p.instructions {
		ins := &p.instructions[i]
		p.targets = append(p.targets, none)
		if err := supported(ins); err != nil {
			return nil, fmt.Errorf("instruction %d, %v: %w", i, ins, err)
		}
		if !endsBlock(ins) {
			continue
		}
		leads[i+1] = true
		if ins.OpCode.JumpOp() == asm.Exit {
			continue
		}
		target, ok := at[offsets[i]+1+int(ins.Offset)]
		if !ok {
			return nil, fmt.Errorf("instruction %d, %v, jumps to no instruction", i, ins)
		}
		p.targets[i], leads[target] = target, true
	}
	if last := &p.instructions[len(p.instructions)-1]; last.OpCode.JumpOp() != asm.Exit && last.OpCode.JumpOp() != asm.Ja {
		return nil, fmt.Errorf("the last instruction, %v, leads nowhere", last)
	}
	return leads, nil
}

// split numbers blocks, branches and counters.
func (p *Plan) split(leads []bool) {
	for i := range p.instructions {
		if leads[i] {
			p.Blocks = append(p.Blocks, Block{First: i, Counter: p.counter()})
		}
		block := len(p.Blocks) - 1
		p.Blocks[block].Last = i
		if isConditional(&p.instructions[i]) {
			p.Branches = append(p.Branches, Branch{At: i, Block: block, Counter: p.counter()})
		}
	}
}

func (p *Plan) counter() int {
	p.Counters++
	return p.Counters - 1
}

func endsBlock(ins *asm.Instruction) bool {
	return ins.OpCode.Class().IsJump() && ins.OpCode.JumpOp() != asm.Call
}

func isConditional(ins *asm.Instruction) bool {
	return endsBlock(ins) && ins.OpCode.JumpOp() != asm.Exit && ins.OpCode.JumpOp() != asm.Ja
}

// Hits is how often each block ran, and each branch was taken and not taken, in the
// order of the plan.
type Hits struct {
	Blocks          []uint64
	Taken, NotTaken []uint64
}

// Hits makes sense of the program's counters.
func (p *Plan) Hits(counters []uint64) Hits {
	var h Hits
	for _, b := range p.Blocks {
		h.Blocks = append(h.Blocks, counters[b.Counter])
	}
	for _, b := range p.Branches {
		not := counters[b.Counter]
		h.NotTaken = append(h.NotTaken, not)
		h.Taken = append(h.Taken, h.Blocks[b.Block]-not)
	}
	return h
}
