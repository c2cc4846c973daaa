// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"fmt"
	"slices"
)

// enough is how many seeds each situation is met once in, at least.
const enough = 1000

// Missed says what was met too rarely for the number of seeds.
func (s *Summary) Missed() (all []string) {
	least := max(1, int(s.Seeds/enough))
	want := func(what string, names []string, counts map[string]int) {
		for _, name := range names {
			if counts[name] < least {
				all = append(all, fmt.Sprintf("%s %q was met %d times, want %d", what, name, counts[name], least))
			}
		}
		for name := range counts {
			if !slices.Contains(names, name) {
				all = append(all, fmt.Sprintf("%s %q has no minimum: add it to the list", what, name))
			}
		}
	}
	want("fault", Kinds(), s.Coverage.Faults)
	want("action", actions, s.Coverage.Actions)
	want("situation", situations(), s.Coverage.Situations)
	if s.MedianOperations < 200 {
		all = append(all, fmt.Sprintf("the median of operations is %d, want 200", s.MedianOperations))
	}
	if s.LeastDeliveries < 2000 || s.Faulted < int(s.Seeds) {
		all = append(all, fmt.Sprintf("%d deliveries in some run, %d runs of %d with a fault: want 2000, and all", s.LeastDeliveries, s.Faulted, s.Seeds))
	}
	slices.Sort(all)
	return all
}

// actions are those of the specification that a run may take.
var actions = []string{"HandleOpenRequest", "HandleWriteRequest", "HandleWriteAck", "HandleReadRequest", "HandleReadReply",
	"HandleWrite", "HandleRead", "InvokeRead", "InvokeWrite", "Retry", "Abandon", "HandleOpenResponse", "HandleWriteResponse", "HandleReadResponse",
	"Assign", "Fence", "Open", "Settle", "CollectTombstones", "TakeEpoch", "Collect", "Install", "CutMembers", "ShrinkConfig", "GrowConfig",
	"EnterSync", "ReadSessions", "ReadRecords"}
