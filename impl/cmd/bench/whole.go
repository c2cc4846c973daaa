// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"dalio/checker/linear"
	"dalio/impl/bench"
	"dalio/impl/wholesystem"
)

// judgeTimeout bounds the audit of a short history.
const judgeTimeout = time.Minute

// wholeSystem measures whole systems by their coordinators, and adds the ratios to the
// report.
func wholeSystem(ctx context.Context, c config, programs bench.Programs, report *bench.Report) error {
	fmt.Printf("\nwhole systems: %d replicas, %d clients on %d sockets, %d keys\n", c.whole.Replicas, c.whole.Clients, c.whole.Sockets, c.whole.Keys)
	suite := &wholesystem.Suite{
		Settings: c.whole, Executable: c.executable, Dir: filepath.Join(c.dir, "whole-system"),
		Contenders: wholesystem.Contenders(c.executable, c.object, programs),
		Mixes:      c.mixes,
		Judge:      judge,
		Progress:   progress(),
	}
	result, err := suite.Run(ctx)
	if err != nil {
		return err
	}
	report.WholeSystem = result
	for _, comparison := range result.Comparisons() {
		report.Add(comparison)
	}
	plot := filepath.Join(c.dir, "whole-system.svg")
	if err := errors.Join(result.Plot(plot, report.Machine), result.Print(os.Stdout)); err != nil {
		return err
	}
	fmt.Printf("\n%s shows every sample; it took %.0f s\n", plot, result.Took)
	return nil
}

// judge says whether a history is linearizable.
func judge(ctx context.Context, path string) error {
	report, err := linear.CheckFile(ctx, path, linear.Options{Timeout: judgeTimeout})
	if err != nil {
		return err
	}
	if report.Verdict != linear.Linearizable {
		return fmt.Errorf("it is %s", report.Verdict)
	}
	return nil
}
