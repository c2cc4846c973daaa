// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
	"time"

	"dalio/checker/linear"
)

// TestBrokenPromisesAreReported breaks the promises one at a time.
func TestBrokenPromisesAreReported(t *testing.T) {
	good := result{name: "good", report: linear.Report{Verdict: linear.Linearizable}, took: time.Second, memory: 1 << 20}
	bad := func(core int) result {
		return result{name: "bad", planted: "k", status: 1, took: time.Second, memory: 1 << 20,
			report: linear.Report{Verdict: linear.NotLinearizable, Keys: []linear.KeyReport{
				{Key: "j", Verdict: linear.Linearizable},
				{Key: "k", Verdict: linear.NotLinearizable, Core: make([]linear.Operation, core)},
			}}}
	}
	but := func(r result, change func(*result)) result { change(&r); return r }
	tests := []struct {
		result
		says string
	}{
		{good, ""},
		{bad(10), ""},
		{bad(11), "has 11 operations"},
		{bad(0), "has 0 operations"},
		{but(good, func(r *result) { r.took = 30 * time.Second }), "less than 30s"},
		{but(good, func(r *result) { r.memory = 2 << 30 }), "used 2048 MiB"},
		{but(good, func(r *result) { r.memory = 0 }), "used 0 MiB"},
		{but(good, func(r *result) { r.planted = "k" }), `judged "linearizable" with status 0`},
		{but(good, func(r *result) { r.report.Verdict, r.status = linear.Undecided, 3 }), "status 3"},
		{but(bad(3), func(r *result) { r.planted = "j" }), `key "k", planted in "j"`},
		{but(bad(3), func(r *result) { r.report.Keys[0].Verdict = linear.NotLinearizable }), `key "several"`},
	}
	for i, test := range tests {
		got := strings.Join(test.problems(), "; ")
		if (got == "") != (test.says == "") || !strings.Contains(got, test.says) {
			t.Errorf("case %d: %q, want %q", i, got, test.says)
		}
	}
}
