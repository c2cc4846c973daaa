// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Workload is one kind of load.
type Workload struct {
	Name string
	Work Work
}

// Workloads are those of the contracted ratios.
func (s Settings) Workloads() []Workload {
	return []Workload{
		{"read", Work{Writes: 0}},
		{fmt.Sprintf("write%d", s.Replicas), Work{Writes: 1000}},
		{"mixed95", Work{Writes: 50}},
	}
}

// echoWorkload is for an echo, which knows no reads and writes.
var echoWorkload = Workload{"echo", Work{Echo: true}}

// Timing says how a sample is taken.
type Timing struct {
	// Warm is the load before the sample, and Window the length of it.
	Warm   time.Duration
	Window time.Duration
	// Awake is the program that keeps processors from falling idle: Programs.Awake.
	Awake string
}

// longest is when all load has ended, whatever happens.
func (t Timing) longest() time.Duration { return t.Warm + t.Window + 10*time.Second }

// Sample is one measurement of one contender.
type Sample struct {
	Round     int    `json:"round"`
	Contender string `json:"contender"`
	Workload  string `json:"workload"`
	// Lanes is how many clients there were, each with one request open.
	Lanes int `json:"lanes"`
	// CPU is the coordinator's processor time per operation, in nanoseconds.
	CPU float64 `json:"cpu_ns_per_operation"`
	// Rate is completed operations per second.
	Rate float64 `json:"operations_per_second"`
	// Packets is frames in and out of the coordinator's device per second.
	Packets float64 `json:"packets_per_second"`
	// Busy is the share of the window that the coordinator's processor worked for
	// it, and Outside that of the surroundings.
	Busy    float64 `json:"coordinator_busy"`
	Outside float64 `json:"surroundings_busy"`
	// Foreign is the share of the window that the coordinator's processor worked
	// for others, by the kernel's statistics, which are accurate to a few hundredths.
	Foreign float64 `json:"foreign_busy"`
	// Operations were completed in the window.
	Operations uint64 `json:"operations"`
	// Hops is how many reads were forwarded again because of the gate.
	Hops uint64 `json:"gated_reads_forwarded_again"`
	// Latency is nil if the operations were not timed.
	Latency *Latency `json:"latency,omitempty"`
}

// instant is the state of all counters at one moment.
type instant struct {
	at              time.Time
	counts          Counts
	inside, outside time.Duration
	// processor is what the coordinator's processor worked, for whomever.
	processor time.Duration
	times     histogram
}

// Measure takes one sample at a site of its own.
func Measure(ctx context.Context, s Settings, c Contender, w Workload, t Timing) (sample Sample, err error) {
	if w.Work.Timed {
		s.Lanes = 1
	}
	if s.Lanes == 0 {
		s.Lanes = s.lanesFor(w.Work)
	}
	site, err := NewSite(s)
	if err != nil {
		return Sample{}, err
	}
	defer site.Close()
	running, err := c.Start(site)
	if err != nil {
		return Sample{}, fmt.Errorf("start %s: %w", c.Name(), err)
	}
	defer func() { err = errors.Join(err, running.Close()) }()
	thread, err := site.receiver(site.coordinatorName, s.CoordinatorCPU)
	if err != nil {
		return Sample{}, err
	}
	around, err := Surround(site, c.Knows())
	if err != nil {
		return Sample{}, err
	}
	defer func() { err = errors.Join(err, around.Close()) }()

	inside := append(running.Processes(), thread)
	for _, pid := range append(inside, around.thread) {
		if err := prefer(pid); err != nil {
			return Sample{}, err
		}
	}
	// The coordinator's own is busy unless there is one request at a time.
	idle := []int{s.SurroundingsCPU}
	if w.Work.Timed {
		idle = append(idle, s.CoordinatorCPU)
	}
	var before, after instant
	err = site.Do(func() (err error) {
		awake, err := keepAwake(t.Awake, t.longest(), idle...)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, awake.end()) }()
		before, after, err = around.conduct(ctx, w.Work, inside, awake, t)
		return err
	})
	if err != nil {
		return Sample{}, fmt.Errorf("%s, %s: %w", c.Name(), w.Name, err)
	}
	sample, err = before.until(after, c.Name(), w.Name)
	sample.Lanes = s.Lanes
	if w.Work.Timed {
		sample.Latency = after.times.minus(&before.times).latency()
	}
	return sample, err
}

// conduct makes the load, and looks at all counters at both ends of the window.
// It runs on the site's thread, which the load must not hold up.
func (s *Surroundings) conduct(ctx context.Context, w Work, inside []int, awake wakers, t Timing) (before, after instant, err error) {
	if err := preempt(s.site.Settings.SurroundingsCPU); err != nil {
		return before, after, err
	}
	// Whatever happens, nothing keeps the processors busy afterwards.
	defer func() { err = errors.Join(err, s.order(func(o *surroundingsOrders) { o.Stop = 1 })) }()
	defer func() { err = errors.Join(err, awake.kill()) }()
	if err := awake.rise(); err != nil {
		return before, after, err
	}
	if err := s.prepare(ctx, w, t.longest()); err != nil {
		return before, after, err
	}
	if err := pause(ctx, t.Warm); err != nil {
		return before, after, err
	}
	if before, err = s.look(inside); err != nil {
		return before, after, err
	}
	if err := pause(ctx, t.Window); err != nil {
		return before, after, err
	}
	if after, err = s.look(inside); err != nil {
		return before, after, err
	}
	return before, after, s.Stop()
}

// prepare has lanes write all keys, unless nothing can be written, and then all lanes do
// the work.
func (s *Surroundings) prepare(ctx context.Context, w Work, longest time.Duration) error {
	if s.knows == Nothing {
		if err := s.begin(w, longest); err != nil {
			return err
		}
		return s.awaitTurns(ctx, 10*s.site.Settings.Lanes)
	}
	fill := Work{Writes: 1000, InTurn: true, Echo: w.Echo}
	// A write has a frame for each replica on its way, so no more lanes can write
	// than rings have room for; the others begin when the keys are filled.
	lanes := s.site.Settings.Lanes
	first := min(lanes, s.site.Settings.lanesFor(fill))
	if err := s.Change(fill, longest); err != nil {
		return err
	}
	if err := s.seed(!w.Echo, 0, first); err != nil {
		return err
	}
	// Several lanes don't advance evenly.
	rounds := 2
	if lanes == 1 {
		rounds = 1
	}
	if err := s.awaitOperations(ctx, uint64(rounds*s.site.Settings.registers())); err != nil {
		return err
	}
	if w.Pending > 0 {
		if err := s.leavePending(ctx, w, first, longest); err != nil {
			return err
		}
		first = w.Pending
	}
	if err := s.Change(w, longest); err != nil {
		return err
	}
	if w.Pending == 0 {
		if err := s.awaitTurns(ctx, 10*first); err != nil {
			return err
		}
	}
	if err := s.seed(!w.Echo && w.Pending == 0, first, lanes); err != nil {
		return err
	}
	if w.Pending > 0 {
		return s.awaitTurns(ctx, 10*(lanes-first))
	}
	return nil
}

// leavePending has each of the first w.Pending lanes send a write that stays pending. The
// first of them, which have filled the keys, end before.
func (s *Surroundings) leavePending(ctx context.Context, w Work, first int, longest time.Duration) error {
	if s.site.Settings.Replicas < 2 || w.Pending < first || w.Pending > s.site.Settings.Keys || w.Pending > s.site.Settings.Lanes {
		return fmt.Errorf("%w: %d pending writes of %d keys by %d lanes to %d replicas; want %d or more, one for a key and a lane, and two replicas",
			ErrSettings, w.Pending, s.site.Settings.Keys, s.site.Settings.Lanes, s.site.Settings.Replicas, first)
	}
	if err := s.order(func(o *surroundingsOrders) { o.Stop = 1 }); err != nil {
		return err
	}
	if err := s.awaitCount(ctx, "lanes that end", uint64(first), func(c *Counts) uint64 { return c.Parked }); err != nil {
		return err
	}
	s.ended, s.pending = first, w.Pending
	c, err := s.Counts()
	if err != nil {
		return err
	}
	err = s.Change(Work{Writes: 1000, Pending: w.Pending}, longest)
	if err == nil {
		err = s.order(func(o *surroundingsOrders) { o.Choice = choiceOwn })
	}
	if err != nil {
		return err
	}
	// A few at a time, so that no ring overflows: each write has a frame for each replica.
	const few = 32
	for from := 0; from < w.Pending; {
		to := min(from+few, w.Pending)
		if from < first {
			to = min(to, first)
		}
		if err := s.seed(from >= first, from, to); err != nil {
			return err
		}
		err := s.awaitCount(ctx, "writes at the first replica", c.Applied[0]+uint64(to), func(c *Counts) uint64 { return c.Applied[0] })
		if err != nil {
			return err
		}
		from = to
	}
	return nil
}

// pause sleeps on the calling thread: a goroutine that sleeps is woken by
// others, which may have to wait for the load.
func pause(ctx context.Context, d time.Duration) error {
	const slice = 50 * time.Millisecond
	for end := time.Now().Add(d); ; {
		left := time.Until(end)
		if left <= 0 || ctx.Err() != nil {
			return ctx.Err()
		}
		nap := unix.NsecToTimespec(min(left, slice).Nanoseconds())
		if err := unix.Nanosleep(&nap, nil); err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("sleep: %w", err)
		}
	}
}

// awaitOperations waits until so many operations are complete.
func (s *Surroundings) awaitOperations(ctx context.Context, n uint64) error {
	return s.awaitCount(ctx, "operations", n, (*Counts).Operations)
}

// awaitCount waits until so much has been counted.
func (s *Surroundings) awaitCount(ctx context.Context, what string, n uint64, of func(*Counts) uint64) error {
	const patience = 5 * time.Second
	for deadline := time.Now().Add(patience); ; {
		c, err := s.Counts()
		if err != nil {
			return err
		}
		if of(&c) >= n {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d %s of %d after %v: %w", of(&c), what, n, patience, c.verdict(s.site.Settings.Lanes))
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			return err
		}
	}
}

// awaitTurns waits for so many more operations, in which all lanes end what they
// were doing.
func (s *Surroundings) awaitTurns(ctx context.Context, n int) error {
	c, err := s.Counts()
	if err != nil {
		return err
	}
	return s.awaitOperations(ctx, c.Operations()+uint64(n))
}

// look reads all counters. What it reads must be of one moment, so it looks
// again when something came between.
func (s *Surroundings) look(inside []int) (instant, error) {
	const moment, tries = 200 * time.Microsecond, 20
	for try := 1; ; try++ {
		i, err := s.glance(inside)
		if err != nil || time.Since(i.at) < moment {
			return i, err
		}
		if try == tries {
			return i, fmt.Errorf("the counters could not be read within %v: the machine is too busy", moment)
		}
	}
}

func (s *Surroundings) glance(inside []int) (instant, error) {
	var err error
	i := instant{}
	if i.processor, err = processorTime(s.site.Settings.CoordinatorCPU); err != nil {
		return i, err
	}
	i.at = time.Now()
	for _, pid := range inside {
		used, err := cpuTime(pid)
		if err != nil {
			return i, err
		}
		i.inside += used
	}
	if i.counts, err = s.Counts(); err != nil {
		return i, err
	}
	if err := s.objects.Times.Get(&i.times); err != nil {
		return i, fmt.Errorf("read the times of operations: %w", err)
	}
	i.outside, err = cpuTime(s.thread)
	return i, err
}

func (i instant) until(end instant, contender, workload string) (Sample, error) {
	operations := end.counts.Operations() - i.counts.Operations()
	if operations == 0 {
		return Sample{}, fmt.Errorf("%s, %s: no operation completed", contender, workload)
	}
	took := end.at.Sub(i.at)
	return Sample{
		Contender: contender, Workload: workload, Operations: operations,
		CPU:     float64(end.inside-i.inside) / float64(operations),
		Rate:    float64(operations) / took.Seconds(),
		Packets: float64(end.counts.In-i.counts.In+end.counts.Out-i.counts.Out) / took.Seconds(),
		Busy:    float64(end.inside-i.inside) / float64(took),
		Outside: float64(end.outside-i.outside) / float64(took),
		Foreign: max(0, float64(end.processor-i.processor-(end.inside-i.inside))/float64(took)),
		Hops:    end.counts.Hops - i.counts.Hops,
	}, nil
}
