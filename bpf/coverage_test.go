// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"encoding/json"
	"errors"
	"os"

	"github.com/cilium/ebpf"

	"dalio/checker/coverage/instrument"
)

// countTo is set in the environment of a test binary that is to run the shipped
// objects with a counter in each of their basic blocks, and to leave the counters
// in that file: see checker/coverage. All else is as ever; what the tests compare
// with the model is then the program with its counters.
const countTo = "DALIO_COVERAGE"

// countBranches replaces the shipped objects, if there is a path, by ones with
// counters. What it returns writes them to the path.
func countBranches(path string) (finish func() error, err error) {
	if path == "" {
		return func() error { return nil }, nil
	}
	shipped, first := embedded, map[bool]int{}
	size := 0
	for _, several := range []bool{false, true} {
		spec, err := shipped(several)
		if err != nil {
			return nil, err
		}
		first[several] = size
		n, err := instrument.Size(spec)
		if err != nil {
			return nil, err
		}
		size += n
	}
	counters, err := instrument.NewCounters(size)
	if err != nil {
		return nil, err
	}
	embedded = func(several bool) (*ebpf.CollectionSpec, error) {
		spec, err := shipped(several)
		if err != nil {
			return nil, err
		}
		_, err = instrument.Collection(spec, counters, first[several])
		return spec, err
	}
	return func() error {
		all, err := instrument.Read(counters)
		if err != nil {
			return err
		}
		text, err := json.Marshal(map[string][]uint64{"coordinator": all[:first[true]], "several": all[first[true]:]})
		return errors.Join(err, counters.Close(), os.WriteFile(path, text, 0o644))
	}, nil
}
