// SPDX-License-Identifier: Apache-2.0

package edges

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"dalio/spec/jar"
	"dalio/spec/proof/logic"
)

// modelTime is more than any model takes on a machine that does other work too.
const modelTime = 20 * time.Minute

// Run has TLC print the steps of a model, and checks them.
// Root is the directory of go.mod; work is one of this run alone.
func Run(ctx context.Context, t *logic.Theory, root, work string, model Model) (Counts, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return Counts{}, err
	}
	work = filepath.Join(root, work, model.Name)
	artifact, err := jar.Pinned(root)
	if err != nil {
		return Counts{}, err
	}
	path, err := jar.Fetch(ctx, root, artifact)
	if err != nil {
		return Counts{}, err
	}
	config, err := model.config(root)
	if err != nil {
		return Counts{}, err
	}
	if err := os.RemoveAll(work); err != nil {
		return Counts{}, err
	}
	scratch, file := filepath.Join(work, "tlc"), filepath.Join(work, model.Name+".cfg")
	if err := os.MkdirAll(scratch, 0o755); err != nil {
		return Counts{}, err
	}
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		return Counts{}, err
	}
	spec := filepath.Join(root, "spec")
	ctx, cancel := context.WithTimeout(ctx, modelTime)
	defer cancel()
	java := []string{jar.Heap, "-XX:+ExitOnOutOfMemoryError"} // TLC keeps every text that it prints
	if model.Short {
		java = []string{jar.SmallHeap, "-XX:+ExitOnOutOfMemoryError", "-XX:TieredStopAtLevel=1"}
	}
	command := jar.Run{Jar: path, Scratch: scratch, Java: java, Directory: filepath.Join(spec, "proof", "edges"),
		Module: model.Of.Module, Config: file, Library: spec}.Command(ctx)
	out, err := command.StdoutPipe()
	if err != nil {
		return Counts{}, err
	}
	command.Stderr = command.Stdout
	if err := command.Start(); err != nil {
		return Counts{}, fmt.Errorf("java cannot be run: %w; scripts/setup test installs it", err)
	}
	var failed error // TLC, of which then not all was read
	counts, lines, err := check(model.Of, t, out, func() error {
		failed = command.Wait()
		return failed
	})
	switch {
	case failed != nil:
		return counts, fmt.Errorf("%s: TLC failed: %w; it says:\n%s", model.Name, errors.Join(ctx.Err(), failed), strings.Join(lines, "\n"))
	case err != nil:
		cancel() // it may be at it still
		command.Wait()
		return counts, fmt.Errorf("%s: %w", model.Name, err)
	}
	return counts, nil
}
