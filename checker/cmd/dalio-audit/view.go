// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"

	"dalio/checker/linear"
	"dalio/traces"
)

// maxShown bounds the operations of a core that a page shows. Only a core that
// could not be reduced in time has more.
const maxShown = 60

// keyPage is what the template of a bad key shows.
type keyPage struct {
	History, Key    string
	Enough, Why     string
	Core            []row
	CoreLine        timeline
	Order           []orderRow
	Next            []string
	Left            int // of the core, neither ordered nor next
	Context         []row
	ContextLine     timeline
	Start           int64
	CoreFile, Index string
}

// row is one operation in a table.
type row struct {
	Label, Action, Outcome string
	Process, Line          int
	From, To               string
	Invoked                int64
	Stuck, Core            bool
}

// orderRow is one step of the order that goes furthest.
type orderRow struct {
	Label, Action, Holds string
	Process              int
}

// newKeyPage prepares a bad key for the template.
func newKeyPage(path string, k linear.KeyReport) keyPage {
	core := make([]shown, 0, len(k.Core))
	for i, o := range k.Core {
		core = append(core, shown{o, linear.Label(i), slices.Contains(k.Stuck, i)})
	}
	p := keyPage{
		History: path, Key: k.Key, Enough: enough(k), Why: k.Why, Index: indexFile,
	}
	core = core[:min(len(core), maxShown)]
	all := slices.Clone(core)
	for _, o := range k.Context {
		all = append(all, shown{Operation: o})
	}
	slices.SortFunc(all, byTime)
	p.Start = all[0].Invoked
	p.Core, p.Context = rows(core, p.Start), rows(all, p.Start)
	p.CoreLine = drawTimeline(core, k.Periods, p.Start)
	if len(all) > len(core) {
		p.ContextLine = drawTimeline(all, nil, p.Start)
	}
	p.order(k)
	return p
}

// enough says how many of a key's operations prove that it is not linearizable.
func enough(k linear.KeyReport) string {
	n := len(k.Core)
	var s string
	switch {
	case n == k.Operations && n == 1:
		s = "Its only operation shows it"
	case n == k.Operations:
		s = fmt.Sprintf("Its %s show it", count(n, "operation"))
	case n == 1:
		s = fmt.Sprintf("One of its %s is enough to show it", count(k.Operations, "operation"))
	default:
		s = fmt.Sprintf("Of its %s, %s are enough to show it", count(k.Operations, "operation"), thousands(n))
	}
	if n > maxShown {
		s += fmt.Sprintf(" (the first %d are below)", maxShown)
	}
	switch {
	case !k.Minimal:
		s += "; the time ran out before fewer were tried"
	case n > 1:
		s += "; without any one of them, an explanation could be found for the others"
	}
	return s + "."
}

// order tells how far an order gets, and why it gets no further.
func (p *keyPage) order(k linear.KeyReport) {
	holds := (*string)(nil)
	for _, s := range k.Order {
		o := k.Core[s.Index]
		holds = s.Value
		p.Order = append(p.Order, orderRow{linear.Label(s.Index), action(o), state(holds), o.Process})
	}
	p.Left = len(k.Core) - len(k.Order) - len(k.Stuck)
	for _, i := range k.Stuck {
		o := k.Core[i]
		p.Next = append(p.Next, fmt.Sprintf("%s (%s) cannot come next: at that point the key %s.",
			linear.Label(i), action(o), holding(holds)))
	}
}

func holding(value *string) string {
	if value == nil {
		return "is absent"
	}
	return "holds " + state(value)
}

func rows(ops []shown, start int64) []row {
	out := make([]row, len(ops))
	for i, o := range ops {
		r := row{
			Label: o.label, Action: action(o.Operation), Process: o.Process, Line: o.Line,
			From: since(o.Invoked - start), To: "not known", Invoked: o.Invoked,
			Stuck: o.stuck, Core: o.label != "",
		}
		if o.Completed != nil {
			r.To = since(*o.Completed - start)
		}
		r.Outcome = map[string]string{
			traces.OK: "ok", traces.Fail: "failed: did not happen", traces.Info: "unknown: may happen at any later time",
		}[o.Type]
		out[i] = r
	}
	return out
}

// indexPage is what the template of the index shows.
type indexPage struct {
	Verdict   string
	Histories []indexHistory
}

type indexHistory struct {
	Path, Verdict, Error string
	Operations, Keys     string
	Good                 int
	Bad                  []indexKey
	Undecided            []linear.KeyReport
}

type indexKey struct {
	linear.KeyReport
	File string
}

// newIndexPage prepares the index. The files of the bad keys' pages are given
// in order.
func newIndexPage(histories []history, files []string) indexPage {
	p := indexPage{Verdict: linear.Linearizable}
	for _, h := range histories {
		i := indexHistory{Path: h.path, Verdict: h.report.Verdict}
		if h.err != nil {
			i.Verdict, i.Error = "unreadable", h.err.Error()
			p.Verdict = linear.Worse(p.Verdict, linear.Undecided)
		} else {
			p.Verdict = linear.Worse(p.Verdict, h.report.Verdict)
		}
		operations := 0
		for _, k := range h.report.Keys {
			operations += k.Operations
			switch k.Verdict {
			case linear.NotLinearizable:
				i.Bad = append(i.Bad, indexKey{k, files[0]})
				files = files[1:]
			case linear.Undecided:
				i.Undecided = append(i.Undecided, k)
			default:
				i.Good++
			}
		}
		i.Operations, i.Keys = count(operations, "operation"), count(len(h.report.Keys), "key")
		p.Histories = append(p.Histories, i)
	}
	return p
}
