// SPDX-License-Identifier: Apache-2.0

package linear

import "dalio/traces"

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
	Why        string      `json:"why,omitempty"`
	Minimal    bool        `json:"minimal,omitempty"` // the core was reduced to the end
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
		if o.value != absent {
			e.Value = &r.values[o.value]
		}
		e.Type = [...]string{succeeded: traces.OK, failed: traces.Fail, unknown: traces.Info}[o.outcome]
		if o.outcome != unknown {
			ret := o.ret
			e.Completed = &ret
		}
		out = append(out, e)
	}
	return out
}
