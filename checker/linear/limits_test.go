// SPDX-License-Identifier: Apache-2.0

package linear

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"dalio/traces"
)

// exhausting returns a history that is illegal only because one absence more
// was seen than there are deletes of unknown outcome: a search must try each
// choice of deletes for each absence.
//
// Before that, clients give up on as many writes that nobody ever sees.
func exhausting(t *testing.T, deletes, unseen int) *bytes.Buffer {
	t.Helper()
	var out bytes.Buffer
	now := int64(0)
	rec := traces.NewRecorderClock(&out, func() int64 { now++; return now })
	for i := range deletes {
		rec.Invoke(1+i, traces.Delete, "k", nil)
		rec.Complete(1+i, traces.Info, nil)
	}
	for i := range unseen {
		v := fmt.Sprint("unseen", i)
		rec.Invoke(1+deletes+i, traces.Write, "k", &v)
		rec.Complete(1+deletes+i, traces.Info, nil)
	}
	for i := range deletes + 1 {
		v := fmt.Sprint("v", i)
		rec.Invoke(0, traces.Write, "k", &v)
		rec.Complete(0, traces.OK, nil)
		rec.Invoke(0, traces.Read, "k", nil)
		rec.Complete(0, traces.OK, nil)
	}
	rec.Invoke(0, traces.Read, "other", nil)
	rec.Complete(0, traces.OK, nil)
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	return &out
}

func judgeExhausting(t *testing.T, ctx context.Context, deletes, unseen int, opt Options) Report {
	t.Helper()
	start := time.Now()
	report, err := Check(ctx, traces.NewReader(exhausting(t, deletes, unseen), "exhausting"), opt)
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > time.Minute {
		t.Errorf("the judge took %v, far beyond its limits", took)
	}
	return report
}

func TestSearchDecidesWhatFits(t *testing.T) {
	report := judgeExhausting(t, context.Background(), 8, 40, Options{Timeout: 10 * time.Second})
	if report.Verdict != NotLinearizable || len(report.Keys[0].Core) == 0 {
		t.Errorf("nine absences from eight deletes are %s", report.Verdict)
	}
}

func TestTimeoutIsNeverAPass(t *testing.T) {
	report := judgeExhausting(t, context.Background(), 60, 0, Options{Timeout: 200 * time.Millisecond})
	if report.Verdict != Undecided || report.Keys[0].Verdict != Undecided || report.Keys[0].Why == "" {
		t.Errorf("after the timeout the verdict is %s: %+v", report.Verdict, report.Keys[0])
	}
	if len(report.Keys[0].Core) != 0 {
		t.Errorf("an undecided key has the core %v", report.Keys[0].Core)
	}
}

func TestMemoryLimitIsNeverAPass(t *testing.T) {
	report := judgeExhausting(t, context.Background(), 60, 0, Options{Memory: 8 << 20})
	if report.Verdict != Undecided || report.Keys[1].Verdict != Linearizable {
		t.Errorf("after the memory limit the verdicts are %+v", report.Keys)
	}
}

func TestEndedContextIsNeverAPass(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	report := judgeExhausting(t, ctx, 1, 0, Options{})
	for _, k := range report.Keys {
		if k.Verdict != Undecided {
			t.Errorf("key %s is %s without time to judge it", k.Key, k.Verdict)
		}
	}
}

func TestNotifyCountsEveryKeyOnce(t *testing.T) {
	calls := -1 // The first call is made before any key is judged.
	report := judgeExhausting(t, context.Background(), 60, 0, Options{
		Timeout: 100 * time.Millisecond,
		Notify: func(done, total int) {
			if calls++; done != calls || total != 2 {
				t.Errorf("call %d says %d of %d keys are done", calls, done, total)
			}
		},
	})
	if calls != len(report.Keys) {
		t.Errorf("%d keys were announced, want %d", calls, len(report.Keys))
	}
}

func TestCrowdedSearchesAreTriedAgain(t *testing.T) {
	h, err := readHistory(traces.NewReader(exhausting(t, 60, 0), "exhausting"), true)
	if err != nil {
		t.Fatal(err)
	}
	registers := h.others
	for others := range int32(2) {
		mem := &memory{} // Whatever is live is too much.
		mem.searches.Store(others)
		j := &judge{mem: mem, values: len(registers[0].values)}
		v, _ := j.decide(context.Background(), registers[0].telling())
		if v != undecided || j.crowded != (others > 0) {
			t.Errorf("out of memory beside %d other searches: verdict %v, crowded %v", others, v, j.crowded)
		}
	}
}

// TestCoresNeedNotListEveryDelete has far more deletes than a person would
// read or a search could try; those that cannot matter must not be in the core.
func TestCoresNeedNotListEveryDelete(t *testing.T) {
	const many = 60
	a, b := "a", "b"
	history := func(pending bool, rest func(do func(f string, value *string))) Report {
		var out bytes.Buffer
		now := int64(0)
		rec := traces.NewRecorderClock(&out, func() int64 { now++; return now })
		do := func(f string, value *string) {
			written := value
			if f == traces.Read {
				written = nil
			}
			rec.Invoke(0, f, "k", written)
			rec.Complete(0, traces.OK, value)
		}
		for i := range many {
			if pending {
				rec.Invoke(1+i, traces.Delete, "k", nil)
				rec.Complete(1+i, traces.Info, nil)
			} else {
				do(traces.Delete, nil)
			}
		}
		rest(do)
		if err := rec.Close(); err != nil {
			t.Fatal(err)
		}
		report, err := Check(context.Background(), traces.NewReader(&out, "deletes"), Options{Timeout: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
	overwritten := history(false, func(do func(string, *string)) {
		do(traces.Write, &a)
		do(traces.Read, nil)
	})
	during := history(true, func(do func(string, *string)) {
		do(traces.Write, &a)
		do(traces.Read, nil)
		do(traces.Read, &a)
		do(traces.Write, &b)
		do(traces.Read, nil)
	})
	for name, r := range map[string]struct {
		Report
		core int
	}{"overwritten": {overwritten, 2}, "during a period": {during, 4}} {
		if k := r.Keys[0]; k.Verdict != NotLinearizable || len(k.Core) != r.core || !k.Minimal {
			t.Errorf("%s: %s, core of %d, minimal %v; want a core of %d", name, k.Verdict, len(k.Core), k.Minimal, r.core)
		}
	}
}
