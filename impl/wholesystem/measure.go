// SPDX-License-Identifier: Apache-2.0

package wholesystem

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"dalio/impl/bench"
	"dalio/impl/load"
	"dalio/traces"
)

// Sample is what came of one contender with one mix.
type Sample struct {
	Round     int    `json:"round"`
	Contender string `json:"contender"`
	Mix       string `json:"mix"`
	// Operations ended well in the window.
	Operations uint64 `json:"operations"`
	// Rate is operations a second.
	Rate float64 `json:"operations_per_second"`
	// CPU is the processor time of the whole machine per operation, in microseconds,
	// and Busy the share of the window that its processors worked. Only /proc/stat's
	// 10 ms are told apart.
	CPU  float64 `json:"machine_cpu_us_per_operation"`
	Busy float64 `json:"machine_busy"`
	// Retries counts requests that were sent again, in the window and before.
	Retries uint64 `json:"retries"`
	// Absent counts reads of keys that were said to be there and were not, which only one
	// who is not judged may have.
	Absent uint64 `json:"absent,omitempty"`
}

// lead has a contender coordinate the shard, in a new epoch.
func (s *shard) lead(ctx context.Context, c Contender) (io.Closer, error) {
	if err := s.advance(ctx); err != nil {
		return nil, err
	}
	running, err := c.start(s)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Name(), err)
	}
	return running, nil
}

// measure takes one sample. All keys must be filled.
func (s *shard) measure(ctx context.Context, o Settings, c Contender, m load.Mix, drawn []uint32) (sample Sample, err error) {
	coordinating, err := s.lead(ctx, c)
	if err != nil {
		return Sample{}, err
	}
	defer func() { err = errors.Join(err, coordinating.Close()) }()
	// No sample's inserts are another's.
	all := work{clients: o.Clients, sockets: o.Sockets, valueSize: o.ValueSize, insertPrefix: fmt.Sprintf("i%d-", s.epoch),
		source: sources(m, o, drawn)}
	r, err := s.drive(all)
	if err != nil {
		return Sample{}, err
	}
	before, after, err := r.watch(ctx, o)
	sum, stopErr := r.stop()
	absent := sum.absent
	if m.Latest && !c.Judged() {
		// It says that a key is inserted when one replica has it, and then asks another.
		sum.absent = 0
	}
	if err := errors.Join(err, stopErr, sum.verdict()); err != nil {
		return Sample{}, fmt.Errorf("%s, %s: %w", c.Name(), m.Name, err)
	}
	sample, err = before.until(after)
	sample.Contender, sample.Mix, sample.Retries, sample.Absent = c.Name(), m.Name, sum.retries, absent
	if err != nil {
		return Sample{}, fmt.Errorf("%s, %s: %w", c.Name(), m.Name, err)
	}
	return sample, nil
}

// instant is the state of all counters at one moment.
type instant struct {
	at         time.Time
	operations uint64
	busy       float64
}

// watch looks at all counters at both ends of the window.
func (r *running) watch(ctx context.Context, o Settings) (before, after instant, err error) {
	for _, step := range []struct {
		wait time.Duration
		look *instant
	}{{o.Warm, &before}, {o.Window, &after}} {
		select {
		case <-time.After(step.wait):
		case <-ctx.Done():
			return before, after, ctx.Err()
		}
		if step.look.busy, err = bench.MachineTime(); err != nil {
			return before, after, err
		}
		step.look.operations, step.look.at = r.operations(), time.Now()
	}
	return before, after, nil
}

func (i instant) until(end instant) (Sample, error) {
	n := end.operations - i.operations
	if n == 0 {
		return Sample{}, errors.New("no operation ended in the window")
	}
	took, busy := end.at.Sub(i.at).Seconds(), end.busy-i.busy
	return Sample{Operations: n, Rate: float64(n) / took, CPU: busy * 1e6 / float64(n), Busy: busy / took / float64(runtime.NumCPU())}, nil
}

// recordedKeys are so few that reads meet writes that are under way, and recordedPace
// is how many operations are recorded at most.
const recordedKeys = 200

// record records a short history of a contender on keys of its own, half of the
// operations writes, and returns the path.
func (s *shard) record(ctx context.Context, o Settings, c Contender, dir string) (path string, err error) {
	coordinating, err := s.lead(ctx, c)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, coordinating.Close()) }()
	path = filepath.Join(dir, "history-"+c.Name()+".jsonl")
	file, err := os.Create(path)
	if err != nil {
		return "", fmt.Errorf("record a history: %w", err)
	}
	recorder := traces.NewRecorder(file)
	drawn := drawKeys(recordedKeys)
	all := work{clients: o.Clients, sockets: o.Sockets, valueSize: o.ValueSize, prefix: fmt.Sprintf("e%d-", s.epoch), recorder: recorder,
		source: func(i int) source { return newMixed(load.Mix{Writes: 0.5}, drawn, i) }}
	r, err := s.drive(all)
	if err == nil {
		select {
		case <-time.After(o.Recorded):
		case <-ctx.Done():
			err = ctx.Err()
		}
		_, stopErr := r.stop()
		err = errors.Join(err, stopErr)
	}
	if err = errors.Join(err, recorder.Close(), file.Close()); err != nil {
		return "", fmt.Errorf("record a history of %s: %w", c.Name(), err)
	}
	return path, nil
}
