// SPDX-License-Identifier: Apache-2.0

package linear

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// bruteForce decides by trying every order: deliberately dumb, and it shares
// nothing with the judge but the operations' form. It takes whole histories,
// failed operations and lost reads included.
func bruteForce(ops []op) bool {
	_, legal := anyOrder(ops)
	return legal
}

// anyOrder returns a legal order, as indices, if there is one. Writes of unknown
// outcome are in it only if they had to happen.
func anyOrder(ops []op) (order []int, legal bool) {
	used := make([]bool, len(ops))
	var place func(value int32) bool
	place = func(value int32) bool {
		done := true
		for i := range ops {
			must := ops[i].outcome == succeeded
			done = done && (used[i] || !must)
		}
		if done {
			return true
		}
		for i := range ops {
			o := &ops[i]
			if used[i] || o.outcome == failed || o.outcome == unknown && !o.write {
				continue
			}
			late := false // some operation not yet placed returned before o was called
			for k := range ops {
				if !used[k] && ops[k].outcome == succeeded && ops[k].ret < o.call {
					late = true
				}
			}
			if late || !o.write && o.value != value {
				continue
			}
			next := value
			if o.write {
				next = o.value
			}
			used[i], order = true, append(order, i)
			ok := place(next)
			used[i] = false
			if ok {
				return true
			}
			order = order[:len(order)-1]
		}
		return false
	}
	return order, place(absent)
}

// shape says what random histories look like.
type shape struct {
	unique, deletes bool
	values          int32 // how many reads choose from
}

// randomOps returns a history of up to eight operations of three processes on
// so few instants that equal times are common.
func randomOps(rng *rand.Rand, s shape) []op {
	const processes, instants = 3, 9
	free := make([]int64, processes)
	written := int32(0)
	var ops []op
	for range 4 + rng.IntN(5) {
		p := rng.IntN(processes)
		if free[p] > instants {
			continue
		}
		call := free[p] + rng.Int64N(3)
		o := op{call: call, ret: call + rng.Int64N(4), process: p, index: int32(len(ops)), write: rng.IntN(5) < 2}
		switch {
		case o.write && s.deletes && rng.IntN(3) == 0:
			o.value = absent
		case o.write && s.unique:
			written++
			o.value = written
		case o.write:
			o.value = 1 + rng.Int32N(s.values)
		}
		free[p] = o.ret
		switch rng.IntN(10) {
		case 0:
			o.outcome = failed
		case 1:
			o.outcome, o.ret, free[p] = unknown, forever, forever
		}
		ops = append(ops, o)
	}
	aimReads(rng, ops, s, written)
	slices.SortStableFunc(ops, func(a, b op) int { return int(a.call - b.call) })
	for i := range ops {
		ops[i].index = int32(i)
	}
	return ops
}

// aimReads gives most reads a value some write in reach could have left, so
// that legal histories are as common as illegal ones.
func aimReads(rng *rand.Rand, ops []op, s shape, written int32) {
	for i := range ops {
		r := &ops[i]
		if r.write {
			continue
		}
		candidates := []int32{absent}
		for k := range ops {
			if ops[k].write && ops[k].outcome != failed && ops[k].call <= r.ret {
				candidates = append(candidates, ops[k].value)
			}
		}
		r.value = candidates[len(candidates)-1-rng.IntN(min(3, len(candidates)))]
		if rng.IntN(10) == 0 {
			r.value = rng.Int32N(max(written, s.values) + 1)
		}
	}
}

const numbers = 16 // more than any random history has values

func testJudge() *judge { return &judge{mem: newMemory(DefaultMemory), values: numbers} }

func tellingOf(ops []op) []op { return (&register{ops: ops}).telling() }

// TestDecisionsAgree compares the brute force with Porcupine's model and with
// what the audit decides, which for unique values is the cluster test.
func TestDecisionsAgree(t *testing.T) {
	tests := []struct {
		name      string
		shape     shape
		histories int
	}{
		{"unique", shape{unique: true, values: 4}, 100_000},
		{"unique with deletes", shape{unique: true, deletes: true, values: 4}, 40_000},
		{"repeated", shape{values: 2, deletes: true}, 40_000},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			agree(t, test.shape, test.histories)
		})
	}
}

func agree(t *testing.T, s shape, histories int) {
	rng := rand.New(rand.NewPCG(7, 11))
	j := testJudge()
	count := map[bool]int{}
	zones := map[bool]int{}
	for range histories {
		ops := randomOps(rng, s)
		want := bruteForce(ops)
		count[want]++
		judged := tellingOf(ops)
		if got := j.search(context.Background(), judged); (got == legal) != want || got == undecided {
			t.Fatalf("Porcupine says %v, the brute force %v, of %s", got, want, describe(ops))
		}
		if got, _ := j.decide(context.Background(), judged); (got == legal) != want || got == undecided {
			t.Fatalf("the audit says %v, the brute force %v, of %s", got, want, describe(ops))
		}
		if got, _ := decideZones(judged, numbers); got != undecided {
			zones[want]++
			if (got == legal) != want {
				t.Fatalf("the clusters say %v, the brute force %v, of %s", got, want, describe(ops))
			}
		} else if s.unique && !s.deletes {
			t.Fatalf("the cluster test does not apply to %s", describe(ops))
		}
	}
	t.Logf("verdicts %v, of these by clusters %v", count, zones)
	for _, verdict := range []bool{true, false} {
		if count[verdict] < histories/4 {
			t.Errorf("only %d of %d histories have linearizable=%v: the comparison is weak", count[verdict], histories, verdict)
		}
		if s.unique && zones[verdict] < histories/10 {
			t.Errorf("the cluster test decided only %d histories with linearizable=%v", zones[verdict], verdict)
		}
	}
}

// TestClosedPartsOfLegalHistoriesAreLegal is what makes a core a proof.
func TestClosedPartsOfLegalHistoriesAreLegal(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 5))
	parts, reads := 0, 0
	for parts < 40_000 {
		ops := tellingOf(randomOps(rng, shape{values: 2, deletes: true, unique: parts%2 == 0}))
		if !bruteForce(ops) {
			continue
		}
		keep := make([]bool, len(ops))
		for i := range keep {
			keep[i] = rng.IntN(3) > 0
		}
		part := closed(ops, keep)
		if len(part) == len(ops) {
			continue
		}
		parts++
		for i := range part {
			if !part[i].write {
				reads++
			}
		}
		if !bruteForce(part) {
			t.Fatalf("legal %s has the closed part %s", describe(ops), describe(part))
		}
	}
	if reads < parts/2 {
		t.Errorf("%d closed parts hold only %d reads: closing removes too much to test anything", parts, reads)
	}
}

// TestCoresAreMinimalProofs judges cores by the brute force alone.
func TestCoresAreMinimalProofs(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 17))
	for cores := 0; cores < 20_000; {
		ops := tellingOf(randomOps(rng, shape{values: 3, deletes: true, unique: cores%2 == 0}))
		if bruteForce(ops) {
			continue
		}
		cores++
		_, proof := testJudge().decide(context.Background(), ops)
		if len(part(ops, proof, none)) != len(proof) {
			t.Fatalf("proof %s of %s is not closed: making the core would start from everything", describe(proof), describe(ops))
		}
		core, minimal := testJudge().shrink(context.Background(), ops, proof)
		if !minimal || bruteForce(core) {
			t.Fatalf("core %s of %s: minimal %v, linearizable %v", describe(core), describe(ops), minimal, bruteForce(core))
		}
		if again := part(ops, core, none); len(again) != len(core) {
			t.Fatalf("core %s of %s is not closed: it proves nothing", describe(core), describe(ops))
		}
		for i := range core {
			if smaller := part(ops, core, i); !bruteForce(smaller) {
				t.Fatalf("core %s of %s can lose operation %d", describe(core), describe(ops), i)
			}
		}
	}
}

// part returns the largest closed part of ops within core without operation i.
func part(ops, core []op, i int) []op {
	keep := make([]bool, len(ops))
	for k := range ops {
		for c := range core {
			if core[c].index == ops[k].index && c != i {
				keep[k] = true
			}
		}
	}
	return closed(ops, keep)
}

func describe(ops []op) string {
	s := ""
	for _, o := range ops {
		f := "read"
		if o.write {
			f = "write"
		}
		s += fmt.Sprintf("\n  p%d %s %d [%d,%d] outcome %d", o.process, f, o.value, o.call, o.ret, o.outcome)
	}
	return s + "\n"
}
