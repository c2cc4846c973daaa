// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Programs are the contenders in user space, by their paths.
type Programs struct {
	// Coordinator and Echo are built from C, Golang from Go.
	Coordinator, Echo, Golang string
	// Awake keeps a processor from falling idle; no contender.
	Awake string
	// Empty throws events away; no contender either.
	Empty string
}

// Coordinators are the coordinators among them, "c" first.
func (p Programs) Coordinators() []Process {
	return []Process{
		{Label: "c", Path: p.Coordinator},
		{Label: "c_gso", Path: p.Coordinator, Args: []string{"--segment"}},
		{Label: "go_batch", Path: p.Golang},
		{Label: "go", Path: p.Golang, Args: []string{"--batch", "0"}},
	}
}

// BuildPrograms compiles them into a folder. The working directory must be in
// the source tree.
func BuildPrograms(ctx context.Context, dir string) (Programs, error) {
	root, err := sourceRoot()
	if err != nil {
		return Programs{}, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Programs{}, fmt.Errorf("make the folder for programs: %w", err)
	}
	built := Programs{Coordinator: filepath.Join(dir, "c-coordinator"), Echo: filepath.Join(dir, "c-echo"),
		Golang: filepath.Join(dir, "go-coordinator"), Empty: filepath.Join(dir, "empty")}
	if built.Awake, err = BuildAwake(ctx, dir); err != nil {
		return Programs{}, err
	}
	for output, sources := range map[string][]string{
		built.Coordinator: {"main.c", "handlers.c", "outbox.c", "socket.c"},
		built.Echo:        {"echo.c", "socket.c"},
		built.Empty:       {"empty.c"},
	} {
		if err := compile(ctx, root, output, sources); err != nil {
			return Programs{}, err
		}
	}
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", built.Golang, "./impl/bench/golang")
	command.Dir = root
	if out, err := command.CombinedOutput(); err != nil {
		return Programs{}, fmt.Errorf("build %s: %w\n%s", filepath.Base(built.Golang), err, out)
	}
	return built, nil
}

// BuildAwake compiles the program that keeps processors from falling idle, which Timing
// needs, into a folder, and returns its path. The working directory must be in the source
// tree.
func BuildAwake(ctx context.Context, dir string) (string, error) {
	root, err := sourceRoot()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make the folder for programs: %w", err)
	}
	path := filepath.Join(dir, "awake")
	return path, compile(ctx, root, path, []string{"awake.c"})
}

func compile(ctx context.Context, root, output string, sources []string) error {
	compiler, err := findCompiler()
	if err != nil {
		return err
	}
	args := []string{"-O2", "-march=native", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror",
		"-I" + filepath.Join(root, "bpf"), "-o", output}
	for _, source := range sources {
		args = append(args, filepath.Join(root, "impl", "bench", "c", source))
	}
	if out, err := exec.CommandContext(ctx, compiler, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("compile %s: %w\n%s", filepath.Base(output), err, out)
	}
	return nil
}

func findCompiler() (string, error) {
	for _, name := range []string{"gcc", "clang-19", "clang", "cc"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("no C compiler: install gcc")
}

// sourceRoot returns the folder of go.mod, at or above the working directory.
func sourceRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the source tree: %w", err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "impl", "bench", "c")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("find the source tree: run this in the source tree of Dalio")
		}
	}
}
