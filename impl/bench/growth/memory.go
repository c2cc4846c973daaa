// SPDX-License-Identifier: Apache-2.0

package growth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/prometheus/procfs"

	"dalio/bpf"
	"dalio/impl/bench"
	"dalio/impl/client"
	"dalio/impl/cluster"
	"dalio/impl/internal/files"
	"dalio/impl/load"
	"dalio/protocol"
)

// MemorySettings say what a replica is filled with.
type MemorySettings struct {
	// Few and Many are numbers of keys; what a key takes is from the one to the other.
	Few  int `json:"few_keys"`
	Many int `json:"many_keys"`
	// ValueSize is in bytes; keys are "k" and a number.
	ValueSize int `json:"value_size"`
	// Clients have one write open each.
	Clients int `json:"clients"`
}

// DefaultMemorySettings returns those of make bench-full.
func DefaultMemorySettings() MemorySettings {
	return MemorySettings{Few: 100_000, Many: 1_000_000, ValueSize: 64, Clients: 128}
}

// ErrMemorySettings is returned for settings that can't work.
var ErrMemorySettings = errors.New("bad settings for the measurement of memory")

func (s MemorySettings) validate() error {
	if s.Few < 1 || s.Many <= s.Few || s.ValueSize < 1 || s.ValueSize > 1024 || s.Clients < 1 || s.Clients > 1024 {
		return fmt.Errorf("%w: %d and %d keys, values of %d bytes, %d clients; want a key at least and more after, values of 1 to 1024 bytes, and 1 to 1024 clients",
			ErrMemorySettings, s.Few, s.Many, s.ValueSize, s.Clients)
	}
	return nil
}

// MemoryReport is what was found, as it is written to memory.json.
type MemoryReport struct {
	Settings     MemorySettings `json:"settings"`
	Machine      bench.Machine  `json:"machine"`
	Coordinators []Tables       `json:"coordinators"`
	// PerSession is how many more bytes the coordinator's tables take for each more slot
	// of the session table. Keys take none: it has no table of them.
	PerSession float64         `json:"coordinator_bytes_per_session"`
	Replicas   []ReplicaMemory `json:"replicas"`
	Started    time.Time       `json:"started"`
	Took       float64         `json:"took_seconds"`
}

// Tables is the memory of a coordinator's tables, which is all taken when it is loaded.
type Tables struct {
	Sessions uint32 `json:"sessions"`
	Total    uint64 `json:"bytes"`
	// ByTable is by the tables' names in the kernel.
	ByTable map[string]uint64 `json:"by_table"`
}

// ReplicaMemory is the resident memory of one replica's process: its heap with what the
// garbage collector has not taken back yet, and the table of reads in the kernel, if any.
type ReplicaMemory struct {
	KernelReads bool `json:"kernel_reads"`
	// The values are bytes, without keys and after each filling.
	Empty    int     `json:"empty"`
	WithFew  int     `json:"with_few_keys"`
	WithMany int     `json:"with_many_keys"`
	PerKey   float64 `json:"bytes_per_key"`
}

// tableSizes are the session tables that are measured; the second is the usual one.
var tableSizes = []uint32{1 << 12, bpf.DefaultMaxSessions, 1 << 20}

// MeasureMemory measures coordinator and replica. The executable is the dalio command,
// and what runs is in dir meanwhile. Progress is told what is begun.
func MeasureMemory(ctx context.Context, s MemorySettings, executable, dir string, progress func(what string)) (*MemoryReport, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	machine, err := bench.DescribeMachine()
	if err != nil {
		return nil, err
	}
	r := &MemoryReport{Settings: s, Machine: machine, Started: time.Now().UTC()}
	for _, sessions := range tableSizes {
		t, err := tables(sessions)
		if err != nil {
			return nil, err
		}
		r.Coordinators = append(r.Coordinators, t)
	}
	first, last := r.Coordinators[0], r.Coordinators[len(r.Coordinators)-1]
	r.PerSession = float64(last.Total-first.Total) / float64(last.Sessions-first.Sessions)
	for _, kernelReads := range []bool{false, true} {
		progress(fmt.Sprintf("a replica with %d keys, reads in the kernel: %v", s.Many, kernelReads))
		m, err := s.replica(ctx, kernelReads, executable, filepath.Join(dir, "memory"))
		if err == nil {
			// What they have logged is of interest only after an error.
			err = os.RemoveAll(filepath.Join(dir, "memory"))
		}
		if err != nil {
			return nil, fmt.Errorf("memory of a replica: %w", err)
		}
		r.Replicas = append(r.Replicas, m)
	}
	r.Took = time.Since(r.Started).Seconds()
	return r, nil
}

// tables loads a coordinator with so many sessions and asks the kernel what it takes.
func tables(sessions uint32) (t Tables, err error) {
	plane, err := bpf.Load(bpf.Options{Self: protocol.Address{IP: [4]byte{10, 78, 0, 1}, MAC: [6]byte{2, 0, 0, 0, 0, 1}}, MaxSessions: sessions})
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, plane.Close()) }()
	t = Tables{Sessions: sessions}
	if t.ByTable, err = plane.Memory(); err != nil {
		return t, err
	}
	for _, bytes := range t.ByTable {
		t.Total += bytes
	}
	return t, nil
}

// replica fills a shard of one replica, and looks at its process.
func (s MemorySettings) replica(ctx context.Context, kernelReads bool, executable, dir string) (m ReplicaMemory, err error) {
	o := cluster.Options{Dir: dir, Replicas: 1, Executable: executable, Seed: 1}
	if kernelReads {
		o.ReplicaFlags = []string{"--kernel-reads=on"}
	}
	shard, err := cluster.Start(ctx, o)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, shard.Close()) }()
	clients, closeAll, err := shard.Clients(ctx, s.Clients, 2, client.Options{})
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	m.KernelReads = kernelReads
	if m.Empty, err = resident(shard.Replicas[0].PID); err != nil {
		return m, err
	}
	for _, step := range []struct {
		keys int
		into *int
	}{{s.Few, &m.WithFew}, {s.Many, &m.WithMany}} {
		const patience = 10 * time.Second
		if err := load.Fill(ctx, load.Workload{Keys: step.keys, ValueSize: s.ValueSize}, clients, patience); err != nil {
			return m, err
		}
		if *step.into, err = resident(shard.Replicas[0].PID); err != nil {
			return m, err
		}
	}
	m.PerKey = float64(m.WithMany-m.WithFew) / float64(s.Many-s.Few)
	return m, nil
}

// resident is the memory of a process that is in use, in bytes.
func resident(pid int) (int, error) {
	process, err := procfs.NewProc(pid)
	if err != nil {
		return 0, fmt.Errorf("find process %d: %w", pid, err)
	}
	stat, err := process.Stat()
	if err != nil {
		return 0, fmt.Errorf("read what process %d takes: %w", pid, err)
	}
	return stat.ResidentMemory(), nil
}

// Write writes memory.json into a folder.
func (r *MemoryReport) Write(dir string) error {
	return files.ReplaceJSON(filepath.Join(dir, "memory.json"), r)
}

// Print writes the tables that a person reads.
func (r *MemoryReport) Print(out io.Writer) error {
	const mega = 1 << 20
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "\ncoordinator with sessions\tMiB\tthe largest tables, KiB\t\n")
	for _, c := range r.Coordinators {
		names := slices.SortedFunc(maps.Keys(c.ByTable), func(a, b string) int { return int(c.ByTable[b]) - int(c.ByTable[a]) })
		largest := ""
		for _, name := range names[:min(4, len(names))] {
			largest += fmt.Sprintf("%s %d  ", name, c.ByTable[name]>>10)
		}
		fmt.Fprintf(t, "%d\t%.2f\t%s\t\n", c.Sessions, float64(c.Total)/mega, largest)
	}
	fmt.Fprintf(t, "each more session\t%.0f bytes\t\t\neach more key\t0 bytes\t\t\n", r.PerSession)
	fmt.Fprintf(t, "\nreplica, reads in the kernel\tempty, MiB\t%d keys, MiB\t%d keys, MiB\teach more key, bytes\t\n", r.Settings.Few, r.Settings.Many)
	for _, m := range r.Replicas {
		name := "no"
		if m.KernelReads {
			name = "yes"
		}
		fmt.Fprintf(t, "%s\t%.1f\t%.1f\t%.1f\t%.0f\t\n", name, float64(m.Empty)/mega, float64(m.WithFew)/mega, float64(m.WithMany)/mega, m.PerKey)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("print what memory is taken: %w", err)
	}
	return nil
}
