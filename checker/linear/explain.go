// SPDX-License-Identifier: Apache-2.0

package linear

import (
	"fmt"
	"strconv"
	"strings"
)

// explain adds to the report what a person needs to understand the core.
func (r *register) explain(core []op, report *KeyReport) {
	report.Order, report.Stuck = r.furthest(core)
	report.Context = r.export(r.context(core, report.Stuck))
	if report.Why = r.whyImpossible(core); report.Why != "" {
		return
	}
	all := r.telling()
	if report.Why = r.whyGone(core, all); report.Why != "" {
		return
	}
	if report.Why, report.Periods = r.whyClash(core, all); report.Why != "" {
		return
	}
	report.Why = "Each operation could have happened by itself, but no order of all of them " +
		"respects both the times and the values read." + r.sayOrder(core, report)
}

// sayOrder says how far an order gets.
func (r *register) sayOrder(core []op, report *KeyReport) string {
	if len(report.Order) == 0 || len(report.Stuck) == 0 {
		return ""
	}
	labels := make([]string, len(report.Order))
	for i, step := range report.Order {
		labels[i] = Label(step.Index)
	}
	last := report.Stuck[0]
	return fmt.Sprintf(" One that goes as far as any is %s; then %s, which %s, does not fit.",
		strings.Join(labels, ", "), Label(last), r.does(&core[last]))
}

// quote names a value.
func (r *register) quote(value int32) string { return strconv.Quote(r.values[value]) }

// does says what an operation does, after its name.
func (r *register) does(o *op) string {
	switch {
	case o.write && o.value == absent:
		return "deleted the key"
	case o.write:
		return "wrote " + r.quote(o.value)
	case o.value == absent:
		return "found the key absent"
	default:
		return "read " + r.quote(o.value)
	}
}

// whyImpossible explains a read of what nobody had asked to write.
func (r *register) whyImpossible(core []op) string {
	for i := range core {
		read := &core[i]
		if read.write || read.value == absent {
			continue
		}
		first := none // the earliest write of the value in the whole history
		for k := range r.ops {
			if r.ops[k].write && r.ops[k].value == read.value && r.ops[k].outcome != failed {
				first = k
				break
			}
		}
		if first == none {
			return r.whyUnwritten(i, read)
		}
		if w := &r.ops[first]; before(read, w) {
			return fmt.Sprintf("%s %s and was over before %s, the first write of %s, was even asked for.",
				Label(i), r.does(read), nameOf(core, w), r.quote(read.value))
		}
	}
	return ""
}

// whyUnwritten explains a read of a value without any write that may have
// happened.
func (r *register) whyUnwritten(i int, read *op) string {
	for k := range r.ops {
		if w := &r.ops[k]; w.write && w.value == read.value {
			return fmt.Sprintf("%s %s, but the write of %s (line %d) failed: its client was told that "+
				"it certainly did not happen.", Label(i), r.does(read), r.quote(read.value), w.line)
		}
	}
	return fmt.Sprintf("%s %s, which nobody ever wrote.", Label(i), r.does(read))
}

// nameOf returns an operation's label if it is in the core, else its line.
func nameOf(core []op, o *op) string {
	for i := range core {
		if core[i].index == o.index {
			return Label(i)
		}
	}
	return fmt.Sprintf("line %d", o.line)
}

// whyGone explains a read of what was certainly replaced before it began: a
// witness in the core excludes every write among all operations.
func (r *register) whyGone(core, all []op) string {
	seen := newWitnesses(core)
	writes := sourcesOf(all)
	for i := range core {
		read := &core[i]
		witness := seen.against(read)
		if read.write || witness == nil || writes.serve(read, witness) {
			continue
		}
		return r.sayGone(core, read, witness)
	}
	return ""
}

func (r *register) sayGone(core []op, read, witness *op) string {
	var s strings.Builder
	d, w := nameOf(core, read), nameOf(core, witness)
	gone := r.quote(read.value) + " was gone"
	if read.value == absent {
		gone = "it was no longer absent"
	}
	fmt.Fprintf(&s, "%s %s, but %s by then. ", d, r.does(read), gone)
	for i := range core {
		if o := &core[i]; o.write && o.value == read.value && before(o, witness) {
			fmt.Fprintf(&s, "%s %s and was over before %s began. ", Label(i), r.does(o), w)
		}
	}
	fmt.Fprintf(&s, "%s %s and was over before %s began. ", w, r.does(witness), d)
	if read.value == absent {
		s.WriteString("No delete could have come in between.")
	} else {
		fmt.Fprintf(&s, "Nothing could have written %s again in between.", r.quote(read.value))
	}
	return s.String()
}

// whyClash explains two values that would have to be current at once. Values
// written more than once among all operations have no such time, even if the
// core holds only one of the writes.
func (r *register) whyClash(core, all []op) (string, []Period) {
	clusters, rest := gather(core, countWrites(all, len(r.values)))
	c := findConflict(core, clusters, rest)
	if c == nil {
		return "", nil
	}
	held := r.sayPeriod(core, c.period)
	periods := []Period{r.period(core, c.period)}
	if c.other == nil {
		return fmt.Sprintf("%s Yet %s %s, from start to end, within that time.",
			held, Label(c.lone), r.does(&core[c.lone])), periods
	}
	if c.other.forward() {
		return fmt.Sprintf("%s %s These times overlap, and a key holds one value at a time.",
			held, r.sayPeriod(core, c.other)), append(periods, r.period(core, c.other))
	}
	return fmt.Sprintf("%s Yet it %s, within that time.", held, r.sayMoment(core, c.other)),
		append(periods, r.period(core, c.other))
}

// sayMoment says when a value without a period of its own was current: it was
// there before the first of its operations ended, and after the last began.
func (r *register) sayMoment(core []op, c *cluster) string {
	first, last := &core[c.first], &core[c.last]
	if c.first == c.last {
		return fmt.Sprintf("held %s at some moment during %s, which %s", r.quote(last.value), Label(c.last), r.does(last))
	}
	return fmt.Sprintf("held %s at some moment between the start of %s, which %s, and the end of %s, which %s",
		r.quote(last.value), Label(c.last), r.does(last), Label(c.first), r.does(first))
}

// period converts a cluster to the form a report shows.
func (r *register) period(core []op, c *cluster) Period {
	p := Period{Value: r.exportValue(core[c.last].value), From: c.f, To: c.s}
	if !c.forward() {
		p.From, p.To, p.Moment = c.s, c.f, true
	}
	return p
}

// sayPeriod says from when to when a value was certainly current.
func (r *register) sayPeriod(core []op, c *cluster) string {
	last := &core[c.last]
	value := "the value " + r.quote(last.value)
	if last.value == absent {
		value = "no value"
	}
	if c.first == none {
		return fmt.Sprintf("The key held %s from the beginning to the start of %s, which still %s.",
			value, Label(c.last), r.does(last))
	}
	return fmt.Sprintf("The key held %s from the end of %s, which %s, to the start of %s, which still %s.",
		value, Label(c.first), r.does(&core[c.first]), Label(c.last), r.does(last))
}
