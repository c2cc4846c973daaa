// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"dalio/checker/evidence"
)

// What the handlers may cost is in a table that is committed, as multiples of an empty
// program's cost in the same run, which differ less between machines than nanoseconds
// do. To measure anew and write table and page: make costs.
const (
	costTable = "testdata/costs.json"
	costPage  = "../docs/performance.md"
	// costMargin is how many times as much as in the table a handler may cost.
	costMargin = 2
	// costRounds have every handler measured once each; the least is what other work on
	// the machine disturbed least. A sample takes a hundredth of a second, whatever is
	// measured: the kernel waits for all processors before it repeats an XDP program, and
	// after.
	costRounds, costRoundsAgain, costRoundsWritten = 3, 12, 40
)

var writeCosts = flag.Bool("costs", false, "measure what each handler costs, and write it to "+costTable+" and "+costPage)

// cost is what one way through a handler takes.
type cost struct {
	Handler string `json:"handler"`
	// Nanoseconds are beyond what an empty program takes.
	Nanoseconds float64 `json:"nanoseconds"`
	// Times is how many times an empty program's cost it is altogether.
	Times float64 `json:"times_empty"`
	// Clock says that the clock may be read, which costs what it costs on a machine: such
	// a way is not held to the table.
	Clock bool `json:"clock,omitempty"`
}

// meter measures handlers, in turn with an empty program.
type meter struct {
	cases []handlerCase
	// entries are without a lease and with one.
	entries [2]*entryObjects
	// The least that were seen, in whole nanoseconds, as the kernel tells them: of the
	// empty program, of what prepares a run and what prepares one on a copy, and of
	// that with the handler after it.
	empty    float64
	prepared [2]float64
	whole    []float64
}

func newMeter(t testing.TB, cases []handlerCase) *meter {
	t.Helper()
	return newMeterOf(t, cases, func(*ebpf.CollectionSpec) {})
}

// newMeterOf is for an object that is changed before it is loaded.
func newMeterOf(t testing.TB, cases []handlerCase, change func(*ebpf.CollectionSpec)) *meter {
	t.Helper()
	m := &meter{cases: cases, empty: math.Inf(1), prepared: [2]float64{math.Inf(1), math.Inf(1)}}
	for i, lease := range []time.Duration{0, 100 * 365 * 24 * time.Hour} {
		// A session is free again at once, for opens.
		spec, err := loadEntriesSpec(Options{Lease: lease})
		if err != nil {
			t.Fatal(err)
		}
		change(spec)
		m.entries[i] = loadEntriesOf(t, spec, cases[0])
	}
	for range cases {
		m.whole = append(m.whole, math.Inf(1))
	}
	return m
}

// measure takes so many more samples of every handler.
func (m *meter) measure(t testing.TB, rounds int) {
	t.Helper()
	const repeat = 20_000
	sample := func(e *entryObjects, c handlerCase, p *ebpf.Program, want uint32) float64 {
		if err := e.place(c); err != nil {
			t.Fatal(err)
		}
		verdict, each, err := p.Benchmark(c.frame, repeat, nil)
		if err != nil || verdict != want {
			t.Fatalf("%s, %v: verdict %d, want %d: %v", c.name, p, verdict, want, err)
		}
		return float64(each)
	}
	for range rounds {
		e := m.entries[0]
		m.empty = min(m.empty, sample(e, m.cases[0], e.Empty, xdpPass))
		m.prepared[0] = min(m.prepared[0], sample(e, m.cases[0], e.PrepareOnly, xdpPass))
		m.prepared[1] = min(m.prepared[1], sample(e, m.cases[0], e.PrepareCopyOnly, xdpPass))
		for i, c := range m.cases {
			if c.leased {
				e = m.entries[1]
			} else {
				e = m.entries[0]
			}
			program := e.PrepareAndCoordinate
			if c.copied {
				program = e.PrepareCopyAndClone
			}
			before := readCounters(t, e.Counters)
			m.whole[i] = min(m.whole[i], sample(e, c, program, c.want))
			after := readCounters(t, e.Counters)
			all := after
			// A signal has the kernel begin anew, so there may have been more runs.
			if n := c.counts(&after) - c.counts(&before); n < repeat {
				t.Fatalf("%s: went that way %d times of %d; all that was counted: %+v", c.name, n, repeat, all.minus(&before))
			}
		}
	}
}

// costs are what was measured up to now.
func (m *meter) costs() []cost {
	var all []cost
	for i, c := range m.cases {
		prepared := m.prepared[0]
		if c.copied {
			prepared = m.prepared[1]
		}
		net := max(0, m.whole[i]-prepared)
		all = append(all, cost{c.name, net, math.Round(10*(net+m.empty)/m.empty) / 10, c.leased})
	}
	return all
}

// statistics says whether the kernel measured the programs meanwhile, which takes longer
// than an empty program does.
func (m *meter) statistics(t testing.TB) bool {
	stats, err := m.entries[0].Empty.Stats()
	if err != nil {
		t.Fatal(err)
	}
	return stats.RunCount > 0
}

// excess compares what was measured with the table, and returns a complaint for each
// handler that costs more than it may, or is not in both.
func excess(measured, table []cost) []string {
	var complaints []string
	allowed := map[string]float64{}
	for _, c := range table {
		allowed[c.Handler] = costMargin * c.Times
	}
	for _, c := range measured {
		switch limit, ok := allowed[c.Handler]; {
		case !ok:
			complaints = append(complaints, c.Handler+" is not in the table; make costs writes it")
		case c.Times > limit && !c.Clock:
			complaints = append(complaints, fmt.Sprintf("%s costs %.1f times as much as an empty program, more than %d times the table's %.1f",
				c.Handler, c.Times, costMargin, limit/costMargin))
		}
		delete(allowed, c.Handler)
	}
	for name := range allowed {
		complaints = append(complaints, name+" is in the table and is not measured; make costs writes it anew")
	}
	return complaints
}

func readCosts(t *testing.T) (table []cost) {
	t.Helper()
	text, err := os.ReadFile(costTable)
	if err == nil {
		err = json.Unmarshal(text, &table)
	}
	if err != nil {
		t.Fatalf("read the table of costs (make costs writes it): %v", err)
	}
	return table
}

// pauseStatistics has the kernel not measure the programs of the tests until the test ends.
func pauseStatistics(t *testing.T) {
	t.Helper()
	if err := stopStatistics(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := startStatistics(); err != nil {
			t.Error(err)
		}
	})
}

// TestCosts holds each handler to the table.
func TestCosts(t *testing.T) {
	pauseStatistics(t)
	m := newMeter(t, handlerCases())
	if *writeCosts {
		m.measure(t, costRoundsWritten)
		m.write(t)
		return
	}
	table := readCosts(t)
	m.measure(t, costRounds)
	if excess(m.costs(), table) != nil {
		t.Logf("measured again, as more samples only ever lower what is found: %v", excess(m.costs(), table))
		m.measure(t, costRoundsAgain)
	}
	for _, complaint := range excess(m.costs(), table) {
		t.Error(complaint)
	}
	if m.statistics(t) {
		t.Log("the kernel measured all programs for another process: an empty program took longer, and the ratios are too small")
	}
	t.Logf("an empty program takes %.0f ns; %+v", m.empty, m.costs())
}

// write writes the table, and the rows of the page.
func (m *meter) write(t *testing.T) {
	t.Helper()
	if m.statistics(t) {
		t.Fatal("the kernel measured all programs for another process, which takes longer than an empty program: nothing was written; try again")
	}
	text, err := json.MarshalIndent(m.costs(), "", "\t")
	if err == nil {
		err = os.WriteFile(costTable, append(text, '\n'), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range m.costs() {
		t.Logf("%-40s %4.0f ns %6.1f times", c.Handler, c.Nanoseconds, c.Times)
		for cell, value := range c.cells() {
			if err := evidence.Write(costPage, cell, value); err != nil {
				t.Error(err)
			}
		}
	}
}

// cells are the page's, by their names.
func (c cost) cells() map[string]string {
	return map[string]string{"ns of " + c.Handler: fmt.Sprintf("%.0f", c.Nanoseconds), "times of " + c.Handler: fmt.Sprintf("%.1f", c.Times)}
}

// TestCostsOnThePage: the page has the table's figures.
func TestCostsOnThePage(t *testing.T) {
	for _, c := range readCosts(t) {
		for cell, want := range c.cells() {
			if got, err := evidence.Read(costPage, cell); err != nil || got != want {
				t.Errorf("%s has %q for %s (%v), and the table %s; make costs writes both", costPage, got, cell, err, want)
			}
		}
	}
}

// TestCostsAreNoticed has what is measured be refused: a program with extra work, and
// tables with a figure too low, a row too many and a row too few.
func TestCostsAreNoticed(t *testing.T) {
	pauseStatistics(t)
	table := readCosts(t)
	cases := handlerCases()[:1]
	table = table[:1]
	slow := newMeterOf(t, cases, func(spec *ebpf.CollectionSpec) {
		program := spec.Programs["prepare_and_coordinate"]
		program.Instructions = slowed(program.Instructions)
	})
	slow.measure(t, 1)
	if got := excess(slow.costs(), table); len(got) != 1 || !strings.Contains(got[0], "times as much as an empty program") {
		t.Errorf("a program that does more is not refused: %v, measured %+v, table %+v", got, slow.costs(), table)
	}
	m := newMeter(t, cases)
	m.measure(t, 1)
	low := []cost{{Handler: cases[0].name, Times: m.costs()[0].Times/costMargin - 0.1}}
	for name, c := range map[string]struct {
		table     []cost
		complaint string
	}{
		"a figure too low": {low, "more than 2 times the table's"},
		"a row too many":   {append(low[:1:1], cost{Handler: "HandleNothing", Times: 1}), "HandleNothing is in the table and is not measured"},
		"a row too few":    {nil, "is not in the table"},
	} {
		if got := strings.Join(excess(m.costs(), c.table), "\n"); !strings.Contains(got, c.complaint) {
			t.Errorf("%s is not refused: %q", name, got)
		}
	}
}

// slowed is a program that counts to ten thousand before it does anything.
func slowed(program asm.Instructions) asm.Instructions {
	loop := asm.Instructions{
		asm.Mov.Imm(asm.R0, 10_000),
		asm.Sub.Imm(asm.R0, 1).WithSymbol("idle"),
		asm.JNE.Imm(asm.R0, 0, "idle"),
	}
	// Behind the first instruction, which has the function's name.
	return append(append(program[:1:1], loop...), program[1:]...)
}
