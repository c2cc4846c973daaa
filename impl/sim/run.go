// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"crypto/sha256"
	"io"
	"slices"
	"time"

	"dalio/bpf"
	"dalio/checker/linear"
	"dalio/traces"
)

// Result is what came of a run.
type Result struct {
	Seed                   uint64
	Plan                   Plan
	Operations, Deliveries int
	// Lasted is the simulated time.
	Lasted   time.Duration
	Coverage *Coverage
	// Digest is that of the event log, Log and History what happened.
	Digest  [sha256.Size]byte
	Log     []byte
	History []traces.Event
	// Err is what must not have happened, nil if nothing did.
	Err error
}

// Run runs a plan, and audits it. The rigs are those of the coordinators, by
// RigOptions; they are as good as new afterwards.
func Run(seed uint64, p Plan, rigs []*bpf.Rig) *Result {
	w := newWorld(seed, p, rigs)
	w.run()
	lasted := w.now
	w.end()
	if w.err == nil {
		w.audit()
	}
	return &Result{Seed: seed, Plan: p, Operations: w.operations, Deliveries: w.deliveries, Lasted: lasted, Coverage: w.cover,
		Digest: sha256.Sum256(w.log), Log: w.log, History: slices.Clip(w.history), Err: w.err}
}

// audit judges what the clients saw.
func (w *world) audit() {
	report, err := linear.Check(context.Background(), &historySource{events: w.history}, linear.Options{Workers: 1, Timeout: time.Minute})
	if err != nil {
		w.fail("the history can't be audited: %v", err)
		return
	}
	if report.Verdict == linear.Linearizable {
		return
	}
	for _, k := range report.Keys {
		if k.Verdict != linear.Linearizable {
			w.fail("key %s is %s: %s", k.Key, k.Verdict, k.Why)
		}
	}
}

// historySource is a history in memory.
type historySource struct{ events []traces.Event }

func (s *historySource) Next() (traces.Event, error) {
	if len(s.events) == 0 {
		return traces.Event{}, io.EOF
	}
	e := s.events[0]
	s.events = s.events[1:]
	return e, nil
}
