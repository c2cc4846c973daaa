// SPDX-License-Identifier: Apache-2.0

// Command write makes a large history with a hot key and pending writes all along,
// for measuring dalio-audit:
//
//	go run ./checker/linear/internal/synth/write [-stale] > history.jsonl
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"

	"dalio/checker/linear/internal/synth"
)

func main() {
	c := synth.Large
	flag.BoolVar(&c.Stale, "stale", false, "plant one stale read")
	flag.IntVar(&c.Operations, "operations", c.Operations, "operations in all")
	flag.Uint64Var(&c.Seed, "seed", c.Seed, "for all choices")
	flag.Parse()
	out := bufio.NewWriter(os.Stdout)
	planted, err := synth.Write(out, c)
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "write: %v\n", err)
		os.Exit(1)
	}
	if c.Stale {
		fmt.Fprintf(os.Stderr, "planted a stale read of %s\n", planted)
	}
}
