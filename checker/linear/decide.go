// SPDX-License-Identifier: Apache-2.0

package linear

import "context"

// judge decides sub-histories of one key.
type judge struct {
	mem     *memory
	values  int
	crowded bool // a search ran out of memory while others held some of it
}

// decide judges operations that tell. Of an illegal history it may also return
// a part that is illegal by itself.
func (j *judge) decide(ctx context.Context, ops []op) (verdict, []op) {
	ops = dropUnread(ops, j.values)
	if v, proof := decideZones(ops, j.values); v != undecided {
		return v, proof
	}
	if proof := refute(ops); proof != nil {
		return illegal, proof
	}
	return j.search(ctx, ops), nil
}

// dropUnread removes writes of unknown outcome whose value no read returned.
// Appended to any legal order of the others they change nothing, and taken out
// of a legal order they are missed by no read; each one kept would double
// Porcupine's search.
func dropUnread(ops []op, values int) []op {
	read := make([]bool, values)
	for i := range ops {
		if !ops[i].write {
			read[ops[i].value] = true
		}
	}
	kept := make([]op, 0, len(ops))
	for i := range ops {
		if ops[i].outcome != unknown || read[ops[i].value] {
			kept = append(kept, ops[i])
		}
	}
	return kept
}
