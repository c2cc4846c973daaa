// SPDX-License-Identifier: Apache-2.0

package edges

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"dalio/spec/jar"
	"dalio/spec/proof/logic"
)

// Run has TLC print the steps of a model of the specification, and checks them.
// Root is the directory of go.mod; work is one of this run alone.
func Run(ctx context.Context, t *logic.Theory, root, work, model string) (Counts, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return Counts{}, err
	}
	work = filepath.Join(root, work, model)
	artifact, err := jar.Pinned(root)
	if err != nil {
		return Counts{}, err
	}
	path, err := jar.Fetch(ctx, root, artifact)
	if err != nil {
		return Counts{}, err
	}
	config, err := configure(filepath.Join(root, "spec", "models", model+".cfg"))
	if err != nil {
		return Counts{}, err
	}
	if err := os.RemoveAll(work); err != nil {
		return Counts{}, err
	}
	scratch, file := filepath.Join(work, "tlc"), filepath.Join(work, model+".cfg")
	if err := os.MkdirAll(scratch, 0o755); err != nil {
		return Counts{}, err
	}
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		return Counts{}, err
	}
	spec := filepath.Join(root, "spec")
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	command := jar.Run{Jar: path, Scratch: scratch, Java: []string{jar.SmallHeap}, Directory: filepath.Join(spec, "proof", "edges"),
		Module: "ProofEdges", Config: file, Library: spec}.Command(ctx)
	out, err := command.StdoutPipe()
	if err != nil {
		return Counts{}, err
	}
	command.Stderr = command.Stdout
	if err := command.Start(); err != nil {
		return Counts{}, fmt.Errorf("java cannot be run: %w; scripts/setup test installs it", err)
	}
	counts, lines, err := Check(t, out)
	if err != nil {
		cancel()
		command.Wait()
		if counts.Edges == 0 && len(lines) > 0 {
			err = fmt.Errorf("%w; TLC says:\n%s", err, strings.Join(lines, "\n"))
		}
		return counts, fmt.Errorf("%s: %w", model, err)
	}
	if err := command.Wait(); err != nil {
		return counts, fmt.Errorf("%s: TLC: %w:\n%s", model, err, strings.Join(lines, "\n"))
	}
	return counts, nil
}

// configure makes of the configuration of a model one that prints steps. What is
// checked of the model is checked elsewhere; and there is no symmetry, so that
// every state that is reached is one that steps begin in.
func configure(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	out := []string{"INIT EdgeInit", "NEXT EdgeNext", "VIEW Whole", "ACTION_CONSTRAINT EmitWhole"}
	for _, line := range strings.Split(string(text), "\n") {
		switch fields := strings.Fields(line); {
		case len(fields) == 0:
			continue
		case fields[0] == "Exact":
			out = append(out, "  Exact = FALSE")
		case fields[0] != "SPECIFICATION" && fields[0] != "INVARIANT" && fields[0] != "PROPERTY" && fields[0] != "SYMMETRY":
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n") + "\n", nil
}
