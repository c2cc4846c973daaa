// SPDX-License-Identifier: Apache-2.0

package linear

import (
	"math"

	"dalio/traces"
)

// The verdicts on a history or a key. Anything but Linearizable is a failure.
const (
	Linearizable    = "linearizable"
	NotLinearizable = "not linearizable"
	Undecided       = "undecided"
)

// Report is the verdict on a history: not linearizable if some key is not,
// else undecided if some key is, else linearizable.
type Report struct {
	Verdict string      `json:"verdict"`
	Keys    []KeyReport `json:"keys"` // in the order of the keys
}

// KeyReport is the verdict on one key.
type KeyReport struct {
	Key        string      `json:"key"`
	Verdict    string      `json:"verdict"`
	Operations int         `json:"operations"` // all that were invoked
	Core       []Operation `json:"core"`       // empty unless not linearizable
	// ByVersions tells that the order of the versions explains all that was seen.
	ByVersions bool `json:"by_versions,omitempty"`
	// Why says in words what is wrong. It calls the core's operations by
	// their Label.
	Why     string `json:"why,omitempty"`
	Minimal bool   `json:"minimal,omitempty"` // no operation can be left out of the core

	// For showing a bad key to a person. Order is a longest legal order of
	// some of the core's operations, and Stuck, as indices of the core, those
	// of which one would have to come next. Both are empty for large cores.
	Order []Step `json:"-"`
	Stuck []int  `json:"-"`
	// Periods are times at which the key certainly held a value, if such times
	// contradict each other.
	Periods []Period `json:"-"`
	// Context is what else happened to the key around the core.
	Context []Operation `json:"-"`
}

// Step is one operation of an order, and what the key holds after it.
type Step struct {
	Index int     // of the core
	Value *string // nil when the key is absent
}

// Period is a time at which the key certainly held a value.
type Period struct {
	Value    *string // nil when the key was absent
	From, To int64   // Always is the beginning of all time
	Moment   bool    // not all the time in between, but at some moment
}

// Always is the start of a period that has none.
const Always = math.MinInt64

// Label names the core's operation of an index: A, B, and so on.
func Label(index int) string {
	const letters = 26
	if index < letters {
		return string(rune('A' + index))
	}
	return Label(index/letters-1) + Label(index%letters)
}

// Operation is an invoke with its completion.
type Operation struct {
	Process int     `json:"process"`
	Type    string  `json:"type"` // ok, fail or info
	F       string  `json:"f"`
	Key     string  `json:"key"`
	Value   *string `json:"value"`   // written or read; null for a delete, and when absent
	Invoked int64   `json:"invoked"` // time of the invoke
	// Completed is the time of the completion, null when the outcome is unknown.
	Completed *int64 `json:"completed"`
	Line      int    `json:"line"` // of the invoke in the file
}

func summarize(keys []KeyReport) Report {
	report := Report{Verdict: Linearizable, Keys: keys}
	for i := range keys {
		report.Verdict = Worse(report.Verdict, keys[i].Verdict)
	}
	return report
}

// Worse returns the verdict on a whole whose parts have the verdicts a and b.
func Worse(a, b string) string {
	for _, v := range []string{NotLinearizable, Undecided} {
		if a == v || b == v {
			return v
		}
	}
	return Linearizable
}

// export converts operations to the form a report shows.
func (r *register) export(ops []op) []Operation {
	out := make([]Operation, 0, len(ops))
	for i := range ops {
		o := &ops[i]
		e := Operation{Process: o.process, Key: r.key, Invoked: o.call, Line: o.line}
		e.F = traces.Read
		if o.write {
			e.F = traces.Write
			if o.value == absent {
				e.F = traces.Delete
			}
		}
		e.Value = r.exportValue(o.value)
		e.Type = [...]string{succeeded: traces.OK, failed: traces.Fail, unknown: traces.Info}[o.outcome]
		if o.outcome != unknown {
			ret := o.ret
			e.Completed = &ret
		}
		out = append(out, e)
	}
	return out
}
