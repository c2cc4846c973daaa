// SPDX-License-Identifier: Apache-2.0

package linear

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"dalio/traces"
)

// Options says how to audit. The zero value is useful.
type Options struct {
	Format  string                // JSONL or EDN; empty: by the file's name
	Timeout time.Duration         // for the judging; zero: none but the context's
	Workers int                   // keys judged at a time; zero: as many as CPUs
	Memory  int64                 // bytes all searches may hold; zero: DefaultMemory
	Notify  func(done, total int) // called when all is read and after each key, one call at a time
}

// DefaultMemory is what the searches of an audit may hold together.
const DefaultMemory = 1 << 30

// coreTime bounds the making of one key's core.
const coreTime = 20 * time.Second

// Check judges a whole history. An error means that the history is unreadable.
func Check(ctx context.Context, source traces.Source, opt Options) (Report, error) {
	h, err := readHistory(source, true)
	if err != nil {
		return Report{}, err
	}
	return h.judge(ctx, opt), nil
}

// judge decides the keys that their versions did not.
func (h *history) judge(ctx context.Context, opt Options) Report {
	a := newAuditor(opt)
	if opt.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, opt.Timeout)
		defer cancel()
	}
	a.done, a.total = len(h.certified), len(h.certified)+len(h.others)
	reports := a.audit(ctx, h.others)
	for _, l := range h.certified {
		reports = append(reports, KeyReport{Key: l.key, Verdict: Linearizable, Operations: l.operations, Core: []Operation{}, ByVersions: true})
	}
	slices.SortFunc(reports, func(a, b KeyReport) int { return strings.Compare(a.Key, b.Key) })
	return summarize(reports)
}

type auditor struct {
	opt Options
	mem *memory

	mu    sync.Mutex
	done  int // keys
	total int
}

func newAuditor(opt Options) *auditor {
	if opt.Workers <= 0 {
		opt.Workers = runtime.GOMAXPROCS(0)
	}
	if opt.Memory <= 0 {
		opt.Memory = DefaultMemory
	}
	return &auditor{opt: opt, mem: newMemory(opt.Memory)}
}

// audit judges each register, a few at a time. Keys that ran out of memory in
// each other's company are judged once more, alone.
func (a *auditor) audit(ctx context.Context, registers []*register) []KeyReport {
	reports := make([]KeyReport, len(registers))
	crowded := make([]bool, len(registers))
	next := make(chan int)
	if a.opt.Notify != nil {
		a.opt.Notify(a.done, a.total)
	}
	var wg sync.WaitGroup
	for range min(a.opt.Workers, len(registers)) {
		wg.Go(func() {
			for i := range next {
				reports[i], crowded[i] = a.key(ctx, registers[i])
				a.notify(!crowded[i])
			}
		})
	}
	for i := range registers {
		next <- i
	}
	close(next)
	wg.Wait()
	for i := range reports {
		if crowded[i] {
			reports[i], _ = a.key(ctx, registers[i])
			a.notify(true)
		}
	}
	return reports
}

func (a *auditor) notify(done bool) {
	if a.opt.Notify == nil || !done {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.done++
	a.opt.Notify(a.done, a.total)
}

// key judges one register. The second result tells that it is undecided for
// lack of memory that other keys held.
func (a *auditor) key(ctx context.Context, r *register) (KeyReport, bool) {
	j := &judge{mem: a.mem, values: len(r.values)}
	report := KeyReport{Key: r.key, Operations: len(r.ops), Core: []Operation{}}
	ops := r.telling()
	v := undecided
	var proof []op
	if ctx.Err() == nil {
		v, proof = j.decide(ctx, ops)
	}
	switch v {
	case legal:
		report.Verdict = Linearizable
	case undecided:
		report.Verdict = Undecided
		report.Why = "the search was stopped by the time or memory limit"
		if ctx.Err() != nil {
			report.Why = "the time ran out"
		}
	case illegal:
		report.Verdict = NotLinearizable
		ctx, cancel := context.WithTimeout(ctx, coreTime)
		defer cancel()
		core, minimal := j.shrink(ctx, ops, proof)
		report.Minimal = minimal
		report.Core = r.export(core)
		r.explain(core, &report)
	}
	return report, v == undecided && j.crowded
}
