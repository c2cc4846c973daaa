// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"dalio/checker/linear"
	"dalio/impl/bench"
	"dalio/impl/cmd/internal/hotkey"
	"dalio/impl/internal/files"
)

// How the hot key is measured: several samples of each kind, and one more of each
// that is recorded and audited, which is slower.
const (
	hotKeySamples = 5
	hotKeyClients = 64
	hotKeyWindow  = 4 * time.Second
	hotKeyDelay   = time.Millisecond
)

// hotKey measures one key, written and read by all clients of a real shard, and
// writes hot-key.json.
func hotKey(ctx context.Context, c config) error {
	fmt.Printf("\none hot key, half of the operations writes, through a real shard: %d replicas, %d clients in Go\n",
		c.settings.Replicas, hotKeyClients)
	o := hotkey.Options{Dir: filepath.Join(c.dir, "hot-key"), Executable: c.executable, Object: c.object,
		Replicas: c.settings.Replicas, Clients: hotKeyClients, Sockets: 2, Lasts: hotKeyWindow}
	var samples []hotkey.Sample
	for i := range 2 * (hotKeySamples + 1) {
		o.Uneven = time.Duration(i%2) * hotKeyDelay
		o.Record = i >= 2*hotKeySamples
		s, err := hotkey.Measure(ctx, o)
		if err != nil {
			return fmt.Errorf("hot key: %w", err)
		}
		if o.Record && s.Verdict != linear.Linearizable {
			return fmt.Errorf("hot key: the history in %s is %s", o.Dir, s.Verdict)
		}
		samples = append(samples, s)
	}
	if err := files.ReplaceJSON(filepath.Join(c.dir, "hot-key.json"), samples); err != nil {
		return err
	}
	return printHotKey(os.Stdout, samples)
}

func printHotKey(w io.Writer, samples []hotkey.Sample) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "\nreplicas\tops/s, median\trange\treads gated\thops a gated read\tretries by the gate\tall retries\tread p50, p99 us\twrite p50, p99 us\taudit\t\n")
	for _, uneven := range []bool{false, true} {
		of := func(value func(hotkey.Sample) float64) (values []float64) {
			for _, s := range samples {
				if s.Uneven == uneven && s.Verdict == "" {
					values = append(values, value(s))
				}
			}
			return values
		}
		median := func(value func(hotkey.Sample) float64) float64 { return bench.Median(of(value)) }
		rates := of(func(s hotkey.Sample) float64 { return s.Throughput })
		var byGate, retries, verdict = uint64(0), 0, ""
		for _, s := range samples {
			if s.Uneven != uneven {
				continue
			}
			byGate, retries = byGate+s.GateRetries, retries+s.Retries
			if s.Verdict != "" {
				verdict = s.Verdict
			}
		}
		name := "even"
		if uneven {
			name = fmt.Sprintf("one later by %v", hotKeyDelay)
		}
		fmt.Fprintf(t, "%s\t%.0f\t%.0f to %.0f\t%.0f %%\t%.2f\t%d\t%d\t%.0f, %.0f\t%.0f, %.0f\t%s\t\n", name, bench.Median(rates),
			slices.Min(rates), slices.Max(rates), 100*median(func(s hotkey.Sample) float64 { return s.Gated }),
			median(func(s hotkey.Sample) float64 { return s.HopsPerGated }), byGate, retries,
			median(func(s hotkey.Sample) float64 { return s.ReadP50 }), median(func(s hotkey.Sample) float64 { return s.ReadP99 }),
			median(func(s hotkey.Sample) float64 { return s.WriteP50 }), median(func(s hotkey.Sample) float64 { return s.WriteP99 }), verdict)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("print the hot key's samples: %w", err)
	}
	return nil
}
