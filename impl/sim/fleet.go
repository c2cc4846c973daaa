// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Fleet runs many seeds, several at a time.
type Fleet struct {
	// First is the first seed, and Seeds how many there are.
	First, Seeds uint64
	// Workers is how many run at a time, each on a processor of its own.
	Workers int
	// Object is a data plane in place of the one that is shipped.
	Object string
	// Notify is called after each seed, one call at a time.
	Notify func(done uint64)
}

// Summary is what came of many runs.
type Summary struct {
	Seeds                    uint64
	Operations, Deliveries   int
	LeastOperations          int
	MedianOperations         int
	LeastDeliveries, Faulted int
	Simulated, Took          time.Duration
	Coverage                 *Coverage
	// Failed is the lowest seed that failed, nil if none did. The seeds below it have
	// all been run.
	Failed *Result
}

// Run runs the seeds, up to the first that fails.
func (f *Fleet) Run(ctx context.Context) (*Summary, error) {
	began := time.Now()
	s := &Summary{Coverage: newCoverage()}
	var next atomic.Uint64
	var mu sync.Mutex
	var operations []int
	errs := make([]error, f.Workers)
	var all sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for n := range f.Workers {
		all.Go(func() {
			p, err := NewPlayer(n, f.Object)
			if err != nil {
				errs[n] = err
				cancel()
				return
			}
			defer func() { errs[n] = errors.Join(errs[n], p.Close()) }()
			for ctx.Err() == nil {
				seed := next.Add(1) - 1
				mu.Lock()
				stop := seed >= f.Seeds || s.Failed != nil && s.Failed.Seed < f.First+seed
				mu.Unlock()
				if stop {
					return
				}
				r := p.Play(f.First+seed, MakePlan(f.First+seed))
				mu.Lock()
				s.add(r)
				operations = append(operations, r.Operations)
				if f.Notify != nil {
					f.Notify(s.Seeds)
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	slices.Sort(operations)
	if len(operations) > 0 {
		s.LeastOperations, s.MedianOperations = operations[0], operations[len(operations)/2]
	}
	s.Took = time.Since(began)
	return s, ctx.Err()
}

func (s *Summary) add(r *Result) {
	if s.Seeds == 0 || r.Deliveries < s.LeastDeliveries {
		s.LeastDeliveries = r.Deliveries
	}
	s.Seeds++
	s.Operations += r.Operations
	s.Deliveries += r.Deliveries
	s.Simulated += r.Lasted
	if len(r.Coverage.Faults) > 0 {
		s.Faulted++
	}
	s.Coverage.Add(r.Coverage)
	if r.Err != nil && (s.Failed == nil || r.Seed < s.Failed.Seed) {
		s.Failed = r
	}
}
