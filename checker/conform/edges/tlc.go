// SPDX-License-Identifier: Apache-2.0

package edges

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"dalio/spec/jar"
)

// Printing is the run of TLC that prints the graph of a model of the module at root into
// a file, as ReadGraph reads it. It lacks the jar and the scratch directory.
func Printing(root string, m Model, file string) jar.Run {
	return jar.Run{Java: []string{jar.SmallHeap}, Directory: filepath.Join(root, "spec"), Module: m.Module,
		Config: filepath.Join(directory(root), m.Name+".cfg"), Options: []string{"-userFile", file}}
}

// print has TLC print the graph of a model, and reads it. The files are kept in
// build/conform.
func (r *runner) print(ctx context.Context, m Model) (*Graph, error) {
	printed := filepath.Join(r.work, m.Name+".txt")
	scratch, err := os.MkdirTemp(r.work, m.Name+"-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(scratch)
	run := Printing(r.root, m, printed)
	run.Jar, run.Scratch = r.jar, scratch
	java := run.Command(ctx)
	text, err := java.CombinedOutput()
	if err := os.WriteFile(filepath.Join(r.work, m.Name+".log"), text, 0o644); err != nil {
		return nil, err
	}
	var counts jar.Counts
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		counts.Read(lines.Text())
	}
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil || !counts.Completed || counts.Left != 0:
		return nil, fmt.Errorf("TLC did not explore the model: %w\n%s", err, lastLines(text))
	case counts.Generated != m.Generated || counts.Distinct != m.Distinct:
		return nil, fmt.Errorf("TLC generates %d states, %d distinct; the manifest says %d and %d", counts.Generated, counts.Distinct, m.Generated, m.Distinct)
	}
	file, err := os.Open(printed)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	g, err := ReadGraph(file)
	if err != nil {
		return nil, err
	}
	// The initial state is generated too, without a step.
	if len(g.States) != counts.Distinct || g.Generated+1 != counts.Generated {
		return nil, fmt.Errorf("TLC has printed %d states and %d steps, and says that it generated %d states, %d distinct", len(g.States), g.Generated, counts.Generated, counts.Distinct)
	}
	return g, nil
}

// lastLines is the end of what a command printed.
func lastLines(text []byte) string {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}
