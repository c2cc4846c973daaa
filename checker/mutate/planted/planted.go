// SPDX-License-Identifier: Apache-2.0

package planted

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"dalio/checker/internal/tree"
)

// Run plants each mistake in a copy below build/, which is removed afterwards, and prints
// by what it is noticed. Root is the directory of go.mod. The error tells of those that
// are not noticed by name, and of steps that fail without a mistake.
func Run(ctx context.Context, out io.Writer, root string) (err error) {
	// What is started here ends with the thread that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	began := time.Now()
	dir := filepath.Join(root, "build", "planted")
	remove, err := removing(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	if err := prepare(ctx, root, dir); err != nil {
		return err
	}
	for i := range mistakes {
		switch names, err := mistakes[i].noticing.run(ctx, dir); {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return fmt.Errorf("without a mistake, %s: %w", &mistakes[i].noticing, err)
		case len(names) != 0:
			return fmt.Errorf("without a mistake, %s fails: %s", &mistakes[i].noticing, strings.Join(names, ", "))
		}
	}
	fmt.Fprintf(out, "without a mistake the steps pass (%v)\n", time.Since(began).Round(time.Second))
	noticed := 0
	var problems []error
	for i := range mistakes {
		m := &mistakes[i]
		line, names, err := m.try(ctx, dir)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		place := fmt.Sprintf("planted in %-17s (%s:%d, %s -> %s)", m.in, m.file, line, m.was, m.is)
		switch {
		case err != nil:
			problems = append(problems, fmt.Errorf("%s: %w", place, err))
		case len(names) == 0:
			problems = append(problems, fmt.Errorf("%s: %s does not notice", place, &m.noticing))
		default:
			noticed++
			fmt.Fprintf(out, "%s: noticed by %s of %s\n", place, names[0], &m.noticing)
		}
	}
	fmt.Fprintf(out, "planted: %d of %d noticed by name\n", noticed, len(mistakes))
	return errors.Join(problems...)
}

// try plants a mistake, and takes the step that is to notice it.
func (m *mistake) try(ctx context.Context, dir string) (line int, names []string, err error) {
	line, restore, err := m.plant(dir)
	if err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, restore()) }()
	names, err = m.noticing.run(ctx, dir)
	return line, names, err
}

// prepare makes the copy, in which the model checker and what starts it are those of the
// repository.
func prepare(ctx context.Context, root, dir string) error {
	if err := tree.Copy(ctx, root, dir); err != nil {
		return err
	}
	tools := filepath.Join(root, "build", "tools")
	if err := errors.Join(os.MkdirAll(tools, 0o755), os.MkdirAll(filepath.Join(dir, "build"), 0o755)); err != nil {
		return err
	}
	if err := os.Symlink(tools, filepath.Join(dir, "build", "tools")); err != nil {
		return err
	}
	if text, err := command(ctx, buildTime, root, "go", "build", "-o", filepath.Join(dir, "build", "bin", "tlc"), "./spec/tlc"); err != nil {
		return fmt.Errorf("build tlc: %w\n%s", err, text)
	}
	return nil
}

// removing returns how to remove the copy. Should this process be killed, a shell that
// waits for its end does it.
func removing(dir string) (func() error, error) {
	shell := exec.Command("sh", "-c", `read _; rm -rf "$1"`, "sh", dir)
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	open, err := shell.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := shell.Start(); err != nil {
		return nil, fmt.Errorf("start the shell that removes %s: %w", dir, err)
	}
	return func() error { return errors.Join(open.Close(), shell.Wait()) }, nil
}
