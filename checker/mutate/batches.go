// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"dalio/checker/internal/trial"
	"dalio/checker/mutate/gocode"
)

// Time limits.
const (
	buildTime = 10 * time.Minute
	// A mutant's tests may take so many times as long as the original's, and so much
	// longer.
	goTimes  = 5
	goLonger = 15 * time.Second
	// After so many that come to no end, no more are tried.
	lateLimit = 2
)

var errLate = errors.New("came to no end in time")

// batch is tests that are run in one process, the mutants that they come to, and the
// time they take.
type batch struct {
	binary  string
	folder  string
	tests   []string
	flags   []string
	timed   bool
	reached []byte
	took    time.Duration
}

// batchName tells a batch from the others.
func batchName(tests []string) string {
	if len(tests) == 1 {
		return tests[0]
	}
	return fmt.Sprintf("%s and %d others", tests[0], len(tests)-1)
}

// build builds the tests over the overlay. The digest is of all that judges.
func (s *subject) build(ctx context.Context, o *options, dir, overlay string) (all []batch, digest string, err error) {
	var slow []batch
	sum := sha256.New()
	fmt.Fprintf(sum, "%+v", s.judges)
	for i, j := range s.judges {
		if o.sample && j.only != nil {
			continue
		}
		binary := filepath.Join(dir, fmt.Sprintf("%d.test", i))
		if text, err := command(ctx, buildTime, o.root, "go", "test", "-c", "-vet=off", "-trimpath", "-overlay", overlay, "-o", binary, "./"+j.folder); err != nil {
			return nil, "", fmt.Errorf("the mutants do not compile: %w\n%s", err, text)
		}
		content, err := os.ReadFile(binary)
		if err != nil {
			return nil, "", err
		}
		sum.Write(content)
		if err := sumData(sum, filepath.Join(o.root, j.folder, "testdata")); err != nil {
			return nil, "", err
		}
		b := batch{binary: binary, folder: j.folder, flags: j.flags, timed: j.timed}
		if b.tests, err = j.quick(ctx, o, binary); err != nil {
			return nil, "", err
		}
		if len(b.tests) != 0 {
			all = append(all, b)
		}
		for _, name := range j.slow {
			b.tests = []string{name}
			slow = append(slow, b)
		}
	}
	if !o.sample {
		all = append(all, slow...)
	}
	return all, hex.EncodeToString(sum.Sum(nil)), nil
}

// sumData adds the files that tests read.
func sumData(sum io.Writer, dir string) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		switch {
		case os.IsNotExist(err):
			return nil
		case err != nil || e.IsDir():
			return err
		}
		content, err := os.ReadFile(path)
		if err == nil {
			_, err = fmt.Fprintf(sum, "%s %q", path, content)
		}
		return err
	})
}

// quick returns the tests that are not slow.
func (j *judging) quick(ctx context.Context, o *options, binary string) ([]string, error) {
	if j.only != nil {
		return j.only, nil
	}
	text, err := command(ctx, buildTime, filepath.Join(o.root, j.folder), binary, "-test.list=^Test")
	if err != nil {
		return nil, fmt.Errorf("list the tests: %w\n%s", err, text)
	}
	names := strings.Fields(text)
	for _, name := range slices.Concat(j.slow, j.without) {
		i := slices.Index(names, name)
		if i < 0 {
			return nil, fmt.Errorf("there is no %s in %s", name, j.folder)
		}
		names = slices.Delete(names, i, i+1)
	}
	return names, nil
}

// tryOriginal runs the tests on the code as it is, which they must accept.
func tryOriginal(ctx context.Context, o *options, dir string, batches []batch, k *kept) error {
	return each(o.parallel, len(batches), func(i int) error {
		b := &batches[i]
		if earlier, ok := k.original(batchName(b.tests)); ok {
			b.took, b.reached = earlier.Took, earlier.Reached
			return nil
		}
		reached := filepath.Join(dir, fmt.Sprintf("reached.%d", i))
		if err := os.RemoveAll(reached); err != nil {
			return err
		}
		began := time.Now()
		failed, err := b.run(ctx, o, b.tests, buildTime, gocode.Reached+"="+reached)
		if err != nil || failed != "" {
			return fmt.Errorf("the original: %s %s: %w", batchName(b.tests), failed, err)
		}
		b.took = time.Since(began)
		if b.reached, err = os.ReadFile(reached); err != nil {
			return err
		}
		return k.keep(line{Original: &original{Tests: batchName(b.tests), Took: b.took, Reached: b.reached}})
	})
}

// reachedBy leaves those mutants that tests come to.
func reachedBy(batches []batch, chosen []gocode.Mutant) []gocode.Mutant {
	return slices.DeleteFunc(chosen, func(m gocode.Mutant) bool {
		return !slices.ContainsFunc(batches, func(b batch) bool { return b.reached[m.Number()] != 0 })
	})
}

// run runs tests, and returns the line that tells of the first failure, if an assertion
// failed.
func (b *batch) run(ctx context.Context, o *options, tests []string, limit time.Duration, environment ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit+10*time.Second)
	defer cancel()
	arguments := append([]string{"-test.v", "-test.failfast", "-test.run=^(" + strings.Join(tests, "|") + ")$", "-test.timeout=" + limit.String()}, b.flags...)
	cmd := exec.CommandContext(ctx, b.binary, arguments...)
	cmd.Dir = filepath.Join(o.root, b.folder)
	cmd.Env = append(os.Environ(), environment...)
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return "", errors.Join(errLate, ctx.Err())
	}
	if strings.Contains(string(out), "\npanic: test timed out after") {
		return "", errLate
	}
	expected := "Test"
	if len(tests) == 1 {
		expected = tests[0]
	}
	return trial.Judge(&trial.Test{Folder: b.folder, Expected: expected}, string(out), err)
}

// tryMutant has the tests that come to a mutant's place try it, the quick ones first.
func tryMutant(ctx context.Context, o *options, number int, batches []batch) (state, by string) {
	state, by = lived, "no test comes to it"
	ends := 0
	try := func(b *batch, tests []string) (failed string, err error) {
		limit, on := goTimes*b.took+goLonger, fmt.Sprint(gocode.Switch, "=", number)
		if failed, err = b.run(ctx, o, tests, limit, on); failed != "" && b.timed {
			failed, err = b.run(ctx, o, tests, limit, on)
		}
		return failed, err
	}
	for i := range batches {
		b := &batches[i]
		if b.reached[number] == 0 {
			continue
		}
		if state == lived {
			by = "all tests that come to it pass"
		}
		// When tests end early the others have not been tried: then each is, alone.
		queue := [][]string{b.tests}
		for len(queue) > 0 && ends < lateLimit && ctx.Err() == nil {
			tests := queue[0]
			queue = queue[1:]
			failed, err := try(b, tests)
			if failed != "" {
				return killed, failed
			}
			if err != nil && len(tests) > 1 {
				for _, name := range tests {
					queue = append(queue, []string{name})
				}
			}
			switch {
			case errors.Is(err, errLate):
				state, by, ends = late, batchName(tests), ends+1
			case err != nil:
				text, _, _ := strings.Cut(err.Error(), "\n")
				state, by = crashed, batchName(tests)+": "+text
			}
		}
	}
	return state, by
}
