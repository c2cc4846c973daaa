// SPDX-License-Identifier: Apache-2.0

package recovery

import (
	"bytes"
	"strings"
	"testing"
)

func TestDistribution(t *testing.T) {
	var samples []Sample
	for i := range 100 {
		samples = append(samples, Sample{Write: float64((i*37)%100 + 1)})
	}
	of := func(s Sample) float64 { return s.Write }
	if got := distribution(samples, of); got != (Distribution{100, 50, 99, 100}) {
		t.Errorf("of 1 to 100: %+v", got)
	}
	// With fewer samples the quantile is the worst of them, not something better.
	if got := distribution(samples[:7], of); got.P99 != got.Max {
		t.Errorf("of seven: %+v", got)
	}
	if got := distribution(nil, of); got != (Distribution{}) {
		t.Errorf("of none: %+v", got)
	}
}

func TestTargetsCanBeMissed(t *testing.T) {
	p := &Part{Operations: map[string]map[string]int{"write": {"ok": 7, "info": 1}, "read": {"ok": 5, "fail": 2}}}
	if p.unserved() != 3 || p.Total() != 15 {
		t.Errorf("%d of %d unserved, want 3 of 15", p.unserved(), p.Total())
	}
	p.atMost("first write", 300, 300, " ms")
	p.atLeast("throughput", 0.5, 0.5, "")
	if !p.Met() {
		t.Errorf("at the limit: %+v", p.Targets)
	}
	for _, miss := range []func(){func() { p.atMost("first write", 300.1, 300, " ms") }, func() { p.atLeast("throughput", 0.49, 0.5, "") }} {
		p.Targets = nil
		miss()
		var out bytes.Buffer
		p.Print(&out)
		if p.Met() || !strings.Contains(out.String(), "NOT MET") {
			t.Errorf("missed, and it says\n%s", out.String())
		}
	}
}
