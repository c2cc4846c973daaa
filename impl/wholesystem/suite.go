// SPDX-License-Identifier: Apache-2.0

package wholesystem

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"dalio/impl/load"
)

// Suite is a whole measurement: every contender with every mix, in turn, as often as
// there are rounds.
type Suite struct {
	Settings Settings
	// Executable is the dalio command, and Dir where the shard has its files and the
	// histories go.
	Executable, Dir string
	// Contenders are Dalio and what it is compared with.
	Contenders []Contender
	Mixes      []load.Mix
	// Judge says whether the history in a file is linearizable: nil if it is.
	Judge func(ctx context.Context, path string) error
	// Progress is called before each sample, with the number of those done.
	Progress func(done, all int, contender, mix string)
}

// Run starts a shard, has each contender judged, and takes all samples.
func (s *Suite) Run(ctx context.Context) (result *Result, err error) {
	if err := s.Settings.validate(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("make a folder for the whole system: %w", err)
	}
	start := time.Now()
	sh, err := startShard(ctx, s.Settings, s.keys(), s.Executable, s.Dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, sh.Close()) }()
	result = &Result{Settings: s.Settings, contenders: s.Contenders, mixes: s.Mixes}
	if err := s.judge(ctx, sh, result); err != nil {
		return nil, err
	}
	if err := s.fill(ctx, sh); err != nil {
		return nil, err
	}
	drawn := drawKeys(s.Settings.Keys)
	all := s.Settings.Rounds * len(s.Mixes) * len(s.Contenders)
	for round := range s.Settings.Rounds {
		for _, m := range s.Mixes {
			// Whoever comes first does not always.
			for i := range s.Contenders {
				c := s.Contenders[(i+round)%len(s.Contenders)]
				s.Progress(len(result.Samples), all, c.Name(), m.Name)
				sample, err := sh.measure(ctx, s.Settings, c, m, drawn)
				if err != nil {
					return nil, fmt.Errorf("whole system, round %d: %w", round+1, err)
				}
				sample.Round = round + 1
				result.Samples = append(result.Samples, sample)
			}
		}
	}
	result.Took = time.Since(start).Seconds()
	return result, nil
}

// keys is how many keys there will be at most.
func (s *Suite) keys() int {
	n := s.Settings.Keys
	for _, m := range s.Mixes {
		if m.Latest {
			n += s.Settings.Rounds * len(s.Contenders) * s.Settings.Sockets * int(s.Settings.inserts())
		}
	}
	return n
}

// judge records a history of each contender that is to be judged, and has it judged.
func (s *Suite) judge(ctx context.Context, sh *shard, r *Result) error {
	for _, c := range s.Contenders {
		if !c.Judged() {
			continue
		}
		path, err := sh.record(ctx, s.Settings, c, s.Dir)
		if err != nil {
			return err
		}
		if err := s.Judge(ctx, path); err != nil {
			return fmt.Errorf("the history of %s in %s: %w", c.Name(), path, err)
		}
		r.Judged = append(r.Judged, c.Name())
	}
	return nil
}

// fill fills the shard under the first contender.
func (s *Suite) fill(ctx context.Context, sh *shard) error {
	coordinating, err := sh.lead(ctx, s.Contenders[0])
	if err != nil {
		return err
	}
	return errors.Join(sh.fill(ctx, s.Settings), coordinating.Close())
}
