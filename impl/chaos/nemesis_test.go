// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dalio/impl/load"
	"dalio/traces"
)

// stage is a shard whose health is set by hand.
type stage struct {
	Shard
	health Health
}

func (s *stage) Health(context.Context) Health { return s.health }

// note is a fault that only says that it was injected and mended.
func note(name string, log *[]string, needs Needs, err error) Fault {
	return Fault{Name: name, Needs: needs, Lasts: time.Second, Inject: func(context.Context, Shard, *rand.Rand) (func(context.Context) error, error) {
		*log = append(*log, name)
		return func(context.Context) error { *log = append(*log, "mended "+name); return nil }, err
	}}
}

func TestFaultsComeInRoundsAndAreMended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log []string
		n := &Nemesis{Shard: &stage{health: Health{Serving: true, InSync: 3}}, Meter: NewMeter(), Seed: 7,
			Faults: []Fault{note("a", &log, oneToSpare, nil), note("b", &log, Needs{}, nil), note("c", &log, takeover, nil),
				note("d", &log, Needs{}, errors.New("no such thing"))}}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		if err := n.Run(ctx); err != nil {
			t.Fatal(err)
		}
		injected := map[string]int{}
		for i := 0; i < len(log); i += 2 {
			if log[i+1] != "mended "+log[i] {
				t.Fatalf("%s was followed by %s", log[i], log[i+1])
			}
			injected[log[i]]++
		}
		if injected["c"] != 0 || n.Passed()["c"] < 10 {
			t.Errorf("a fault that needs a standby: %d times without one, passed over %d times", injected["c"], n.Passed()["c"])
		}
		if a, b := injected["a"], injected["b"]; a < 10 || max(a-b, b-a) > 1 {
			t.Errorf("a %d times, b %d times", a, b)
		}
		if a, d := injected["a"], injected["d"]; d < 2*a-2 || d > 2*a+2 {
			t.Errorf("a %d times, d, which fails and so comes twice a round, %d times", a, d)
		}
		var r Report
		r.Count(n)
		if d := r.Faults["d"]; d.Injected != 0 || d.Failed != injected["d"] {
			t.Errorf("a fault that fails is counted as %+v", d)
		}
		if a := r.Faults["a"]; a.InFlight != 0 || a.Injected != injected["a"] {
			t.Errorf("a fault without operations in flight is counted as %+v", a)
		}
	})
}

func TestTheSeedIsThePlan(t *testing.T) {
	draw := func(seed uint64) (names []string) {
		p := newPlan(Faults(true), seed)
		for range 200 {
			names = append(names, p.next(func(Needs) bool { return true }, nil).Name)
		}
		return names
	}
	if !slices.Equal(draw(1), draw(1)) {
		t.Error("one seed, two plans")
	}
	if slices.Equal(draw(1), draw(2)) {
		t.Error("two seeds, one plan")
	}
}

// TestFaultsThatMustWait: others go on meanwhile, but not for ever, and those that
// waited come first then.
func TestFaultsThatMustWait(t *testing.T) {
	p := newPlan([]Fault{{Name: "any"}, {Name: "takeover", Needs: takeover}}, 1)
	standby, drawn, passed := false, map[string]int{}, 0
	next := func() *Fault {
		h := Health{Serving: true, InSync: 2, Standby: standby}
		f := p.next(h.meets, func(*Fault) { passed++ })
		if f != nil {
			drawn[f.Name]++
		}
		return f
	}
	for next() != nil {
	}
	if drawn["any"] < 2 || drawn["any"] > 3 || drawn["takeover"] != 0 || passed == 0 {
		t.Errorf("without a standby: %v, passed over %d times", drawn, passed)
	}
	standby = true
	for range 20 {
		next()
	}
	if d := drawn["any"] - drawn["takeover"]; d < -1 || d > 1 {
		t.Errorf("with a standby at last: %v", drawn)
	}
}

func TestFaultsHaveNamesOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range Faults(true) {
		if seen[f.Name] || strings.ContainsAny(f.Name, " _") || f.Inject == nil {
			t.Errorf("fault %+v", f)
		}
		seen[f.Name] = true
	}
	if volatile := len(Faults(false)); volatile < 30 || volatile >= len(seen) {
		t.Errorf("%d faults of volatile shards, %d of durable ones", volatile, len(seen))
	}
}

func TestAShardThatCannotBeMendedEndsTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &Nemesis{Shard: &stage{}, Meter: NewMeter(), Faults: []Fault{{Name: "x", Inject: func(context.Context, Shard, *rand.Rand) (func(context.Context) error, error) {
			return func(context.Context) error { return errors.New("stuck") }, nil
		}}}}
		n.Shard.(*stage).health.Serving = true
		if err := n.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "mend x: stuck") {
			t.Errorf("run: %v", err)
		}
	})
}

// client answers after a while, as it is told.
type client struct {
	took    time.Duration
	outcome string
}

func (c client) Do(context.Context, string, string, string) load.Answer {
	time.Sleep(c.took)
	return load.Answer{Outcome: c.outcome}
}

func TestMeterCountsSecondsWithReadsAndWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMeter()
		do := func(f, outcome string) { m.Watch(client{100 * time.Millisecond, outcome}).Do(t.Context(), f, "k", "v") }
		do(traces.Read, traces.OK)
		do(traces.Write, traces.OK)
		time.Sleep(time.Second)
		do(traces.Read, traces.OK) // The second second has no write.
		do(traces.Write, traces.Info)
		time.Sleep(2 * time.Second)
		go do(traces.Delete, traces.OK)
		synctest.Wait()
		if m.InFlight() != 1 {
			t.Errorf("%d in flight", m.InFlight())
		}
		do(traces.Read, traces.OK)
		time.Sleep(time.Second)
		if served, seconds := m.Progress(); served != 2 || seconds != 4 {
			t.Errorf("served in %d of %d seconds", served, seconds)
		}
		if m.Longest() != 2 || m.InFlight() != 0 {
			t.Errorf("longest pause %d, %d in flight", m.Longest(), m.InFlight())
		}
	})
}
