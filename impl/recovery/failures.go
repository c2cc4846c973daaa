// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"dalio/impl/cluster"
	"dalio/impl/fabric"
	"dalio/impl/load"
)

// What is promised, in milliseconds.
const (
	// From SIGKILL of a replica to the next committed write.
	killMedian, killP99 = 100, 300
	// From the loss of the coordinator's host to service by another.
	hostP99 = 1000
	// The longest gap that the death of the control plane may make. Nothing of it is
	// on the path of a request; this is what starting a process beside the load may
	// cost on two processors that others use too; a failover would take longer.
	controlGap = 250
)

// without is for how long the shard is left without a control plane.
const without = 200 * time.Millisecond

// failure is one way to fail.
type failure struct {
	// fail has the shard fail for the i'th time, and returns what has failed, and
	// what mends it, when the failure is complete.
	fail func(s *site, i int, h cluster.Health) (what string, mend func(context.Context) error, err error)
	// read: reads need to recover too.
	read bool
	// lasts is for how long it goes on at least.
	lasts time.Duration
}

// repeat has the shard fail again and again under load, and recover in between.
func repeat(ctx context.Context, o *Options, part *Part, times int, f failure) error {
	part.Load = o.describe()
	w := load.Workload{Keys: o.Keys, Skew: 0.99, Writes: 0.5, ValueSize: 32, Seed: o.Seed}
	return measure(ctx, o, part, w, o.Rate, nil, func(ctx context.Context, s *site) error {
		last := time.Now()
		for i := range times {
			sample, err := s.once(ctx, f, i)
			if err != nil {
				return fmt.Errorf("failure %d of %d (%s): %w", i+1, times, sample.Failed, err)
			}
			part.Samples = append(part.Samples, sample)
			if time.Since(last) > progressEvery || i == times-1 {
				last = time.Now()
				s.progress("  %3d of %d: first write after %.1f ms, whole after %.0f ms; %d operations so far",
					i+1, times, sample.Write, sample.Whole, s.timeline.Count())
			}
		}
		return nil
	}, nil)
}

// once has the shard fail once.
func (s *site) once(ctx context.Context, f failure, i int) (sample Sample, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	health, err := s.awaitWhole(ctx)
	if err != nil {
		return sample, err
	}
	s.sleep(ctx, steady)
	index, begun := s.timeline.Count(), s.timeline.Now()
	what, mend, err := f.fail(s, i, health)
	failed := s.timeline.Now()
	sample.Failed = what
	defer func() {
		if mend != nil {
			err = errors.Join(err, mend(context.WithoutCancel(ctx)))
		}
	}()
	if err != nil {
		return sample, err
	}
	write, err := s.timeline.Await(ctx, index, true, failed)
	if err != nil {
		return sample, err
	}
	sample.Write = milliseconds(write.Ended - begun)
	if f.read {
		read, err := s.timeline.Await(ctx, index, false, failed)
		if err != nil {
			return sample, err
		}
		sample.Read = milliseconds(read.Ended - begun)
	}
	s.sleep(ctx, f.lasts-(s.timeline.Now()-failed))
	err, mend = mend(ctx), nil
	if err != nil {
		return sample, err
	}
	if health, err = s.awaitWhole(ctx); err != nil {
		return sample, err
	}
	whole := s.timeline.Now()
	sample.Whole, sample.Epoch = milliseconds(whole-begun), health.Status.Epoch
	sample.Gap = milliseconds(Gap(s.timeline.from(index), begun, whole))
	return sample, nil
}

// ReplicaKilled kills replicas, one after the other, that many times.
func ReplicaKilled(ctx context.Context, o *Options, times int) (*Part, error) {
	p := &Part{Name: "replica-killed", Title: "a replica is killed (SIGKILL) and started again"}
	err := repeat(ctx, o, p, times, failure{fail: func(s *site, i int, _ cluster.Health) (string, func(context.Context) error, error) {
		return s.kill(s.View().Replicas[i%o.Replicas])
	}})
	if err != nil {
		return p, err
	}
	p.sumUp(firstWrite, longestGap, wholeAgain)
	p.atMost("first write, median", p.Times[firstWrite].Median, killMedian, " ms")
	p.atMost("first write, p99", p.Times[firstWrite].P99, killP99, " ms")
	return p, nil
}

// HostLost has the active coordinator's host disappear that many times: no frame
// passes its link, its process is killed, and its program is gone. It comes back
// when another coordinator serves.
func HostLost(ctx context.Context, o *Options, times int) (*Part, error) {
	p := &Part{Name: "host-lost", Title: "the coordinator's host is lost (links, process and program), and another coordinator takes over"}
	err := repeat(ctx, o, p, times, failure{read: true, fail: func(s *site, _ int, h cluster.Health) (string, func(context.Context) error, error) {
		cut := errors.Join(h.Active.Node.Cut(fabric.FromNode), h.Active.Node.Cut(fabric.ToNode))
		name, restart, err := s.kill(h.Active)
		mend := func(ctx context.Context) error {
			return errors.Join(h.Active.Node.Mend(fabric.FromNode), h.Active.Node.Mend(fabric.ToNode), restart(ctx))
		}
		return name, mend, errors.Join(cut, err, cluster.DetachProgram(h.Active.Node))
	}})
	if err != nil {
		return p, err
	}
	p.sumUp(firstWrite, firstRead, longestGap, wholeAgain)
	p.atMost("first write, p99", p.Times[firstWrite].P99, hostP99, " ms")
	p.atMost("first read, p99", p.Times[firstRead].P99, hostP99, " ms")
	return p, nil
}

// ControlPlaneKilled kills the active control plane alone that many times. The
// program in the kernel serves on, and the next process adopts it.
func ControlPlaneKilled(ctx context.Context, o *Options, times int) (*Part, error) {
	p := &Part{Name: "control-plane-killed", Title: "the control plane alone is killed (SIGKILL), and its successor adopts the program"}
	err := repeat(ctx, o, p, times, failure{read: true, lasts: without, fail: func(s *site, _ int, h cluster.Health) (string, func(context.Context) error, error) {
		return s.kill(h.Active)
	}})
	if err != nil {
		return p, err
	}
	p.sumUp(longestGap, wholeAgain)
	taken := 0
	for _, s := range p.Samples {
		taken = max(taken, int(s.Epoch)-1)
	}
	p.atMost("requests that failed or are unknown", float64(p.unserved()), 0, "")
	p.atMost("programs that were not adopted", float64(taken), 0, "")
	p.atMost("longest gap, the worst", p.Times[longestGap].Max, controlGap, " ms")
	return p, nil
}

// kill ends a process and waits until it is gone.
func (s *site) kill(p *cluster.Process) (name string, mend func(context.Context) error, err error) {
	return p.Name, func(ctx context.Context) error { return s.restart(ctx, p) }, p.Kill()
}

// The names of the distributions.
const (
	firstWrite = "first write"
	firstRead  = "first read"
	longestGap = "longest gap"
	wholeAgain = "all replicas serve again"
)

func (p *Part) sumUp(names ...string) {
	of := map[string]func(Sample) float64{
		firstWrite: func(s Sample) float64 { return s.Write }, firstRead: func(s Sample) float64 { return s.Read },
		longestGap: func(s Sample) float64 { return s.Gap }, wholeAgain: func(s Sample) float64 { return s.Whole },
	}
	p.Times = map[string]Distribution{}
	for _, name := range names {
		p.Times[name] = distribution(p.Samples, of[name])
	}
}
