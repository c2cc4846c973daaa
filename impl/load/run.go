// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"dalio/traces"
)

// Answer is what a client saw of one operation.
type Answer struct {
	// Outcome is traces.OK, traces.Fail (it did not happen) or traces.Info
	// (unknown).
	Outcome string
	// Value is what a read returned, if it Found the key.
	Value string
	Found bool
	// Version is that of the write, or of the value read; nil if that is not told.
	Version *traces.Version
	// Replica is the id of the replica that answered a read.
	Replica uint32
	// Retries is how often the request was sent again, and Hops how often the
	// gate sent the read on to another replica.
	Retries int
	Hops    int
	// Err is the reason for an outcome other than OK.
	Err error
}

// Client does one operation at a time: f is traces.Read, Write or Delete.
type Client interface {
	Do(ctx context.Context, f, key, value string) Answer
}

// Options says how a workload is run.
type Options struct {
	// Clients run concurrently, each one operation after the other.
	Clients []Client
	// Recorder gets the history; nil records nothing.
	Recorder *traces.Recorder
	// Operations is how many operations end the run, all clients together, and
	// Longest the time after which no more are begun; 0 is no limit.
	Operations int
	Longest    time.Duration
	// Rate, if not 0, is how many operations a second are begun, whether or not those
	// before have ended: an open loop. Each is due at a time of its own, from which its
	// latency counts, and is begun then or as soon as a client is free. It needs Longest.
	Rate float64
	// Stop, when closed, has no more begun; those under way are ended. Nil is never.
	Stop <-chan struct{}
	// Deadline bounds each operation.
	Deadline time.Duration
	// Progress, if set, is called every Interval.
	Progress func(Progress)
	Interval time.Duration
}

// Progress is a look at a run under way.
type Progress struct {
	Elapsed    time.Duration
	Operations int
	Unknown    int
}

// Run drives the workload until its operations are done, or the longest time is
// over, or it is stopped, or the context ends; that cuts operations short, and is not an error.
func Run(ctx context.Context, w Workload, o Options) (*Report, error) {
	if err := w.Check(); err != nil {
		return nil, err
	}
	if len(o.Clients) == 0 || o.Deadline <= 0 {
		return nil, errors.New("load: needs at least one client and a deadline for operations")
	}
	if o.Rate < 0 || o.Rate > 0 && o.Longest <= 0 {
		return nil, errors.New("load: a rate must be positive, and needs an end")
	}
	r := &run{o: o, zipf: NewZipf(w.Keys, w.Skew), start: time.Now()}
	r.process.Store(int64(len(o.Clients)))
	if o.Rate > 0 {
		scheduled, cancel := context.WithCancel(ctx)
		defer cancel()
		r.schedule = begin(scheduled, o.Rate, o.Longest, w.Seed)
	}
	reports := make([]*Report, len(o.Clients))
	var wg sync.WaitGroup
	for i, c := range o.Clients {
		reports[i] = newReport()
		wg.Go(func() { r.drive(ctx, newChoices(w, r.zipf, i), c, reports[i]) })
	}
	stop := r.watch()
	wg.Wait()
	stop()
	total := newReport()
	for _, report := range reports {
		total.merge(report)
	}
	total.Elapsed = time.Since(r.start)
	if o.Recorder != nil {
		if err := o.Recorder.Err(); err != nil {
			return nil, fmt.Errorf("load: %w", err)
		}
	}
	return total, nil
}

// run is what the clients of one run share.
type run struct {
	o     Options
	zipf  *Zipf
	start time.Time
	// schedule is nil in a closed loop.
	schedule *schedule
	begun    atomic.Int64
	ended    atomic.Int64
	unknown  atomic.Int64
	// process counts the processes of the history. One whose operation ended
	// unknown is not used again, and its client goes on under a new number.
	process atomic.Int64
}

func (r *run) drive(ctx context.Context, c *choices, client Client, report *Report) {
	process := c.client
	for ctx.Err() == nil {
		start, more := r.another()
		if !more {
			return
		}
		op := c.next()
		r.invoke(process, op)
		report.late(time.Since(start))
		opCtx, cancel := context.WithTimeout(ctx, r.o.Deadline)
		a := client.Do(opCtx, op.f, op.key, op.value)
		cancel()
		report.add(op.f, a, time.Since(start))
		r.complete(process, a)
		r.ended.Add(1)
		if a.Outcome == traces.Info {
			r.unknown.Add(1)
			process = int(r.process.Add(1)) - 1
		}
	}
}

// another waits until one more operation is due, and says since when it is, or that
// there are no more.
func (r *run) another() (due time.Time, more bool) {
	// What is due is begun, be it late: to leave it out would leave out the slowest.
	if r.schedule == nil && r.o.Longest > 0 && time.Since(r.start) >= r.o.Longest {
		return due, false
	}
	select {
	case <-r.o.Stop:
		return due, false
	default:
	}
	if r.o.Operations != 0 && r.begun.Add(1) > int64(r.o.Operations) {
		return due, false
	}
	if r.schedule == nil {
		return time.Now(), true
	}
	due, more = <-r.schedule.due
	return due, more
}

func (r *run) invoke(process int, op operation) {
	if r.o.Recorder == nil {
		return
	}
	var value *string
	if op.f == traces.Write {
		value = &op.value
	}
	r.o.Recorder.Invoke(process, op.f, op.key, value)
}

func (r *run) complete(process int, a Answer) {
	if r.o.Recorder == nil {
		return
	}
	var value *string
	if a.Found {
		value = &a.Value
	}
	r.o.Recorder.CompleteVersion(process, a.Outcome, value, a.Version)
}

// watch reports progress until the function it returns is called.
func (r *run) watch() (stop func()) {
	if r.o.Progress == nil || r.o.Interval <= 0 {
		return func() {}
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		ticker := time.NewTicker(r.o.Interval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				r.o.Progress(Progress{time.Since(r.start), int(r.ended.Load()), int(r.unknown.Load())})
			case <-done:
				return
			}
		}
	})
	return func() { close(done); wg.Wait() }
}
