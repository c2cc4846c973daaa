// SPDX-License-Identifier: Apache-2.0

package linear

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"

	"dalio/traces"
)

// told has what the system said of each operation, nil if nothing.
type told []*traces.Version

// honest numbers the operations along a legal order.
func honest(rng *rand.Rand, ops []op, order []int) told {
	versions := make(told, len(ops))
	var v traces.Version
	for _, i := range order {
		if ops[i].write {
			if v.Seq++; v.Epoch == 0 || rng.IntN(4) == 0 {
				v = traces.Version{Epoch: v.Epoch + 1, Seq: 1 + rng.Uint64N(3)}
			}
		}
		if ops[i].outcome == succeeded {
			now := v
			versions[i] = &now
		}
	}
	return versions
}

// guessed numbers the operations without regard to anything.
func guessed(rng *rand.Rand, ops []op) told {
	versions := make(told, len(ops))
	for i := range ops {
		if ops[i].outcome == succeeded {
			versions[i] = &traces.Version{Epoch: 1, Seq: rng.Uint64N(uint64(len(ops)))}
			if rng.IntN(4) == 0 {
				versions[i] = &traces.Version{}
			}
		}
	}
	return versions
}

// lying changes some of what was told.
func (v told) lying(rng *rand.Rand) told {
	lie := append(told{}, v...)
	for range 1 + rng.IntN(2) {
		i, k := rng.IntN(len(lie)), rng.IntN(len(lie))
		switch rng.IntN(4) {
		case 0:
			lie[i], lie[k] = lie[k], lie[i]
		case 1:
			lie[i] = lie[k]
		case 2:
			lie[i] = nil
		case 3:
			if lie[i] != nil {
				lie[i] = &traces.Version{Epoch: lie[i].Epoch, Seq: lie[i].Seq + rng.Uint64N(3) - 1}
			}
		}
	}
	return lie
}

// eventsOf writes a history as a client would record it. Events of equal times come
// in any order that keeps each process's own.
func eventsOf(rng *rand.Rand, ops []op, versions told) []traces.Event {
	var processes [][]traces.Event
	for i := range ops {
		o := &ops[i]
		for len(processes) <= o.process {
			processes = append(processes, nil)
		}
		e := traces.Event{Process: o.process, Type: traces.Invoke, F: traces.Read, Key: "k", Time: o.call}
		var value *string
		if o.value != absent {
			text := strconv.Itoa(int(o.value))
			value = &text
		}
		if o.write {
			if e.F = traces.Write; o.value == absent {
				e.F = traces.Delete
			}
			e.Value = value
		}
		processes[o.process] = append(processes[o.process], e)
		e.Type, e.Time, e.Value = [...]string{traces.OK, traces.Fail, traces.Info}[o.outcome], o.ret, value
		if versions != nil && i < len(versions) {
			e.Version = versions[i]
		}
		if o.outcome != unknown {
			processes[o.process] = append(processes[o.process], e)
		} else if rng.IntN(2) == 0 {
			e.Time = o.call + rng.Int64N(3)
			processes[o.process] = append(processes[o.process], e)
		}
	}
	return merge(rng, processes)
}

func merge(rng *rand.Rand, processes [][]traces.Event) (all []traces.Event) {
	for {
		next, ties := -1, 0
		for p, events := range processes {
			if len(events) == 0 {
				continue
			}
			if next < 0 || events[0].Time < processes[next][0].Time {
				next, ties = p, 1
			} else if events[0].Time == processes[next][0].Time {
				if ties++; rng.IntN(ties) == 0 {
					next = p
				}
			}
		}
		if next < 0 {
			return all
		}
		all = append(all, processes[next][0])
		processes[next] = processes[next][1:]
	}
}

// certified says whether the versions in a history explain it.
func certified(events []traces.Event) bool {
	c := newCertifier()
	for i := range events {
		c.add(&events[i])
	}
	for _, l := range c.close() {
		return !l.broken
	}
	return false
}

// TestVersionsDecideRightly: versions never make a wrong history pass, whatever they
// say, and those of a system that tells the truth always explain a right one. What is
// decided with them is what Porcupine and the brute force decide without.
func TestVersionsDecideRightly(t *testing.T) {
	histories := 40_000
	if raceEnabled {
		histories /= 20
	}
	for name, s := range map[string]shape{
		"unique":              {unique: true, values: 4},
		"unique with deletes": {unique: true, deletes: true, values: 4},
		"repeated":            {values: 2, deletes: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(19, 23))
			j := testJudge()
			counts := map[string]int{}
			for range histories {
				ops := randomOps(rng, s)
				order, legalOnes := anyOrder(ops)
				if got := j.search(context.Background(), tellingOf(ops)); (got == legal) != legalOnes {
					t.Fatalf("Porcupine says %v, the brute force %v, of %s", got, legalOnes, describe(ops))
				}
				truth := guessed(rng, ops)
				if legalOnes {
					truth = honest(rng, ops, order)
					if !certified(eventsOf(rng, ops, truth)) {
						t.Fatalf("true versions do not explain %s", describeWith(ops, truth))
					}
				}
				for kind, versions := range map[string]told{"as told": truth, "lying": truth.lying(rng), "guessed": guessed(rng, ops), "none": nil} {
					holds := certified(eventsOf(rng, ops, versions))
					if holds && !legalOnes {
						t.Fatalf("versions (%s) make a wrong history pass: %s", kind, describeWith(ops, versions))
					}
					got := holds
					if !holds {
						v, _ := j.decide(context.Background(), tellingOf(ops))
						got = v == legal
					}
					if got != legalOnes {
						t.Fatalf("with versions (%s) the audit says %v, the brute force %v, of %s", kind, got, legalOnes, describeWith(ops, versions))
					}
					counts[fmt.Sprintf("%s, linearizable %v, explained %v", kind, legalOnes, holds)]++
				}
			}
			t.Logf("%d histories: %v", histories, counts)
			for _, kind := range []string{"lying, linearizable true, explained false", "lying, linearizable true, explained true", "as told, linearizable false, explained false"} {
				if counts[kind] < histories/40 {
					t.Errorf("only %d histories are %s: the comparison is weak", counts[kind], kind)
				}
			}
		})
	}
}

func describeWith(ops []op, versions told) string {
	s := describe(ops)
	for i, v := range versions {
		if v != nil {
			s += fmt.Sprintf("  operation %d: version %v\n", i, *v)
		}
	}
	return s
}

// FuzzVersions: histories and versions made of any bytes; the versions never make a
// wrong one pass.
func FuzzVersions(f *testing.F) {
	f.Add([]byte{1, 0, 1, 1, 0, 0, 1, 2, 1, 1, 2, 3, 1, 0, 1}, []byte{1, 1, 0})
	f.Add([]byte{3, 0, 4, 2, 0, 0, 2, 2, 2, 1, 1, 5, 0, 0, 2}, []byte{9, 1, 2})
	f.Fuzz(func(t *testing.T, data, versions []byte) {
		ops := opsOf(data)
		said := make(told, min(len(ops), len(versions)))
		for i := range said {
			if v := versions[i]; v < 64 {
				said[i] = &traces.Version{Epoch: uint64(v >> 3), Seq: uint64(v & 7)}
			}
		}
		if certified(eventsOf(rand.New(rand.NewPCG(1, uint64(len(data)))), ops, said)) && !bruteForce(ops) {
			t.Fatalf("versions make a wrong history pass: %s", describeWith(ops, said))
		}
	})
}
