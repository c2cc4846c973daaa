// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"dalio/impl/internal/files"
	"dalio/impl/load"
	"dalio/traces"
)

// Summary is build/demo/summary.json.
type Summary struct {
	Seed     uint64 `json:"seed"`
	Replicas int    `json:"replicas"`
	Clients  int    `json:"clients"`
	Keys     int    `json:"keys"`
	// Object is the data plane's object file, "" for the one built in.
	Object string `json:"object,omitempty"`
	// Operations counts by kind (read, write, delete) and outcome (ok, fail, info).
	Operations map[string]map[string]int `json:"operations"`
	Total      int                       `json:"total"`
	Seconds    float64                   `json:"seconds"`
	// Throughput is in operations a second.
	Throughput float64 `json:"throughput"`
	// Latency is in microseconds, of the ok operations of each kind.
	Latency map[string]Percentiles `json:"latency_us"`
	// Reads counts ok reads by the replica that answered.
	Reads  map[string]int `json:"reads_by_replica"`
	Frames Frames         `json:"frames"`
	// Retries are requests sent again by clients. GatedReads are the reads that
	// the gate sent on to another replica, Hops times in all.
	Retries    int `json:"retries"`
	GatedReads int `json:"gated_reads"`
	Hops       int `json:"hops"`
	// Drops counts the frames that the coordinator consumed, by reason.
	Drops map[string]uint64 `json:"drops"`
	// Activity is what else the coordinator counts.
	Activity map[string]uint64 `json:"activity"`
	// Actions counts the messages that reached each handler of the coordinator.
	Actions map[string]uint64 `json:"actions"`
	Verdict string            `json:"verdict"`
	// BadKeys are those whose history is not linearizable, or undecided.
	BadKeys []string `json:"bad_keys,omitempty"`
	History string   `json:"history"`
	Audit   float64  `json:"audit_seconds"`
}

// Percentiles of a latency.
type Percentiles struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99.9"`
	Max  float64 `json:"max"`
}

// Frames counts what the links of the shard did, both directions of all nodes.
type Frames struct {
	Seen       uint64 `json:"seen"`
	Dropped    uint64 `json:"dropped"`
	Duplicated uint64 `json:"duplicated"`
	Delayed    uint64 `json:"delayed"`
	Reordered  uint64 `json:"reordered"`
}

// fill takes what the clients counted.
func (s *Summary) fill(r *load.Report) {
	s.Operations, s.Total = r.Outcomes, r.Operations()
	s.Seconds = r.Elapsed.Seconds()
	s.Throughput = float64(s.Total) / s.Seconds
	s.Retries, s.GatedReads, s.Hops = r.Retries, r.GatedReads, r.Hops
	s.Latency, s.Reads = map[string]Percentiles{}, map[string]int{}
	for f, h := range r.Latency {
		us := func(q float64) float64 { return float64(h.ValueAtQuantile(q)) / 1000 }
		s.Latency[f] = Percentiles{us(50), us(90), us(99), us(99.9), float64(h.Max()) / 1000}
	}
	for id, n := range r.ReadsByReplica {
		s.Reads[fmt.Sprint(id)] = n
	}
}

// write stores the summary, whole or not at all.
func (s *Summary) write(path string) error { return files.ReplaceJSON(path, s) }

// print writes the summary for a person.
func (s *Summary) print(w io.Writer, dir string) {
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "  %-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(w, "\n%d operations by %d clients on %d keys in %.1f s: %.0f a second, through one eBPF coordinator to %d replicas\n\n",
		s.Total, s.Clients, s.Keys, s.Seconds, s.Throughput, s.Replicas)
	fmt.Fprintf(w, "  %-12s %9s %7s %8s   %9s %9s %9s %9s\n", "", "ok", "failed", "unknown", "p50 us", "p99 us", "p99.9 us", "max us")
	for _, f := range []string{traces.Read, traces.Write, traces.Delete} {
		o, l := s.Operations[f], s.Latency[f]
		fmt.Fprintf(w, "  %-12s %9d %7d %8d   %9.0f %9.0f %9.0f %9.0f\n", f, o[traces.OK], o[traces.Fail], o[traces.Info], l.P50, l.P99, l.P999, l.Max)
	}
	fmt.Fprintln(w)
	row("network", "%d frames: %d dropped, %d duplicated, %d delayed, %d reordered",
		s.Frames.Seen, s.Frames.Dropped, s.Frames.Duplicated, s.Frames.Delayed, s.Frames.Reordered)
	row("clients", "%d requests sent again", s.Retries)
	row("reads", "%s", byCount(s.Reads, "replica "))
	row("gate", "%d reads sent on %d times: their value was not committed yet", s.GatedReads, s.Hops)
	row("drops", "%s", byCount(s.Drops, ""))
	row("handled", "%s", byCount(s.Actions, ""))
	row("audit", "%.1f s, history in %s", s.Audit, filepath.Join(dir, s.History))
	fmt.Fprintf(w, "\nverdict: %s\n", s.Verdict)
	if len(s.BadKeys) > 0 {
		fmt.Fprintf(w, "  %d keys, the first: %s; see: %s\n", len(s.BadKeys), strings.Join(s.BadKeys[:min(5, len(s.BadKeys))], ", "),
			"dalio-audit --html "+filepath.Join(dir, "audit")+" "+filepath.Join(dir, s.History))
	}
}

// byCount lists the nonzero counts, the greatest first.
func byCount[N int | uint64](counts map[string]N, prefix string) string {
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	var parts []string
	for _, name := range names {
		if counts[name] != 0 {
			parts = append(parts, fmt.Sprintf("%s%s %d", prefix, name, counts[name]))
		}
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// progress prints one line, again and again in the same place on a terminal.
func progress(w io.Writer, terminal bool, total int, p load.Progress) {
	line := fmt.Sprintf("  %5.1f s  %7d of %d operations, %6.0f a second, %d unknown", p.Elapsed.Seconds(), p.Operations, total,
		float64(p.Operations)/p.Elapsed.Seconds(), p.Unknown)
	if terminal {
		fmt.Fprintf(w, "\r%s", line)
		return
	}
	fmt.Fprintln(w, line)
}
