// SPDX-License-Identifier: Apache-2.0

// Package synth makes histories of an imagined store that is linearizable by
// construction, and can plant a fault. It serves the tests and measurements of
// the judge.
package synth

import (
	"container/heap"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"sort"
	"strconv"

	"dalio/traces"
)

// Config says what a history looks like.
type Config struct {
	Seed       uint64
	Operations int
	Keys       int
	Processes  int     // operations open at a time
	Skew       float64 // of the Zipf distribution of keys; zero is uniform
	Writes     float64 // share of operations that write or delete
	Info       float64 // share of operations of unknown outcome
	Fail       float64 // share of operations that certainly did not happen
	DeleteKeys float64 // share of keys that are also deleted
	Stale      bool    // one read returns a value that was overwritten before it
	Versions   bool    // each answer tells the version
	Values     int     // if not zero, writes choose from so many values
}

// Large is a history with a hot key and pending writes all along: both are more
// than Porcupine can search.
var Large = Config{
	Seed: 1, Operations: 1_000_000, Keys: 1000, Processes: 16, Skew: 0.99, Writes: 0.5, Info: 0.01, Fail: 0.01,
}

// Versioned is a history of ten million operations whose answers tell versions. A
// quarter of the keys is deleted now and then, and few values are written again and
// again: without versions nothing could decide it.
var Versioned = Config{
	Seed: 1, Operations: 10_000_000, Keys: 1000, Processes: 16, Skew: 0.99, Writes: 0.5, Info: 0.01, Fail: 0.01,
	DeleteKeys: 0.25, Versions: true, Values: 1000,
}

// Write records the history into w, and returns the key of the planted read.
func Write(w io.Writer, c Config) (stale string, err error) {
	s := newStore(c)
	rec := traces.NewRecorderClock(w, func() int64 { return s.now })
	s.rec = rec
	s.run()
	if err := rec.Close(); err != nil {
		return "", fmt.Errorf("make history: %w", err)
	}
	if c.Stale && s.planted == "" {
		return "", fmt.Errorf("make history: %d operations gave no occasion for a stale read, make more", c.Operations)
	}
	return s.planted, nil
}

// store executes operations at instants within their intervals.
type store struct {
	Config
	rng     *rand.Rand
	rec     *traces.Recorder
	cdf     []float64
	keys    []entry
	events  queue
	now     int64
	started int
	next    int // the next process number
	values  int
	seq     uint64
	planted string
}

// recent is how many completed writes of a key are remembered.
const recent = 16

// entry is one key: what it holds, and its last completed writes.
type entry struct {
	name    string
	value   *string
	version traces.Version
	deletes bool
	last    []*operation
}

type operation struct {
	process   int
	f         string
	key       *entry
	value     *string // written, or read
	version   traces.Version
	call, ret int64
	typ       string
}

// event is a step of an operation at a time.
type event struct {
	time int64
	step func()
}

func newStore(c Config) *store {
	s := &store{Config: c, rng: rand.New(rand.NewPCG(c.Seed, 1)), next: c.Processes}
	total := 0.0
	for k := range c.Keys {
		total += math.Pow(float64(k+1), -c.Skew)
		s.cdf = append(s.cdf, total)
		s.keys = append(s.keys, entry{
			name: "k" + strconv.Itoa(k), deletes: s.rng.Float64() < c.DeleteKeys,
		})
	}
	for p := range c.Processes {
		s.at(s.rng.Int64N(1000), func() { s.invoke(p) })
	}
	return s
}

func (s *store) at(time int64, step func()) { heap.Push(&s.events, event{time, step}) }

func (s *store) run() {
	for len(s.events) > 0 {
		e := heap.Pop(&s.events).(event)
		s.now = e.time
		e.step()
	}
}

func (s *store) pick() *entry {
	u := s.rng.Float64() * s.cdf[len(s.cdf)-1]
	return &s.keys[sort.SearchFloat64s(s.cdf, u)]
}

// invoke starts an operation of a process and plans its effect and its end.
func (s *store) invoke(process int) {
	if s.started == s.Operations {
		return
	}
	s.started++
	o := &operation{process: process, f: traces.Read, key: s.pick(), call: s.now, typ: traces.OK}
	if s.rng.Float64() < s.Writes {
		s.values++
		if s.Values > 0 {
			s.values = s.rng.IntN(s.Values)
		}
		v := "v" + strconv.Itoa(s.values)
		o.f, o.value = traces.Write, &v
		if o.key.deletes && s.rng.IntN(2) == 0 {
			o.f, o.value = traces.Delete, nil
		}
	}
	s.rec.Invoke(process, o.f, o.key.name, o.value)
	o.ret = s.now + 50 + s.rng.Int64N(1000)
	effect := s.now + s.rng.Int64N(o.ret-s.now)
	switch u := s.rng.Float64(); {
	case u < s.Info:
		o.typ = traces.Info
		effect += s.rng.Int64N(20_000) // It may take effect long after.
	case u < s.Info+s.Fail:
		o.typ = traces.Fail
	}
	if o.typ == traces.OK || o.typ == traces.Info && s.rng.IntN(2) == 0 {
		s.at(effect, func() { s.apply(o) })
	}
	s.at(o.ret, func() { s.complete(o) })
}

func (s *store) apply(o *operation) {
	if o.f == traces.Read {
		o.value, o.version = o.key.value, o.key.version
		return
	}
	s.seq++
	o.version = traces.Version{Epoch: 1, Seq: s.seq}
	o.key.value, o.key.version = o.value, o.version
}

func (s *store) complete(o *operation) {
	if o.f == traces.Read && o.typ == traces.OK {
		s.plant(o)
	}
	var version *traces.Version
	if s.Versions && o.typ == traces.OK {
		version = &o.version
	}
	s.rec.CompleteVersion(o.process, o.typ, o.value, version)
	if o.f != traces.Read && o.typ == traces.OK {
		o.key.last = append(o.key.last, o)
		o.key.last = o.key.last[max(0, len(o.key.last)-recent):]
	}
	process := o.process
	if o.typ == traces.Info {
		process = s.next
		s.next++
	}
	s.at(s.now+1+s.rng.Int64N(200), func() { s.invoke(process) })
}

// plant makes one read after the middle of the history return what was
// certainly overwritten before it began.
func (s *store) plant(o *operation) {
	if !s.Stale || s.planted != "" || s.started < s.Operations/2 {
		return
	}
	for _, older := range o.key.last {
		for _, newer := range o.key.last {
			if older.f == traces.Write && older.ret < newer.call && newer.ret < o.call {
				o.value, o.version, s.planted = older.value, older.version, o.key.name
				return
			}
		}
	}
}

// queue orders events by time, as a heap.
type queue []event

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].time < q[j].time }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)        { *q = append(*q, x.(event)) }
func (q *queue) Pop() any {
	old := *q
	e := old[len(old)-1]
	*q = old[:len(old)-1]
	return e
}
