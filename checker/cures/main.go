// SPDX-License-Identifier: Apache-2.0

// Command cures takes the cures out of the code, one at a time, and demands that a
// named test fails by an assertion.
//
//	go run ./checker/cures [-only REGEXP] [-sample] [-parallel 2]
//
// Cures are the passages of the code without which some run of the protocol goes
// wrong: what they are, where, and which tests notice is in the tables beside this
// file. The work is done in copies under build/cures; what is checked out is not
// touched. With a cure of the C code the objects are generated anew, as by make
// generate. That a copy does not compile, that the kernel refuses its program, or
// that a test panics or ends in no time is an error of the table, and so is a
// passage that is not in its file exactly once. Before, the tests must pass where
// nothing is taken out.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	only := flag.String("only", "", "try only the cures whose names match this `regexp`")
	sample := flag.Bool("sample", false, "try only those that the tables mark as the sample")
	parallel := flag.Int("parallel", 2, "how many are tried at a time")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	pattern, err := regexp.Compile(*only)
	if err != nil || flag.NArg() != 0 || *parallel < 1 {
		flag.Usage()
		os.Exit(2)
	}
	chosen := func(c *cure) bool { return pattern.MatchString(c.Name) && (c.Sample || !*sample) }
	if err := run(ctx, os.Stdout, chosen, *parallel); err != nil {
		fmt.Fprintln(os.Stderr, "cures:", err)
		os.Exit(1)
	}
}

// run tries the chosen cures, and prints a line for each.
func run(ctx context.Context, out io.Writer, chosen func(*cure) bool, parallel int) error {
	root, err := repository(ctx)
	if err != nil {
		return err
	}
	all, err := readTables(filepath.Join(root, "checker", "cures"))
	if err != nil {
		return err
	}
	var cures []cure
	excused := 0
	for _, c := range all {
		switch {
		case !chosen(&c):
		case c.Unnoticed != "":
			excused++
			fmt.Fprintf(out, "excused  %-34s %s\n", c.Name, c.Unnoticed)
		default:
			cures = append(cures, c)
		}
	}
	if len(cures) == 0 {
		return errors.New("no cure of the tables is chosen")
	}
	began := time.Now()
	work := make(chan cure, len(cures))
	for _, c := range cures {
		work <- c
	}
	close(work)
	copies := make([]*scratch, parallel)
	for i := range copies {
		if copies[i], err = newScratch(ctx, root, filepath.Join(root, "build", "cures", fmt.Sprint(i))); err != nil {
			return err
		}
	}
	if err := copies[0].whole(ctx, cures); err != nil {
		return fmt.Errorf("where nothing is taken out: %w", err)
	}
	fmt.Fprintf(out, "%d cures; the tests that are to notice pass where none is taken out (%v)\n", len(cures), since(began))
	var mu sync.Mutex
	var workers sync.WaitGroup
	noticed := 0
	for _, s := range copies {
		workers.Go(func() {
			for c := range work {
				if ctx.Err() != nil {
					return
				}
				from := time.Now()
				by, err := s.try(ctx, &c)
				mu.Lock()
				verdict, why := "noticed", any(by)
				switch {
				case errors.Is(err, errPass):
					verdict, why = "MISSED", err
				case err != nil:
					verdict, why = "ERROR", err
				default:
					noticed++
				}
				fmt.Fprintf(out, "%-8s %-34s %6v  %v\n", verdict, c.Name, since(from), why)
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	fmt.Fprintf(out, "cures: %d of %d noticed, %d excused, %v\n", noticed, len(cures), excused, since(began))
	if noticed != len(cures) {
		return fmt.Errorf("%d were not noticed", len(cures)-noticed)
	}
	return nil
}

func since(t time.Time) time.Duration { return time.Since(t).Round(100 * time.Millisecond) }

// repository returns the folder of the module that is checked out here.
func repository(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}
