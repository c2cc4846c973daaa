// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"

	"dalio/bpf"
	"dalio/bpf/reader"
	"dalio/checker/internal/tree"
	"dalio/checker/internal/trial"
	"dalio/protocol"
)

const (
	// buildTimeout bounds the generating and the compiling of a copy.
	buildTimeout = 5 * time.Minute
	// testTimeout bounds a test. One that ends by it has noticed nothing.
	testTimeout = 2 * time.Minute
)

// errPass is returned where no test fails without the cure.
var errPass = errors.New("all pass")

// scratch is a copy of what is checked out. One cure at a time is taken out of it.
type scratch struct{ dir string }

// newScratch makes the copy.
func newScratch(ctx context.Context, root, dir string) (*scratch, error) {
	if err := tree.Copy(ctx, root, dir); err != nil {
		return nil, err
	}
	return &scratch{dir}, nil
}

// whole runs all tests that are to notice something, which must pass.
func (s *scratch) whole(ctx context.Context, cures []cure) error {
	done := map[string]bool{}
	for _, c := range cures {
		for _, name := range c.Tests {
			if done[name] {
				continue
			}
			done[name] = true
			t, err := trial.Parse(name)
			if err != nil {
				return err
			}
			switch failed, err := s.test(ctx, &t); {
			case err != nil:
				return fmt.Errorf("%s: %w", name, err)
			case failed != "":
				return fmt.Errorf("%s fails: %s", name, failed)
			}
		}
	}
	return nil
}

// try takes a cure out, and returns the test that noticed.
func (s *scratch) try(ctx context.Context, c *cure) (by string, err error) {
	file := filepath.Join(s.dir, filepath.FromSlash(c.File))
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	without, err := c.takeOut(string(text))
	if err != nil {
		return "", err
	}
	if c.inC() {
		keep, err := s.generated(path.Dir(c.File))
		if err != nil {
			return "", err
		}
		defer func() { err = errors.Join(err, keep()) }()
	}
	defer func() { err = errors.Join(err, os.WriteFile(file, text, 0o644)) }()
	if err := os.WriteFile(file, []byte(without), 0o644); err != nil {
		return "", err
	}
	if c.inC() {
		if err := s.generate(ctx, path.Dir(c.File)); err != nil {
			return "", err
		}
	}
	for _, name := range c.Tests {
		t, err := trial.Parse(name)
		if err != nil {
			return "", err
		}
		if failed, err := s.test(ctx, &t); err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		} else if failed != "" {
			return failed, nil
		}
	}
	return "", fmt.Errorf("%w: %s", errPass, strings.Join(c.Tests, ", "))
}

// generated returns a function that puts what is generated in a folder back as it is
// now.
func (s *scratch) generated(folder string) (restore func() error, err error) {
	files, err := filepath.Glob(filepath.Join(s.dir, filepath.FromSlash(folder), "*_bpfel*"))
	if err != nil {
		return nil, err
	}
	before := map[string][]byte{}
	for _, f := range files {
		if before[f], err = os.ReadFile(f); err != nil {
			return nil, err
		}
	}
	return func() error {
		var problems []error
		for f, content := range before {
			problems = append(problems, os.WriteFile(f, content, 0o644))
		}
		return errors.Join(problems...)
	}, nil
}

// generate makes the objects of a folder anew. The kernel must take them.
func (s *scratch) generate(ctx context.Context, folder string) error {
	if out, err := s.command(ctx, buildTimeout, "", "go", "generate", "./"+folder); err != nil {
		return fmt.Errorf("it can't be generated: %w\n%s", err, out)
	}
	if folder == "bpf/reader" {
		r, err := reader.Load(reader.Options{Address: netip.MustParseAddrPort("10.0.0.1:7411"), MAC: [6]byte{2}, Keys: reader.MinKeys,
			Object: filepath.Join(s.dir, "bpf", "reader", "reader_bpfel.o")})
		if err != nil {
			return fmt.Errorf("the kernel refuses it: %w", err)
		}
		return r.Close()
	}
	for name, several := range map[string]bool{"coordinator": false, "several": true} {
		data, err := bpf.Load(bpf.Options{Self: protocol.Address{IP: [4]byte{10, 0, 0, 1}, MAC: [6]byte{2}}, MaxSessions: 16,
			Object: filepath.Join(s.dir, "bpf", name+"_bpfel.o"), SeveralDevices: several})
		if err != nil {
			return fmt.Errorf("the kernel refuses it: %w", err)
		}
		if err := data.Close(); err != nil {
			return err
		}
	}
	return nil
}

// test runs a test, and returns the line that tells of its failure, if it failed.
func (s *scratch) test(ctx context.Context, t *trial.Test) (failed string, err error) {
	binary := filepath.Join(s.dir, "cures.test")
	out, err := s.command(ctx, buildTimeout, "", "go", "test", "-c", "-vet=off", "-trimpath", "-o", binary, "./"+filepath.ToSlash(t.Folder))
	if err != nil {
		return "", fmt.Errorf("it does not compile: %w\n%s", err, out)
	}
	arguments := []string{"-test.v", "-test.timeout=" + testTimeout.String(), "-test.run=" + t.Pattern}
	drawn, err := s.drawsByRapid(t)
	if err != nil {
		return "", err
	}
	if drawn {
		// The same draws each time; how small a failure can be made does not matter.
		arguments = append(arguments, "-rapid.seed=1", "-rapid.nofailfile", "-rapid.shrinktime=0s")
	}
	out, err = s.command(ctx, testTimeout+10*time.Second, t.Folder, binary, arguments...)
	return trial.Judge(t, string(out), err)
}

// drawsByRapid says whether the tests of a package draw their cases by rapid.
func (s *scratch) drawsByRapid(t *trial.Test) (bool, error) {
	files, err := filepath.Glob(filepath.Join(s.dir, t.Folder, "*_test.go"))
	if err != nil {
		return false, err
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil || bytes.Contains(text, []byte(`"pgregory.net/rapid"`)) {
			return err == nil, err
		}
	}
	return false, nil
}

func (s *scratch) command(ctx context.Context, timeout time.Duration, folder string, name string, arguments ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, arguments...)
	cmd.Dir = filepath.Join(s.dir, folder)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.Bytes(), err
}
