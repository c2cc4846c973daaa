// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"dalio/checker/evidence"
)

type options struct {
	packets, seed       uint64
	workers             int
	dir, object, readme string
	interval            time.Duration
}

var errStopped = errors.New("stopped before the end; the same command goes on from here")

// run has the workers play episodes until there were enough packets, one of them
// finds a difference, or somebody wants it to stop.
func run(o options, stop <-chan os.Signal) error {
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return err
	}
	p, err := resume(o)
	if err != nil {
		return err
	}
	if p.packets() > 0 {
		fmt.Printf("fuzz-packets: going on after %d packets\n", p.packets())
	}
	start, before := time.Now(), p.packets()
	var done atomic.Bool
	var wg sync.WaitGroup
	errs := make([]error, o.workers)
	for i := range o.workers {
		wg.Go(func() {
			errs[i] = work(o, p, i, &done)
			if errs[i] != nil {
				done.Store(true)
			}
		})
	}
	ended := make(chan struct{})
	go func() { wg.Wait(); close(ended) }()
	stopped := watch(o, p, stop, ended, &done)
	rate := float64(p.packets()-before) / time.Since(start).Seconds()
	if err := errors.Join(append(errs, p.save(o))...); err != nil {
		return err
	}
	if stopped {
		return errStopped
	}
	return p.conclude(o, rate)
}

// watch tells and saves the progress until the workers have ended.
func watch(o options, p *progress, stop <-chan os.Signal, ended <-chan struct{}, done *atomic.Bool) (stopped bool) {
	ticker := time.NewTicker(o.interval)
	defer ticker.Stop()
	last, at := p.packets(), time.Now()
	for {
		select {
		case <-ended:
			return stopped
		case <-stop:
			stopped = true
			done.Store(true)
		case <-ticker.C:
			now := p.packets()
			fmt.Printf("fuzz-packets: %d packets, %.0f a second\n", now, float64(now-last)/time.Since(at).Seconds())
			last, at = now, time.Now()
			if err := p.save(o); err != nil {
				fmt.Fprintln(os.Stderr, "fuzz-packets:", err)
			}
		}
	}
}

// work plays every episode that is this worker's.
func work(o options, p *progress, worker int, done *atomic.Bool) error {
	e, err := newPlayer(o.object)
	if err != nil {
		return err
	}
	defer e.close()
	for !done.Load() && p.packets() < o.packets {
		number := p.next(worker)*uint64(o.workers) + uint64(worker)
		n, err := e.play(o.seed, number, nil)
		if err != nil {
			return explain(o, e, number, err)
		}
		p.played(worker, n, &e.seen)
	}
	return nil
}

// explain plays an episode with a difference again, to write down what led to it.
func explain(o options, e *player, number uint64, cause error) error {
	var script script
	if _, err := e.play(o.seed, number, &script); err == nil {
		return fmt.Errorf("seed %d, episode %d: %w (it did not come again)", o.seed, number, cause)
	}
	path, err := script.write(o.dir)
	return errors.Join(fmt.Errorf("seed %d, episode %d, packet %d: %w\nthe script is in %s: make it a case in bpf/testdata/regressions",
		o.seed, number, script.frames, cause, path), err)
}

// conclude prints the last line.
func (p *progress) conclude(o options, rate float64) error {
	summary := fmt.Sprintf("%d packets from seed %d at commit %s, %d sequenced, %d committed, %d reads released, %d gated, every reason to drop met; no difference",
		p.packets(), o.seed, p.Commit, p.Seen[sequenced], p.Seen[committed], p.Seen[released], p.Seen[gated])
	if err := p.missed(); err != nil {
		return err
	}
	fmt.Printf("fuzz-packets: %s (%.0f a second)\n", summary, rate)
	if o.readme == "" {
		return nil
	}
	return evidence.Write(o.readme, "packets", summary)
}
