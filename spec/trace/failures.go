// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"dalio/spec/trace/shard"
)

// checkFailures has TLC check runs with failures, and says how much there was of them.
func (c config) checkFailures(ctx context.Context, paths []string) (accepted bool, figures string, err error) {
	began, all := time.Now(), shard.Figures{}
	for i, path := range paths {
		f, accepted, err := c.checkFailure(ctx, path, fmt.Sprint("failures", i+1))
		if err != nil || !accepted {
			return false, "", err
		}
		all.Membership, all.Handled = all.Membership+f.Membership, all.Handled+f.Handled
		all.Epochs, all.Joined, all.Removed = all.Epochs+f.Epochs, all.Joined+f.Joined, all.Removed+f.Removed
	}
	if all.Membership < c.leastSteps || all.Epochs < 2 || all.Joined == 0 || all.Removed == 0 {
		return false, "", fmt.Errorf("the traces with failures have %d steps of the membership, of %d openings, %d joinings and %d removals: want %d, and some of each",
			all.Membership, all.Epochs, all.Joined, all.Removed, c.leastSteps)
	}
	figures = fmt.Sprintf("%d steps of the membership in %d runs with failures, through %d epochs, %d joinings and %d removals, and the sets that %d messages were handled under",
		all.Membership, len(paths), all.Epochs, all.Joined, all.Removed, all.Handled)
	fmt.Printf("trace: %s, are behaviours of Shard.tla; %.1f s\n", figures, time.Since(began).Seconds())
	return true, figures, nil
}

func (c config) checkFailure(ctx context.Context, path, name string) (f shard.Figures, accepted bool, err error) {
	dir, err := filepath.Abs(filepath.Join(c.dir, name))
	if err != nil {
		return f, false, err
	}
	events, err := gather(path)
	if err != nil {
		return f, false, err
	}
	r, err := shard.Arrange(events, c.inOrder)
	if err != nil {
		return f, false, fmt.Errorf("%s: %w", path, err)
	}
	if len(r.Lost) > 0 {
		fmt.Printf("trace: %s: %d events of data planes are known to be lost, and none of these is checked: %s\n", path, r.Missing, strings.Join(r.Lost, "; "))
	}
	tlc, err := newChecker(ctx, dir)
	if err != nil {
		return f, false, err
	}
	checker := shard.Checker{Root: tlc.root, Jar: tlc.jar}
	rejected, err := checker.Check(ctx, dir, r)
	if err != nil {
		return f, false, err
	}
	file := filepath.Join(dir, "trace.jsonl")
	if err := write(file, r.Events()); err != nil {
		return f, false, err
	}
	if rejected[0] != nil {
		fmt.Printf("%v\n", rejected[0].In(file))
		return f, false, nil
	}
	return r.Count(), true, nil
}
