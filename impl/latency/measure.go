// SPDX-License-Identifier: Apache-2.0

package latency

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"dalio/impl/bench"
	"dalio/impl/client"
	"dalio/impl/cluster"
	"dalio/impl/load"
	"dalio/traces"
)

// ErrSettings is returned for settings that can't work.
var ErrSettings = errors.New("bad settings")

const (
	replicas = 3
	// patience is how long one operation may take.
	patience = 5 * time.Second
	// saturations is how many samples tell the saturated rate.
	saturations = 3
)

// Settings say what is offered.
type Settings struct {
	// Clients are how many operations may be open at a time, on Sockets sockets.
	Clients int `json:"clients"`
	Sockets int `json:"sockets"`
	// Keys are drawn by Zipf 0.99; each has a value of ValueSize bytes.
	Keys      int `json:"keys"`
	ValueSize int `json:"value_size"`
	// Shares of the saturated rate are offered, each for a Window after a Warm.
	Shares []float64     `json:"shares"`
	Warm   time.Duration `json:"warm_ns"`
	Window time.Duration `json:"window_ns"`
	Rounds int           `json:"rounds"`
}

// DefaultSettings returns those of make bench-full.
func DefaultSettings() Settings {
	return Settings{Clients: 64, Sockets: 2, Keys: 10_000, ValueSize: 64, Shares: []float64{0.1, 0.3, 0.5, 0.7, 0.9},
		Warm: 300 * time.Millisecond, Window: 2 * time.Second, Rounds: 6}
}

func (s Settings) validate() error {
	for _, share := range s.Shares {
		if !(share > 0 && share <= 2) {
			return fmt.Errorf("%w: a share of %v of the saturated rate, want more than 0 and 2 at most", ErrSettings, share)
		}
	}
	switch {
	case len(s.Shares) == 0 || s.Clients < 1 || s.Sockets < 1 || s.Keys < 1 || s.ValueSize < 1 || s.Rounds < 1:
		return fmt.Errorf("%w: %d shares, %d clients, %d sockets, %d keys of %d bytes, %d rounds: want at least 1 of each",
			ErrSettings, len(s.Shares), s.Clients, s.Sockets, s.Keys, s.ValueSize, s.Rounds)
	case s.Window < 10*time.Millisecond || s.Warm < 0:
		return fmt.Errorf("%w: %v after %v, want a window of at least 10ms", ErrSettings, s.Window, s.Warm)
	}
	return nil
}

var mixes = []load.Mix{load.YCSBB, load.YCSBA}

// Quantiles are microseconds.
type Quantiles struct {
	P50  float64 `json:"p50_us"`
	P90  float64 `json:"p90_us"`
	P99  float64 `json:"p99_us"`
	P999 float64 `json:"p999_us"`
	Max  float64 `json:"max_us"`
}

func quantiles(h *hdrhistogram.Histogram) Quantiles {
	us := func(q float64) float64 { return float64(h.ValueAtQuantile(q)) / 1e3 }
	return Quantiles{us(50), us(90), us(99), us(99.9), float64(h.Max()) / 1e3}
}

// Sample is what came of one rate.
type Sample struct {
	Round int     `json:"round"`
	Mix   string  `json:"mix"`
	Share float64 `json:"share"`
	// Offered and Done are operations a second.
	Offered float64 `json:"offered_per_second"`
	Done    float64 `json:"done_per_second"`
	// Operations ended well, and Failed did not, or nobody knows.
	Operations int       `json:"operations"`
	Failed     int       `json:"failed"`
	Read       Quantiles `json:"read"`
	Write      Quantiles `json:"write"`
	// Late is for how long operations were due when they began, which is in the others.
	Late Quantiles `json:"late"`
}

// Run measures a shard of its own, whose files are in a folder. The executable is the
// dalio command. Progress is told what is begun.
func Run(ctx context.Context, s Settings, executable, dir string, progress func(done, all int, what string)) (r *Report, err error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	machine, err := bench.DescribeMachine()
	if err != nil {
		return nil, err
	}
	r = &Report{Settings: s, Machine: machine, Started: time.Now().UTC(), Saturated: map[string]float64{}}
	shard, err := cluster.Start(ctx, cluster.Options{Dir: filepath.Join(dir, "shard"), Replicas: replicas, Executable: executable,
		ReplicaFlags: []string{"--kernel-reads=on"}, Seed: 1})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, shard.Close()) }()
	clients, closeAll, err := shard.Clients(ctx, s.Clients, s.Sockets, client.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	w := load.Workload{Keys: s.Keys, Skew: 0.99, ValueSize: s.ValueSize, Seed: 1}
	if err := load.Fill(ctx, w, clients, patience); err != nil {
		return nil, err
	}
	all, done := len(mixes)*(1+s.Rounds*len(s.Shares)), 0
	tell := func(what string) { progress(done, all, what); done++ }
	for _, m := range mixes {
		tell(m.Name + ", saturated")
		if r.Saturated[m.Name], err = s.saturate(ctx, w, m, clients); err != nil {
			return nil, err
		}
	}
	for round := range s.Rounds {
		for _, m := range mixes {
			for _, share := range s.Shares {
				tell(fmt.Sprintf("%s, %.0f %%", m.Name, 100*share))
				w.Seed++
				sample, err := s.sample(ctx, w, m, clients, share*r.Saturated[m.Name])
				if err != nil {
					return nil, fmt.Errorf("round %d: %s, %.0f %% of the saturated rate: %w", round+1, m.Name, 100*share, err)
				}
				sample.Round, sample.Share = round+1, share
				r.Samples = append(r.Samples, sample)
			}
		}
	}
	r.Took = time.Since(r.Started).Seconds()
	return r, nil
}

// saturate returns how many operations a second are done when each client begins the
// next at once.
func (s Settings) saturate(ctx context.Context, w load.Workload, m load.Mix, clients []load.Client) (float64, error) {
	var rates []float64
	for range saturations {
		sample, err := s.sample(ctx, w, m, clients, 0)
		if err != nil {
			return 0, fmt.Errorf("%s, saturated: %w", m.Name, err)
		}
		rates = append(rates, sample.Done)
	}
	return bench.Median(rates), nil
}

// sample offers a rate, or if it is 0 as much as is done.
func (s Settings) sample(ctx context.Context, w load.Workload, m load.Mix, clients []load.Client, rate float64) (Sample, error) {
	w.Writes = m.Writes
	o := load.Options{Clients: clients, Longest: s.Warm, Deadline: patience, Rate: rate}
	if s.Warm > 0 {
		if _, err := load.Run(ctx, w, o); err != nil {
			return Sample{}, err
		}
	}
	o.Longest = s.Window
	r, err := load.Run(ctx, w, o)
	if err = errors.Join(err, ctx.Err()); err != nil {
		return Sample{}, err
	}
	done := r.Outcomes[traces.Read][traces.OK] + r.Outcomes[traces.Write][traces.OK]
	if done == 0 {
		return Sample{}, fmt.Errorf("no operation of %v ended well: %v", r.Outcomes, r.Errors)
	}
	return Sample{Mix: m.Name, Offered: rate, Done: float64(done) / r.Elapsed.Seconds(), Operations: done, Failed: r.Operations() - done,
		Read: quantiles(r.Latency[traces.Read]), Write: quantiles(r.Latency[traces.Write]), Late: quantiles(r.Late)}, nil
}
