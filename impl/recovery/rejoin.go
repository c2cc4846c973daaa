// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"dalio/impl/cluster"
	"dalio/impl/load"
)

const (
	// share of the throughput before that must be left while a replica rejoins.
	share = 0.5
	// The throughput is measured before and after for a second for each 125 MB, between
	// these, and the shard does without the replica for down.
	undisturbedMin, undisturbedMax = 3 * time.Second, 8 * time.Second
	down                           = 2 * time.Second
	// The memory of a replica may be so many times its data, and so many megabytes
	// more: the records take a quarter more than their keys and values, and the garbage
	// collector lets the heap grow to twice what is in use.
	memoryFactor, memoryBase = 3, 128
	// bin is the width of a step in the plot of the throughput.
	bin = 500 * time.Millisecond
	// rejoinPatience bounds the catching up, and rejoinPoll is how often it is asked
	// for.
	rejoinPatience = 5 * time.Minute
	rejoinPoll     = 250 * time.Millisecond
)

// Rejoined is what the rejoin of a replica with data showed. Times are in seconds
// since the load began.
type Rejoined struct {
	// Megabytes are those of keys and values, 10^6 bytes each, in that many Records.
	Megabytes float64 `json:"megabytes"`
	Records   int     `json:"records"`
	// FillRate is how many writes a second put them there.
	FillRate float64 `json:"fill_writes_per_second"`
	// Killed, Started and Whole are when the replica was killed, started again, and
	// when all served again.
	Killed  float64 `json:"killed_at"`
	Started float64 `json:"started_at"`
	Whole   float64 `json:"whole_at"`
	// Before, Down, During and After are operations a second: before the kill,
	// without the replica, while it caught up, and when it served again. Worst is the
	// least of those of whole seconds during.
	Before float64 `json:"before"`
	Down   float64 `json:"down"`
	During float64 `json:"during"`
	Worst  float64 `json:"worst_second"`
	After  float64 `json:"after"`
	// Received is what the replica was sent, in megabytes, Ranges in how many pieces,
	// and Equal how many of them needed nothing when they were looked at again.
	Received float64 `json:"received_megabytes"`
	Ranges   int     `json:"ranges"`
	Equal    int     `json:"ranges_equal_at_last"`
	// Joiner and Source are the memory of the replica and of the one that it caught up
	// from.
	Joiner Memory `json:"joiner"`
	Source Memory `json:"source"`
	// Rates has the operations a second of each half second.
	Rates []float64 `json:"operations_per_second"`
}

// Rejoin has a replica rejoin that had that many megabytes of data when it was
// killed, while clients use the shard as fast as they can.
func Rejoin(ctx context.Context, o *Options, megabytes int) (*Part, error) {
	p := &Part{Name: "rejoin", Title: fmt.Sprintf("a replica with %d MB of data is killed, starts again with nothing and rejoins", megabytes)}
	d := newData(megabytes)
	w := load.Workload{Keys: max(1000, d.records/40), Writes: 0.5, ValueSize: 100, Seed: o.Seed}
	p.Load = fmt.Sprintf("%d replicas, %d clients as fast as they can, half of the operations writes, of 100 bytes, %d keys", o.Replicas, o.Clients, w.Keys)
	r := &Rejoined{Megabytes: d.megabytes(), Records: d.records}
	p.Rejoin = r
	err := measure(ctx, o, p, w, 0, func(ctx context.Context, s *site) (err error) {
		r.FillRate, err = d.fill(ctx, s)
		return err
	}, r.rejoin, func(ctx context.Context, s *site) error {
		return errors.Join(d.check(ctx, s), sameEverywhere(ctx, s, d.records))
	})
	if err == nil && r.Before == 0 {
		err = errors.New("rejoin: no operation ended OK before the replica was killed, so there is nothing to compare with")
	}
	if err != nil {
		return p, err
	}
	p.atLeast("throughput while it rejoins, of that before,", r.During/r.Before, share, "")
	bound := memoryBase + memoryFactor*r.Megabytes
	p.atMost("memory of the one that rejoins, at its peak", r.Joiner.Peak, bound, " MB")
	p.atMost("memory of its source, at its peak", r.Source.Peak, bound, " MB")
	p.atMost("requests that failed or are unknown", float64(p.unserved()), 0, "")
	return p, nil
}

// rejoin kills a replica under load and starts it again.
func (r *Rejoined) rejoin(ctx context.Context, s *site) error {
	undisturbed := min(max(time.Duration(r.Megabytes/125*float64(time.Second)), undisturbedMin), undisturbedMax)
	s.sleep(ctx, undisturbed)
	replicas := s.View().Replicas
	victim := replicas[len(replicas)-1]
	before := map[string]Memory{}
	for _, p := range replicas[:len(replicas)-1] {
		m, err := beginMemory(p.PID)
		if err != nil {
			return err
		}
		before[p.Name] = m
	}
	killed := s.timeline.Now()
	if err := victim.Kill(); err != nil {
		return err
	}
	s.sleep(ctx, down)
	started := s.timeline.Now()
	joiner, err := s.Restart(ctx, victim)
	if err != nil {
		return err
	}
	whole, err := r.awaitRejoin(ctx, s, joiner)
	if err != nil {
		return err
	}
	if r.Joiner, err = endMemory(joiner.PID, Memory{}); err != nil {
		return err
	}
	source, err := r.look(ctx, s, joiner)
	if err != nil {
		return err
	}
	if r.Source, err = endMemory(source.PID, before[source.Name]); err != nil {
		return err
	}
	s.sleep(ctx, undisturbed)
	end := s.timeline.Now()
	ops := s.timeline.from(0)
	r.Killed, r.Started, r.Whole = killed.Seconds(), started.Seconds(), whole.Seconds()
	r.Before, r.Down = Rate(ops, min(time.Second, killed/2), killed), Rate(ops, killed, started)
	r.During, r.After = Rate(ops, started, whole), Rate(ops, whole, end)
	r.Worst = r.During
	for at := started; at+time.Second <= whole; at += time.Second {
		r.Worst = min(r.Worst, Rate(ops, at, at+time.Second))
	}
	r.Rates = Rates(ops, bin)
	return nil
}

// awaitRejoin waits until all serve, and says now and then how far it is.
func (r *Rejoined) awaitRejoin(ctx context.Context, s *site, joiner *cluster.Process) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, rejoinPatience)
	defer cancel()
	reported := make(chan struct{})
	defer func() { <-reported }()
	reporting, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		defer close(reported)
		replica := s.control(joiner)
		defer replica.Close()
		for reporting.Err() == nil {
			s.sleep(reporting, progressEvery)
			if status, err := replica.Status(reporting); err == nil {
				s.progress("  %d of %d ranges, %.0f MB received; %d operations so far", status.CatchUp.Done, status.CatchUp.Total,
					float64(status.CatchUp.Bytes)/1e6, s.timeline.Count())
			}
		}
	}()
	if _, err := s.AwaitWhole(ctx, rejoinPoll); err != nil {
		return 0, err
	}
	return s.timeline.Now(), nil
}

// look asks the replica how it caught up, and returns whom it caught up from.
func (r *Rejoined) look(ctx context.Context, s *site, joiner *cluster.Process) (*cluster.Process, error) {
	replica := s.control(joiner)
	defer replica.Close()
	status, err := replica.Status(ctx)
	if err != nil {
		return nil, err
	}
	r.Received, r.Ranges, r.Equal = float64(status.CatchUp.Bytes)/1e6, status.CatchUp.Total, status.CatchUp.Skipped
	replicas := s.View().Replicas
	i := slices.IndexFunc(replicas, func(p *cluster.Process) bool { return p.Node.Addr == status.CatchUp.Source.Addr() })
	if i < 0 {
		return nil, fmt.Errorf("the replica caught up from %v, which is none of the shard's", status.CatchUp.Source)
	}
	return replicas[i], nil
}

func (r *Rejoined) print(w io.Writer) {
	fmt.Fprintf(w, "  %d records of %.0f MB, written at %.0f a second\n", r.Records, r.Megabytes, r.FillRate)
	fmt.Fprintf(w, "  rejoined in %.1f s: %.0f MB in %d ranges, of which %d needed nothing when looked at again\n",
		r.Whole-r.Started, r.Received, r.Ranges, r.Equal)
	fmt.Fprintf(w, "  operations a second: before %.0f, without the replica %.0f, while it rejoins %.0f (worst second %.0f), after %.0f\n",
		r.Before, r.Down, r.During, r.Worst, r.After)
	fmt.Fprintf(w, "  memory: of the one that rejoins %.0f MB at its peak; of its source %.0f MB before, %.0f MB at its peak\n",
		r.Joiner.Peak, r.Source.Before, r.Source.Peak)
}
