// SPDX-License-Identifier: Apache-2.0

package traces

import "fmt"

// rules holds what a history's lines must satisfy together. The readers and
// the Recorder share it, so nothing is recorded that could not be read back.
type rules struct {
	processes map[int]*process
	last      int64
	started   bool
}

// process is one client's state: at most one open operation.
type process struct {
	f, key  string
	value   *string
	since   int // line of the open invoke, or of the info that retired it
	open    bool
	retired bool
}

func newRules() *rules {
	return &rules{processes: make(map[int]*process)}
}

// accept admits the next event, or says why it cannot be one.
func (r *rules) accept(e Event) error {
	if r.started && e.Time < r.last {
		return fmt.Errorf("time %d is before the previous line's %d: "+
			"sort the lines by the time of one monotonic clock", e.Time, r.last)
	}
	if e.Process < 0 {
		return fmt.Errorf("process %d is negative: number the processes from 0", e.Process)
	}
	p := r.processes[e.Process]
	if p == nil {
		p = &process{}
	}
	var err error
	switch e.Type {
	case Invoke:
		err = p.invoke(e)
	case OK, Fail, Info:
		err = p.complete(e)
	default:
		err = fmt.Errorf("unknown type %q: use invoke, ok, fail or info", e.Type)
	}
	if err != nil {
		return err
	}
	if e.Type == Invoke {
		r.processes[e.Process] = p
	}
	r.last, r.started = e.Time, true
	return nil
}

func (p *process) invoke(e Event) error {
	if p.retired {
		return fmt.Errorf("process %d is used again after its info%s: "+
			"an operation of unknown outcome is never over, so continue under a new process number",
			e.Process, atLine(p.since))
	}
	if p.open {
		return fmt.Errorf("process %d invokes a %s while its %s%s is still open: "+
			"give concurrent operations different process numbers, or record the missing completion",
			e.Process, e.F, p.f, atLine(p.since))
	}
	switch e.F {
	case Write:
		if e.Value == nil {
			return fmt.Errorf("a write of key %q has no value: record what was written, "+
				"or use f \"delete\" to make a key absent", e.Key)
		}
	case Read, Delete:
		if e.Value != nil {
			return fmt.Errorf("the invoke of a %s carries the value %q: it must be null", e.F, *e.Value)
		}
	default:
		return fmt.Errorf("unknown f %q: use read, write or delete (only registers can be audited)", e.F)
	}
	p.f, p.key, p.value, p.since, p.open = e.F, e.Key, e.Value, e.Line, true
	return nil
}

func (p *process) complete(e Event) error {
	if !p.open {
		return fmt.Errorf("process %d completes a %s it did not invoke: "+
			"record an invoke before each %s", e.Process, e.F, e.Type)
	}
	if e.F != p.f {
		return fmt.Errorf("process %d completes a %s, but its open operation%s is a %s: "+
			"a completion repeats the f of its invoke", e.Process, e.F, atLine(p.since), p.f)
	}
	if e.Key != p.key {
		return fmt.Errorf("process %d completes a %s of key %q, but its open operation%s is on key %q: "+
			"a completion repeats the key of its invoke", e.Process, e.F, e.Key, atLine(p.since), p.key)
	}
	if err := p.completeValue(e); err != nil {
		return err
	}
	p.open, p.value = false, nil
	if e.Type == Info {
		p.retired, p.since = true, e.Line
	}
	return nil
}

// completeValue checks that a completion says nothing its invoke contradicts.
func (p *process) completeValue(e Event) error {
	if e.Value == nil {
		return nil
	}
	switch {
	case e.F == Write && *e.Value != *p.value:
		return fmt.Errorf("process %d completes its write of %q with the value %q: "+
			"repeat the value that was written", e.Process, *p.value, *e.Value)
	case e.F == Delete:
		return fmt.Errorf("the %s of a delete carries the value %q: it must be null", e.Type, *e.Value)
	case e.F == Read && e.Type != OK:
		return fmt.Errorf("the %s of a read carries the value %q: "+
			"a read that returned a value is ok, any other has the value null", e.Type, *e.Value)
	}
	return nil
}

func atLine(line int) string {
	if line == 0 {
		return ""
	}
	return fmt.Sprintf(" (line %d)", line)
}
