// SPDX-License-Identifier: Apache-2.0

package systems

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"dalio/impl/bench"
	"dalio/impl/load"
	"dalio/traces"
)

// maxClients bounds Settings.Clients by what a pool of connections holds.
const maxClients = 256

// Settings say what load all systems get.
type Settings struct {
	// Clients have one request open each.
	Clients int `json:"clients"`
	// Keys are drawn by Zipf 0.99; each has a value of ValueSize bytes.
	Keys      int `json:"keys"`
	ValueSize int `json:"value_size"`
	// Warm is the load before a sample, and Window the length of one.
	Warm   time.Duration `json:"warm_ns"`
	Window time.Duration `json:"window_ns"`
	Rounds int           `json:"rounds"`
}

// DefaultSettings returns those of make bench-full.
func DefaultSettings() Settings {
	return Settings{Clients: 64, Keys: 10_000, ValueSize: 64, Warm: 500 * time.Millisecond, Window: 2 * time.Second, Rounds: 10}
}

// ErrSettings is returned for settings that can't work.
var ErrSettings = errors.New("bad settings")

func (s Settings) validate() error {
	switch {
	case s.Clients < 1 || s.Clients > maxClients:
		return fmt.Errorf("%w: %d clients, want 1 to %d", ErrSettings, s.Clients, maxClients)
	case s.Keys < 1 || s.ValueSize < 1 || s.ValueSize > 1024:
		return fmt.Errorf("%w: %d keys with values of %d bytes, want at least one key, and values of 1 to 1024 bytes", ErrSettings, s.Keys, s.ValueSize)
	case s.Window < 100*time.Millisecond || s.Warm < 0 || s.Rounds < 1:
		return fmt.Errorf("%w: %d rounds of %v after %v, want at least one of 100ms", ErrSettings, s.Rounds, s.Window, s.Warm)
	}
	return nil
}

var mixes = []load.Mix{load.YCSBA, load.YCSBB, load.YCSBC}

// Sample is what came of one system with one mix.
type Sample struct {
	Round  int    `json:"round"`
	System string `json:"system"`
	Mix    string `json:"mix"`
	// Operations ended well, and Unknown did not.
	Operations int `json:"operations"`
	Unknown    int `json:"unknown"`
	// Rate is operations a second.
	Rate float64 `json:"operations_per_second"`
	// CPU is the processor time of the whole machine per operation, in microseconds:
	// of clients, system and kernel. Only /proc/stat's 10 ms are told apart.
	CPU float64 `json:"machine_cpu_us_per_operation"`
	// The latencies are microseconds, as clients see them in a closed loop; 0 if there
	// was none of the kind.
	ReadP50  float64 `json:"read_p50_us"`
	ReadP99  float64 `json:"read_p99_us"`
	WriteP50 float64 `json:"write_p50_us"`
	WriteP99 float64 `json:"write_p99_us"`
}

// round starts a system in an empty folder, fills it, and takes a sample of each mix.
func (s Settings) round(ctx context.Context, system System, dir string) (samples []Sample, err error) {
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return nil, fmt.Errorf("make a folder for %s: %w", system.Name(), err)
	}
	running, err := system.Start(ctx, dir)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", system.Name(), err)
	}
	defer func() { err = errors.Join(err, running.Close(), os.RemoveAll(dir)) }()
	clients, err := running.Clients(ctx, s.Clients)
	if err != nil {
		return nil, fmt.Errorf("clients of %s: %w", system.Name(), err)
	}
	w := load.Workload{Keys: s.Keys, Skew: 0.99, ValueSize: s.ValueSize, Seed: 1}
	if err := load.Fill(ctx, w, clients, patience); err != nil {
		return nil, fmt.Errorf("%s: %w", system.Name(), err)
	}
	for _, m := range mixes {
		w.Writes = m.Writes
		sample, err := s.sample(ctx, w, clients)
		if err != nil {
			return nil, fmt.Errorf("%s, %s: %w", system.Name(), m.Name, err)
		}
		sample.System, sample.Mix = system.Name(), m.Name
		samples = append(samples, sample)
	}
	return samples, nil
}

func (s Settings) sample(ctx context.Context, w load.Workload, clients []load.Client) (Sample, error) {
	o := load.Options{Clients: clients, Longest: s.Warm, Deadline: patience}
	if s.Warm > 0 {
		if _, err := load.Run(ctx, w, o); err != nil {
			return Sample{}, err
		}
	}
	o.Longest = s.Window
	before, err := bench.MachineTime()
	if err != nil {
		return Sample{}, err
	}
	r, err := load.Run(ctx, w, o)
	if err = errors.Join(err, ctx.Err()); err != nil {
		return Sample{}, err
	}
	after, err := bench.MachineTime()
	if err != nil {
		return Sample{}, err
	}
	done := r.Outcomes[traces.Read][traces.OK] + r.Outcomes[traces.Write][traces.OK]
	if done == 0 {
		return Sample{}, fmt.Errorf("no operation of %v ended well: %v", r.Outcomes, r.Errors)
	}
	us := func(f string, quantile float64) float64 { return float64(r.Latency[f].ValueAtQuantile(quantile)) / 1e3 }
	return Sample{Operations: done, Unknown: r.Outcomes[traces.Read][traces.Info] + r.Outcomes[traces.Write][traces.Info],
		Rate: float64(done) / r.Elapsed.Seconds(), CPU: (after - before) * 1e6 / float64(done),
		ReadP50: us(traces.Read, 50), ReadP99: us(traces.Read, 99), WriteP50: us(traces.Write, 50), WriteP99: us(traces.Write, 99)}, nil
}
