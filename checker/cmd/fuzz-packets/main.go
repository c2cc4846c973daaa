// SPDX-License-Identifier: Apache-2.0

// Command fuzz-packets hands the coordinator's program and the model the same
// packets, most of them nearly right, by the hundred million, and compares verdict,
// reason, action and output after each, and the state whenever the model's changed.
//
// Packets come in episodes of a few thousand, each from a state of its own. An
// episode depends on the seed and its number alone, and is all that is needed to see
// a difference again. The command goes on where it was stopped.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"
)

func main() {
	o := options{}
	packets := flag.String("packets", "2e6", "how many packets in all, such as 1e9; what an earlier run did counts")
	flag.Uint64Var(&o.seed, "seed", 1, "what the packets are drawn from")
	flag.StringVar(&o.dir, "dir", "build/packets", "folder for the progress, and for the script of a difference")
	flag.IntVar(&o.workers, "workers", runtime.NumCPU(), "how many run in parallel")
	flag.StringVar(&o.object, "object", "", "BPF object to run in place of the shipped one")
	flag.StringVar(&o.readme, "evidence", "", "file with the table of evidence to update")
	flag.DurationVar(&o.interval, "interval", 10*time.Second, "how often the progress is told and saved")
	flag.Parse()
	n, err := strconv.ParseFloat(*packets, 64)
	if err != nil || n < 1 || o.workers < 1 || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "fuzz-packets: --packets must be a number, at least 1, and so must be --workers; there are no other arguments")
		os.Exit(2)
	}
	o.packets = uint64(n)
	// Of each packet's garbage nothing lives on.
	debug.SetGCPercent(1000)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	switch err := run(o, stop); {
	case errors.Is(err, errStopped):
		fmt.Fprintf(os.Stderr, "fuzz-packets: %v\n", err)
		os.Exit(3)
	case err != nil:
		fmt.Fprintf(os.Stderr, "fuzz-packets: %v\n", err)
		os.Exit(1)
	}
}
