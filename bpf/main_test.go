// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// runs adds up how often the kernel ran each program.
var runs = map[string]uint64{}

// TestMain counts the kernel's runs of the programs, and makes random tests long
// enough to reach deep states.
func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv(loadOnly) != "" {
		dp, err := Load(Options{Self: self, MaxSessions: testSlots})
		fmt.Print(err)
		if err == nil {
			dp.Close()
		}
		os.Exit(0)
	}
	if os.Getenv(nowOnly) != "" {
		fmt.Print(Now().Nanoseconds())
		os.Exit(0)
	}
	if arguments := os.Getenv(pinOnly); arguments != "" {
		if err := pinAndWait(arguments); err != nil {
			fmt.Fprintln(os.Stderr, "pin a data plane:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	finish, err := countBranches(os.Getenv(countTo))
	if err != nil {
		fmt.Fprintln(os.Stderr, "count branches:", err)
		os.Exit(1)
	}
	for name, value := range map[string]string{"rapid.checks": "1000", "rapid.steps": "300"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() == f.DefValue {
			if err := f.Value.Set(value); err != nil {
				fmt.Fprintln(os.Stderr, "set flag:", err)
				os.Exit(1)
			}
		}
	}
	if flag.Lookup("test.bench").Value.String() != "" {
		// Statistics would be measured with the programs.
		os.Exit(m.Run())
	}
	if err := startStatistics(); err != nil {
		fmt.Fprintln(os.Stderr, "the tests of the data plane need root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON:", err)
		os.Exit(1)
	}
	status := m.Run()
	if err := errors.Join(stopStatistics(), finish()); err != nil {
		fmt.Fprintln(os.Stderr, "end counting:", err)
		status = 1
	}
	var names []string
	for name := range runs {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Printf("program %s: kernel run count %d\n", name, runs[name])
	}
	os.Exit(status)
}

// statistics has the kernel count the runs of programs until it is closed.
var statistics io.Closer

func startStatistics() (err error) {
	statistics, err = ebpf.EnableStats(unix.BPF_STATS_RUN_TIME)
	return err
}

func stopStatistics() error { return statistics.Close() }

func reportRuns(t testing.TB, d *DataPlane) {
	counts, err := d.RunCounts()
	if err != nil {
		t.Errorf("kernel run counts: %v", err)
	}
	for name, n := range counts {
		runs[name] += n
	}
}
