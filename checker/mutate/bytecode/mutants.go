// SPDX-License-Identifier: Apache-2.0

package bytecode

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/cilium/ebpf/asm"
)

// Mutant is a program in which one instruction is another.
type Mutant struct {
	// Name tells the mutant from all others of the program, and stays the same when
	// code elsewhere changes: the operator, the number of the instruction among those
	// of its source line, and the line's text.
	Name string `json:"name"`
	// Line is the text of the source line that the instruction is of.
	Line string `json:"line"`
	// At is the index of the instruction, Was and Is what stood there and what does.
	At  int    `json:"at"`
	Was string `json:"was"`
	Is  string `json:"is"`

	instruction asm.Instruction
}

// Apply returns the program with the mutant's instruction. The program itself stays
// as it is.
func (m *Mutant) Apply(program asm.Instructions) asm.Instructions {
	out := slices.Clone(program)
	out[m.At] = m.instruction
	return out
}

// Mutants returns all mutants of a program, in the order of its instructions. Lines
// says what source line each instruction is of, as [Lines] does.
func Mutants(program asm.Instructions, lines []string) []Mutant {
	var all []Mutant
	// How many instructions of a line came before, and how many mutants have a name.
	before, named := map[string]int{}, map[string]int{}
	for at, was := range program {
		line := lines[at]
		number := before[line]
		before[line]++
		for _, o := range operators {
			for _, is := range o.change(was) {
				if is.OpCode == was.OpCode && is.Constant == was.Constant && is.Dst == was.Dst && is.Src == was.Src && is.Offset == was.Offset {
					continue
				}
				// What jumps to the instruction, and the map it names, stay.
				is.Metadata = was.Metadata
				name := fmt.Sprintf("%s #%d of: %s", o.name, number, line)
				if n := named[name]; n > 0 {
					name = fmt.Sprintf("%s (%d) #%d of: %s", o.name, n+1, number, line)
				}
				named[fmt.Sprintf("%s #%d of: %s", o.name, number, line)]++
				all = append(all, Mutant{Name: name, Line: line, At: at, Was: text(was), Is: text(is), instruction: is})
			}
		}
	}
	return all
}

// Lines returns the text of the source line that each instruction is of.
func Lines(program asm.Instructions) []string {
	lines, line := make([]string, len(program)), ""
	for i, ins := range program {
		if source := ins.Source(); source != nil {
			line = strings.Join(strings.Fields(source.String()), " ")
		}
		lines[i] = line
	}
	return lines
}

func text(ins asm.Instruction) string {
	return strings.Join(strings.Fields(fmt.Sprintf("%v", ins)), " ")
}

// Chosen says whether a mutant is one of the share, from 0 to 1, that a seed chooses:
// always the same ones, whatever others there are.
func Chosen(name string, seed uint64, share float64) bool {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s", seed, name)
	return float64(h.Sum64()>>11)/(1<<53) < share
}
