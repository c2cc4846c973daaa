// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf/asm"

	"dalio/checker/mutate/bytecode"
)

var (
	mutantsShare = flag.Float64("mutants.share", 0.004, "the share of the bytecode's mutants that TestMutants tries")
	mutantsSeed  = flag.Uint64("mutants.seed", 1, "what chooses them")
	mutantsOnly  = flag.String("mutants.only", "", "a pattern for the names of those that TestMutants tries")
	mutantsOut   = flag.String("mutants.out", "", "the file that TestMutants writes what became of them to, as JSON")
)

// mutantResult is what became of a mutant.
type mutantResult struct {
	Program string `json:"program"`
	bytecode.Mutant
	// By says what noticed the mutant: "" if nothing did.
	By string `json:"by,omitempty"`
	// Refused: the kernel's verifier does not take it.
	Refused bool `json:"refused,omitempty"`
}

// jury is what mutants of the coordinator program are judged by.
type jury struct {
	t       *testing.T
	corpus  *corpus
	benches map[string]*bench
	// sharp has, for each setting, the occasions that told mutants before, the last
	// of them first.
	sharp map[string][]*occasion
}

// mostSharp is how many of them are remembered.
const mostSharp = 200

func newJury(t *testing.T, c *corpus) *jury {
	t.Helper()
	j := &jury{t: t, corpus: c, benches: map[string]*bench{}, sharp: map[string][]*occasion{}}
	for _, s := range settings() {
		b, err := newBench(s)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := b.close(); err != nil {
				t.Error(err)
			}
		})
		j.benches[s.name] = b
	}
	return j
}

// judge says what notices that a program is not the coordinator's: "" if nothing
// does. It returns errRefused for one that the verifier refuses.
func (j *jury) judge(program asm.Instructions) (by string, err error) {
	for _, s := range settings() {
		b := j.benches[s.name]
		loaded, err := b.load(program)
		if err != nil {
			return "", err
		}
		b.dp.objects.Coordinator = loaded
		by, _ := j.hear(b)
		err = errors.Join(loaded.Close(), b.reset())
		if by != "" || err != nil {
			return by, err
		}
	}
	return "", nil
}

// hear has the bench's program tried by all that fits its setting. It returns what
// noticed something, and what that was.
func (j *jury) hear(b *bench) (by, complaint string) {
	name := b.setting.name
	switch {
	case b.setting.options.Self == self:
		return j.replay(b)
	case !b.setting.stands():
		if complaint := underRealClock(b); complaint != "" {
			return name, complaint
		}
		if complaint := b.nonces(); complaint != "" {
			return "nonces", complaint
		}
		return "", ""
	}
	sharp := j.sharp[name]
	for i, o := range sharp {
		if complaint := b.play(o); complaint != "" {
			copy(sharp[1:i+1], sharp[:i])
			sharp[0] = o
			return "corpus, " + name, complaint
		}
	}
	some := j.corpus.occasions[name]
	for i := range some {
		if complaint := b.play(&some[i]); complaint != "" {
			j.sharp[name] = append([]*occasion{&some[i]}, sharp[:min(len(sharp), mostSharp)]...)
			return "corpus, " + name, complaint
		}
	}
	return "", ""
}

// replay has the bench's program tried by what was written for it.
func (j *jury) replay(b *bench) (by, complaint string) {
	for _, h := range hazards() {
		if complaints := play(j.t, b.dp, h.run); len(complaints) != 0 {
			return "hazard " + h.name, complaints[0]
		}
	}
	for i, s := range j.corpus.scripts {
		if complaint, line := s.replay(b.dp); complaint != "" {
			return "walks", fmt.Sprintf("walk %d, line %d: %s", i, line, complaint)
		}
	}
	var err error
	b.counted, err = b.dp.readCounters()
	if err != nil {
		return "counters", err.Error()
	}
	return "", ""
}

// TestMutants has the jury judge mutants of the programs. The original must pass, and
// of the mutants that the kernel takes more must be noticed than not.
func TestMutants(t *testing.T) {
	corpus := newCorpus(t)
	spec, err := embedded(false)
	if err != nil {
		t.Fatal(err)
	}
	program := spec.Programs[coordinatorProgCoordinator].Instructions
	only, err := regexp.Compile(*mutantsOnly)
	if err != nil {
		t.Fatal(err)
	}
	all := slices.DeleteFunc(bytecode.Mutants(program, bytecode.Lines(program)), func(m bytecode.Mutant) bool {
		return !bytecode.Chosen(m.Name, *mutantsSeed, *mutantsShare) || !only.MatchString(m.Name)
	})
	results := make([]mutantResult, len(all))
	var next atomic.Int64
	var workers sync.WaitGroup
	began := time.Now()
	for range runtime.GOMAXPROCS(0) {
		j := newJury(t, corpus)
		if by, err := j.judge(program); by != "" || err != nil {
			t.Fatalf("the program itself: %q, %v", by, err)
		}
		workers.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(all) {
					return
				}
				by, err := j.judge(all[i].Apply(program))
				if err != nil && !errors.Is(err, errRefused) {
					t.Error(err)
					return
				}
				results[i] = mutantResult{Program: "coordinator", Mutant: all[i], By: by, Refused: err != nil}
			}
		})
	}
	workers.Wait()
	killed, lived := 0, 0
	for _, r := range results {
		switch {
		case r.Refused:
		case r.By != "":
			killed++
		default:
			lived++
		}
	}
	t.Logf("%d mutants: %d refused, %d noticed, %d not, in %v", len(all), len(all)-killed-lived, killed, lived, time.Since(began))
	if killed <= lived {
		t.Errorf("%d mutants are noticed, and %d are not", killed, lived)
	}
	if *mutantsOut != "" {
		text, err := json.MarshalIndent(results, "", " ")
		if err == nil {
			err = os.WriteFile(*mutantsOut, text, 0o644)
		}
		if err != nil {
			t.Error(err)
		}
	}
}
