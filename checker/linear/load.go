// SPDX-License-Identifier: Apache-2.0

package linear

import (
	"errors"
	"io"
	"sort"

	"dalio/traces"
)

// eachEvent reads a history to its end. The source checks that the events fit together.
func eachEvent(source traces.Source, add func(*traces.Event)) error {
	for {
		event, err := source.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		add(&event)
	}
}

// loader splits a history into registers.
type loader struct {
	only map[string]bool // the keys to load; nil: all
	keys map[string]*loading
	open map[int]place // each process's open operation
}

func newLoader(only map[string]bool) *loader {
	return &loader{only: only, keys: make(map[string]*loading), open: make(map[int]place)}
}

type loading struct {
	register
	numbers map[string]int32
}

type place struct {
	key   *loading
	index int
}

func (l *loader) add(e *traces.Event) {
	if l.only != nil && !l.only[e.Key] {
		return
	}
	if e.Type == traces.Invoke {
		l.invoke(e)
		return
	}
	at := l.open[e.Process]
	delete(l.open, e.Process)
	o := &at.key.ops[at.index]
	switch e.Type {
	case traces.OK:
		o.ret, o.outcome = e.Time, succeeded
		if !o.write {
			o.value = at.key.number(e.Value)
		}
	case traces.Fail:
		o.ret, o.outcome = e.Time, failed
	}
}

// invoke opens an operation; until completed its outcome is unknown.
func (l *loader) invoke(e *traces.Event) {
	k := l.keys[e.Key]
	if k == nil {
		k = &loading{
			register: register{key: e.Key, values: []string{""}},
			numbers:  make(map[string]int32),
		}
		l.keys[e.Key] = k
	}
	l.open[e.Process] = place{k, len(k.ops)}
	k.ops = append(k.ops, op{
		call: e.Time, ret: forever, process: e.Process, line: e.Line,
		index: int32(len(k.ops)), value: k.number(e.Value), write: e.F != traces.Read, outcome: unknown,
	})
}

// number returns a value's number, a new one for a new value.
func (k *loading) number(value *string) int32 {
	if value == nil {
		return absent
	}
	n, ok := k.numbers[*value]
	if !ok {
		n = int32(len(k.values))
		k.numbers[*value] = n
		k.values = append(k.values, *value)
	}
	return n
}

// registers returns what was loaded, sorted by key.
func (l *loader) registers() []*register {
	registers := make([]*register, 0, len(l.keys))
	for _, k := range l.keys {
		k.numbers = nil
		registers = append(registers, &k.register)
	}
	sort.Slice(registers, func(i, j int) bool { return registers[i].key < registers[j].key })
	return registers
}
