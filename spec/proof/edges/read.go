// SPDX-License-Identifier: Apache-2.0

// Package edges holds the theory of the proof against TLC's state graph of the
// specification: it reads every step that TLC prints (ProofEdges.tla,
// ShardEdges.tla), and has package eval take the same steps.
package edges

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"

	"dalio/spec/tla"
)

// edge is one step as TLC prints it.
type edge struct {
	action string
	mapped tla.Value   // the variables of Register.tla in the first state
	same   bool        // the first state is that of the edge before
	from   tla.Tuple   // the first state; nil where same
	to     []tla.Value // what has changed, nil where nothing has
}

// read calls visit for the constants of a model and for every step of it.
func (src *Source) read(in io.Reader, constants func(tla.Value) error, visit func(edge) error) (lines []string, err error) {
	scan := bufio.NewScanner(in)
	scan.Buffer(nil, 1<<24)
	var last string
	names := src.variables
	for scan.Scan() {
		line := scan.Text()
		text, err := strconv.Unquote(line)
		if err != nil { // no string: or one that is cut off, if TLC was
			lines = append(lines, line)
			continue
		}
		fields := strings.Split(text, "\t")
		switch {
		case fields[0] == "CONSTANTS" && len(fields) == 2:
			v, err := tla.Parse(fields[1])
			if err != nil {
				return lines, fmt.Errorf("constants: %w", err)
			}
			if err := constants(v); err != nil {
				return lines, err
			}
		case fields[0] == "EDGE" && len(fields) == 4+len(names):
			e := edge{action: fields[1], same: fields[3] == last, to: make([]tla.Value, len(names))}
			last = fields[3]
			if !e.same {
				if e.mapped, err = tla.Parse(fields[2]); err != nil {
					return lines, fmt.Errorf("the register: %w", err)
				}
				from, err := tla.Parse(fields[3])
				if err != nil {
					return lines, fmt.Errorf("a state: %w", err)
				}
				var ok bool
				e.from, ok = from.(tla.Tuple)
				if !ok || len(e.from) != len(names) {
					return lines, fmt.Errorf("a state has not %d variables: %s", len(names), fields[3])
				}
			}
			for i, f := range fields[4:] {
				if f == "" {
					continue
				}
				if e.to[i], err = tla.Parse(f); err != nil {
					return lines, fmt.Errorf("%s after a step: %w", names[i], err)
				}
			}
			if err := visit(e); err != nil {
				return lines, err
			}
		default:
			lines = append(lines, line)
		}
	}
	return lines, scan.Err()
}
