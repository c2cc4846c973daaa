// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"dalio/impl/client"
	"dalio/impl/cluster"
	"dalio/impl/load"
	"dalio/traces"
)

const (
	coordinators = 2
	// deadline is how long a client waits for an operation before it gives up.
	deadline = 3 * time.Second
	// patience bounds each wait for the shard to recover.
	patience = 20 * time.Second
	// wholePoll is how often it is asked for whether the shard is whole again.
	wholePoll = 20 * time.Millisecond
	// steady is for how long the load goes on undisturbed before each failure.
	steady = 100 * time.Millisecond
	// lastProcess numbers the process of the last reads, above all others.
	lastProcess  = 1 << 40
	lastDeadline = 10 * time.Second
	// progressEvery is how often there is a line on how far it is.
	progressEvery = 5 * time.Second
)

// Options say how a shard is measured.
type Options struct {
	// Dir is where histories and the shard's logs go, and Executable the dalio command.
	Dir, Executable string
	// Replicas is how many, at least 2.
	Replicas int
	// Clients is how many operations are in flight, Rate how many begin a second at
	// most, and Keys how many keys they use.
	Clients, Rate, Keys int
	Seed                uint64
	// CoordinatorFlags are more flags for every coordinator: the timeouts are the
	// defaults without.
	CoordinatorFlags []string
	// Progress gets a line now and then.
	Progress func(string)
}

// describe says what the clients do.
func (o *Options) describe() string {
	return fmt.Sprintf("%d replicas, %d clients, %d operations a second at most, half of them writes, %d keys (Zipf 0.99)",
		o.Replicas, o.Clients, o.Rate, o.Keys)
}

// site is a shard under load, with the part that is measured on it.
type site struct {
	*cluster.Cluster
	options  *Options
	part     *Part
	timeline *Timeline
	client   *client.Client
	recorder *traces.Recorder
	keys     []string
}

// step is a piece of what is done to a shard.
type step = func(context.Context, *site) error

// measure runs a part on a shard of its own: it does what is to be done while the
// load goes on, and reads every key at the end, with the shard whole again. Before
// the load it is prepared, and after it checked, if that is not nil.
func measure(ctx context.Context, o *Options, part *Part, w load.Workload, rate int, prepare, do, check step) (err error) {
	begun := time.Now()
	s := &site{options: o, part: part}
	part.History = part.Name + ".jsonl"
	file, err := os.Create(filepath.Join(o.Dir, part.History))
	if err != nil {
		return fmt.Errorf("create the history: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	s.recorder = traces.NewRecorder(file)
	if err := s.start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if s.client, err = s.Dial(ctx, client.Options{}); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.client.Close()) }()
	for _, one := range []step{prepare, func(ctx context.Context, s *site) error { return s.underLoad(ctx, w, rate, do) }, check} {
		if one == nil {
			continue
		}
		if err := one(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", part.Name, err)
		}
	}
	for i := range w.Keys {
		s.keys = append(s.keys, fmt.Sprintf("k%d", i))
	}
	if err := load.ReadAll(ctx, load.Shard(s.client), s.keys, s.recorder, lastProcess, lastDeadline); err != nil {
		return fmt.Errorf("%s: %w", part.Name, err)
	}
	part.Took = time.Since(begun).Seconds()
	return s.recorder.Close()
}

// start starts the shard. Its processes are started again by who kills them.
func (s *site) start(ctx context.Context) (err error) {
	o := s.options
	s.Cluster, err = cluster.Start(ctx, cluster.Options{Dir: filepath.Join(o.Dir, "shard-"+s.part.Name), Replicas: o.Replicas,
		Coordinators: coordinators, Executable: o.Executable, Seed: o.Seed, CoordinatorFlags: o.CoordinatorFlags})
	if err != nil {
		return err
	}
	if _, err := s.awaitWhole(ctx); err != nil {
		return errors.Join(err, s.Close())
	}
	return nil
}

// underLoad does something while the clients are at work, and lets them end what
// they have begun. A rate of 0 is as fast as it goes.
func (s *site) underLoad(ctx context.Context, w load.Workload, rate int, do step) error {
	s.timeline = NewTimeline()
	var clients []load.Client
	for range s.options.Clients {
		c := s.timeline.Watch(load.Shard(s.client))
		if rate > 0 {
			c = load.Paced(c, time.Duration(float64(s.options.Clients)/float64(rate)*float64(time.Second)))
		}
		clients = append(clients, c)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop, loaded := make(chan struct{}), make(chan error, 1)
	go func() {
		report, err := load.Run(ctx, w, load.Options{Clients: clients, Recorder: s.recorder, Deadline: deadline, Stop: stop})
		if err == nil {
			s.part.count(report)
		}
		loaded <- err
	}()
	err := do(ctx, s)
	if err != nil {
		cancel() // Whatever they wait for may never come.
	}
	close(stop)
	return errors.Join(err, <-loaded, ctx.Err())
}

// awaitWhole waits until all replicas serve and a coordinator stands by.
func (s *site) awaitWhole(ctx context.Context) (cluster.Health, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return s.AwaitWhole(ctx, wholePoll)
}

// restart starts a process again that was killed.
func (s *site) restart(ctx context.Context, p *cluster.Process) error {
	_, err := s.Restart(ctx, p)
	return err
}

func (s *site) progress(format string, arguments ...any) {
	if s.options.Progress != nil {
		s.options.Progress(fmt.Sprintf(format, arguments...))
	}
}

func (s *site) sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
