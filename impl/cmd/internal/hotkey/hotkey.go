// SPDX-License-Identifier: Apache-2.0

// Package hotkey measures the hardest load for the gate: all clients of a real
// shard read and write one key, half and half, so that nearly every read meets a
// write that is not committed yet.
package hotkey

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"dalio/checker/linear"
	"dalio/impl/client"
	"dalio/impl/cluster"
	"dalio/impl/coordinator"
	"dalio/impl/fabric"
	"dalio/impl/load"
	"dalio/traces"
)

// Options of a measurement.
type Options struct {
	Dir        string
	Executable string
	Object     string
	Replicas   int
	// Clients are the operations in flight, on Sockets sockets.
	Clients int
	Sockets int
	// Lasts is the length of a sample, of which the first tenth does not count.
	Lasts time.Duration
	// Uneven is by how much the frames to one of the replicas are delayed.
	Uneven time.Duration
	// Record has the history recorded and audited, which costs throughput.
	Record bool
}

// Sample is one measurement.
type Sample struct {
	Uneven bool `json:"uneven"`
	// Operations that ended OK, by kind, and all of them in a second.
	Reads      int     `json:"reads"`
	Writes     int     `json:"writes"`
	Throughput float64 `json:"operations_per_second"`
	Unknown    int     `json:"unknown"`
	// Gated is the share of the replies that the gate held back at least once of
	// all reads, and HopsPerGated how often each of those was sent on, on average.
	Gated        float64 `json:"gated_share"`
	HopsPerGated float64 `json:"hops_per_gated_read"`
	// GateRetries are the reads that a client had to send again because the gate
	// used up the reply: the re-drives, and the replies dropped as gated.
	GateRetries uint64 `json:"retries_by_gate"`
	// Retries counts all requests that were sent again.
	Retries int `json:"retries"`
	// P50 and P99 are microseconds.
	ReadP50, ReadP99   float64 `json:"-"`
	WriteP50, WriteP99 float64 `json:"-"`
	// Verdict is the audit's, "" if nothing was recorded.
	Verdict string `json:"verdict,omitempty"`
}

// Measure starts a shard, has its clients use one key, and takes it down.
func Measure(ctx context.Context, o Options) (s Sample, err error) {
	shard, err := cluster.Start(ctx, cluster.Options{Dir: filepath.Join(o.Dir, "shard"), Replicas: o.Replicas,
		Executable: o.Executable, Object: o.Object, Seed: 1})
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, shard.Close()) }()
	if o.Uneven > 0 {
		s.Uneven = true
		f := fabric.Faults{Delay: 1, DelayMin: o.Uneven, DelayMax: o.Uneven}
		if err := shard.Replicas[0].Node.SetFaults(fabric.ToNode, f); err != nil {
			return s, err
		}
	}
	clients, closeAll, err := shard.Clients(ctx, o.Clients, o.Sockets, client.Options{})
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	return s, s.drive(ctx, shard, clients, o)
}

// drive takes the sample. The first tenth only opens sessions and warms up.
func (s *Sample) drive(ctx context.Context, shard *cluster.Cluster, clients []load.Client, o Options) error {
	w := load.Workload{Keys: 1, Writes: 0.5, ValueSize: 64, Seed: 1}
	lo := load.Options{Clients: clients, Longest: o.Lasts / 10, Deadline: 5 * time.Second}
	if _, err := load.Run(ctx, w, lo); err != nil {
		return err
	}
	before, err := coordinator.FetchStatus(ctx, shard.StatusSocket)
	if err != nil {
		return err
	}
	lo.Longest = o.Lasts - o.Lasts/10
	finish := func() error { return nil }
	if o.Record {
		// The warm-up was not recorded, so the key is another one.
		w.Seed, w.Prefix = 2, "recorded-"
		if lo.Recorder, finish, err = s.record(ctx, o); err != nil {
			return err
		}
	}
	report, err := load.Run(ctx, w, lo)
	if err = errors.Join(err, ctx.Err()); err != nil {
		return errors.Join(err, finish())
	}
	after, err := coordinator.FetchStatus(ctx, shard.StatusSocket)
	if err != nil {
		return errors.Join(err, finish())
	}
	s.fill(report, before, after)
	return finish()
}

// record returns a recorder, and what judges the history when the load is over.
func (s *Sample) record(ctx context.Context, o Options) (*traces.Recorder, func() error, error) {
	path := filepath.Join(o.Dir, "history.jsonl")
	file, err := os.Create(path)
	if err != nil {
		return nil, nil, fmt.Errorf("create the history: %w", err)
	}
	recorder := traces.NewRecorder(file)
	return recorder, func() error {
		if err := errors.Join(recorder.Close(), file.Close()); err != nil {
			return err
		}
		report, err := linear.CheckFile(ctx, path, linear.Options{Timeout: time.Minute})
		if err != nil {
			return fmt.Errorf("audit the history: %w", err)
		}
		s.Verdict = report.Verdict
		return nil
	}, nil
}

func (s *Sample) fill(r *load.Report, before, after *coordinator.Status) {
	s.Reads, s.Writes = r.Outcomes[traces.Read][traces.OK], r.Outcomes[traces.Write][traces.OK]
	s.Throughput = float64(s.Reads+s.Writes) / r.Elapsed.Seconds()
	s.Unknown = r.Outcomes[traces.Write][traces.Info]
	s.Retries = r.Retries
	if r.GatedReads > 0 {
		s.Gated, s.HopsPerGated = float64(r.GatedReads)/float64(s.Reads), float64(r.Hops)/float64(r.GatedReads)
	}
	s.GateRetries = after.Activities["redriven"] - before.Activities["redriven"] + after.Drops["gated"] - before.Drops["gated"]
	us := func(f string, q float64) float64 { return float64(r.Latency[f].ValueAtQuantile(q)) / 1000 }
	s.ReadP50, s.ReadP99 = us(traces.Read, 50), us(traces.Read, 99)
	s.WriteP50, s.WriteP99 = us(traces.Write, 50), us(traces.Write, 99)
}
