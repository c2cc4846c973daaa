// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"dalio/checker/linear"
	"dalio/impl/chaos"
	"dalio/impl/client"
	"dalio/impl/cmd/internal/command"
	"dalio/impl/internal/files"
	"dalio/impl/load"
	"dalio/traces"
)

const (
	// deadline is how long a client waits for an operation before it gives up.
	deadline = 3 * time.Second
	// calm is how long the shard has to become whole when nothing is broken any
	// more, and finalDeadline what each of the last reads may take.
	calm          = 30 * time.Second
	finalDeadline = 10 * time.Second
	auditTimeout  = 5 * time.Minute
	// finalProcess numbers the process of the last reads, above all others.
	finalProcess     = 1 << 40
	progressInterval = 5 * time.Second
)

// run does a whole run, and returns what it showed.
func run(ctx context.Context, c config) (*chaos.Report, error) {
	if err := command.NeedRoot(); err != nil {
		return nil, err
	}
	if err := command.EmptyDir(c.dir); err != nil {
		return nil, err
	}
	faults := slices.DeleteFunc(chaos.Faults(c.durable), func(f chaos.Fault) bool {
		// The events of processes whose clocks disagree by days could not be put in order.
		jumps := c.events && strings.HasSuffix(f.Name, "clock-jumped")
		return jumps || c.only != nil && !c.only.MatchString(f.Name)
	})
	if len(faults) == 0 {
		return nil, fmt.Errorf("no fault has a name like %q", c.only)
	}
	report := &chaos.Report{Seed: c.seed, Durable: c.durable, History: "history.jsonl"}
	history := filepath.Join(c.dir, report.History)
	fmt.Printf("dalio chaos: %d replicas, seed %d, for %v\n", c.replicas, c.seed, c.duration)
	if err := wreck(ctx, c, faults, report, history); err != nil {
		return nil, err
	}
	fmt.Printf("auditing %d operations\n", report.Total)
	judged, err := linear.CheckFile(ctx, history, linear.Options{Timeout: auditTimeout})
	if err != nil {
		return nil, fmt.Errorf("audit the history: %w", err)
	}
	report.Verdict = judged.Verdict
	for _, key := range judged.Keys {
		if key.Verdict != linear.Linearizable {
			report.BadKeys = append(report.BadKeys, key.Key)
		}
	}
	if err := files.ReplaceJSON(filepath.Join(c.dir, "report.json"), report); err != nil {
		return nil, err
	}
	report.Print(os.Stdout)
	return report, nil
}

// wreck runs the shard, its clients and the nemesis.
func wreck(ctx context.Context, c config, faults []chaos.Fault, report *chaos.Report, history string) (err error) {
	shard, err := startShard(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shard.Close()) }()
	file, err := os.Create(history)
	if err != nil {
		return fmt.Errorf("create the history: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	injected, err := os.Create(filepath.Join(c.dir, "faults.jsonl"))
	if err != nil {
		return fmt.Errorf("create the log of faults: %w", err)
	}
	defer func() { err = errors.Join(err, injected.Close()) }()
	recorder := traces.NewRecorder(file)
	conn, err := shard.listen()
	if err != nil {
		return err
	}
	dialled, err := client.Dial(ctx, shard.addresses(), client.Options{Conn: conn})
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	defer func() { err = errors.Join(err, dialled.Close()) }()

	meter := chaos.NewMeter()
	var clients []load.Client
	pace := time.Duration(float64(c.clients) / float64(c.rate) * float64(time.Second))
	for range c.clients {
		clients = append(clients, load.Paced(meter.Watch(load.Shard(dialled)), pace))
	}
	log := json.NewEncoder(injected)
	nemesis := &chaos.Nemesis{Shard: shard, Meter: meter, Faults: faults, Seed: c.seed,
		Log: func(e chaos.Event) { _ = log.Encode(e) }} // What could not be written is missing from the log alone.
	breaking, stop := context.WithTimeout(ctx, c.duration)
	defer stop()
	broken := make(chan error, 1)
	var running sync.WaitGroup
	running.Go(func() { broken <- nemesis.Run(breaking) })
	loaded, err := load.Run(ctx, load.Workload{Keys: c.keys, Skew: 0.99, Writes: 0.5, ValueSize: 32, Seed: c.seed},
		load.Options{Clients: clients, Recorder: recorder, Longest: c.duration, Deadline: deadline, Interval: progressInterval,
			Progress: func(p load.Progress) {
				served, seconds := meter.Progress()
				fmt.Printf("  %4.0f s  %8d operations, %d unknown, %d faults, served in %d of %d seconds\n",
					p.Elapsed.Seconds(), p.Operations, p.Unknown, nemesis.Count(), served, seconds)
			}})
	stop()
	running.Wait()
	if err = errors.Join(err, <-broken, ctx.Err()); err != nil {
		return err
	}
	report.Fill(loaded, meter)
	report.Count(nemesis)
	if err := readAll(ctx, c, shard, dialled, recorder); err != nil {
		return err
	}
	return recorder.Close()
}

// readAll reads every key when the shard is whole again: a write that was answered
// and is lost shows there at the latest.
func readAll(ctx context.Context, c config, shard *shard, d *client.Client, recorder *traces.Recorder) error {
	whole, cancel := context.WithTimeout(ctx, calm)
	defer cancel()
	if err := shard.awaitWhole(whole); err != nil {
		return fmt.Errorf("%v after the last fault the shard is not whole: %w", calm, err)
	}
	var keys []string
	for i := range c.keys {
		keys = append(keys, fmt.Sprintf("k%d", i))
	}
	return load.ReadAll(ctx, load.Shard(d), keys, recorder, finalProcess, finalDeadline)
}
