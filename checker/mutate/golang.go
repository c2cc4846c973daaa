// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"dalio/checker/mutate/gocode"
)

// subject is a Go package of which there are mutants, and what tests may notice them.
type subject struct {
	path  string
	files []string
	// judges are folders with tests, in the order in which they try a mutant.
	judges []judging
}

// judging says which tests of a folder judge.
type judging struct {
	folder string
	// only has their names, or nothing: then it is all but those that are left out.
	only, without []string
	// slow are run last, each alone, in this order; the others in one process. A sample
	// does without.
	slow []string
	// flags are for the test binary. What is drawn at random is always the same.
	flags []string
	// timed: how long things take matters to the tests, so that they might fail on a
	// busy machine. What they notice they must notice twice.
	timed bool
}

// rapidFlags bound what is drawn, and have it always be the same.
func rapidFlags(checks int) []string {
	return []string{"-rapid.seed=1", "-rapid.nofailfile", "-rapid.shrinktime=0s", "-rapid.checks=" + strconv.Itoa(checks)}
}

func subjects() []subject {
	return []subject{
		// Tests that break a rule to see it noticed would judge nothing here.
		{"protocol", nil, []judging{
			{folder: "protocol", without: []string{"TestReconfigurationWithout"}, slow: []string{"TestReconfiguration"}, flags: rapidFlags(60)},
			{folder: "bpf", only: []string{}, slow: []string{"TestHazards", "TestRegressions", "TestCorpus"}},
		}},
		{"impl/coordinator/membership", nil, []judging{
			{folder: "impl/coordinator/membership", without: []string{"TestEveryRuleIsNeeded"}, slow: []string{"TestFixedWalks", "TestWhateverFails"}, flags: rapidFlags(40)},
		}},
		{"impl/replica", []string{"member.go", "memory.go", "record.go", "index.go", "sessions.go", "source.go", "catchup.go"}, []judging{
			{folder: "impl/replica", timed: true, slow: []string{
				"TestConcurrentWritersOfOneKey", "TestLateRequests", "TestReadPathFollowsTheServer", "TestReadPathTakesUpWhatIsRead", "TestBatchesCostNoAllocation",
				"TestCatchUpUnderWrites", "TestCatchUpComparesDigests", "TestCatchUpBringsSessions", "TestCatchUpKeepsToOneSource", "TestCatchUpGoesOnWhereItFailed",
				"TestCatchUpKeepsItsRate", "TestCatchUpStallsNoTraffic",
			}, flags: rapidFlags(100)},
		}},
	}
}

// The share of all mutants of the Go code that is tried.
const (
	goShare  = 0.13
	goSample = 0.01
)

func tryGo(ctx context.Context, o *options) ([]outcome, error) {
	var all []outcome
	for _, s := range subjects() {
		some, err := s.try(ctx, o)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.path, err)
		}
		all = append(all, some...)
	}
	return all, nil
}

func (s *subject) try(ctx context.Context, o *options) ([]outcome, error) {
	pkg, err := gocode.Load(o.root, "dalio/"+s.path, s.files...)
	if err != nil {
		return nil, err
	}
	share := goShare
	if o.sample {
		share = goSample
	}
	var chosen []gocode.Mutant
	for _, m := range pkg.Mutants {
		if o.chosen(m.Name, share) {
			chosen = append(chosen, m)
		}
	}
	if len(chosen) == 0 {
		return nil, nil
	}
	dir := filepath.Join(o.root, "build", "mutate", "go", filepath.FromSlash(s.path))
	overlay, err := writeOverlay(dir, pkg)
	if err != nil {
		return nil, err
	}
	batches, digest, err := s.build(ctx, o, dir, overlay)
	if err != nil {
		return nil, err
	}
	var k *kept
	if !o.sample {
		if k, err = openKept(filepath.Join(dir, "outcomes.jsonl"), digest); err != nil {
			return nil, err
		}
		defer k.close()
	}
	if err := tryOriginal(ctx, o, dir, batches, k); err != nil {
		return nil, err
	}
	if o.sample { // What only slow tests come to is none of it.
		chosen = reachedBy(batches, chosen)
	}
	outcomes := make([]outcome, len(chosen))
	err = each(o.parallel, len(chosen), func(i int) error {
		m := &chosen[i]
		out := outcome{Kind: "go", Name: m.Name, Place: m.Place, Is: m.Is}
		if earlier, ok := k.outcome(m.Name); ok {
			out.State, out.By = earlier.State, earlier.By
			outcomes[i] = out
			return nil
		}
		if out.State, out.By = tryMutant(ctx, o, m.Number(), batches); ctx.Err() != nil {
			return ctx.Err()
		}
		outcomes[i] = out
		progress(o, &outcomes[i], i, len(chosen))
		return k.keep(line{Outcome: &out})
	})
	return outcomes, err
}

// progress shows what was not noticed, and now and then how far it is.
func progress(o *options, m *outcome, i, of int) {
	if m.State != killed || i%50 == 49 {
		fmt.Fprintf(o.out, "%-8s %d of %d: %s (%s)\n", m.State, i+1, of, m.Name, m.By)
	}
}

// writeOverlay writes the files that take the place of others, and the list of them.
func writeOverlay(dir string, pkg *gocode.Package) (string, error) {
	replace := map[string]string{}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	for name, text := range pkg.Files {
		// Not as Go, or ./... would have a package more.
		to := filepath.Join(dir, filepath.Base(name)+".overlay")
		replace[name] = to
		if err := os.WriteFile(to, text, 0o644); err != nil {
			return "", err
		}
	}
	text, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, text, 0o644)
}
