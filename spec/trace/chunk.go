// SPDX-License-Identifier: Apache-2.0

package main

// chunk is a part of a trace that TLC checks by itself: steps, and the states before
// and after them.
type chunk struct {
	steps      []*step
	fates      []fate
	start, end *state
	// of has what its steps name; the rest of the states is left out.
	of scope
}

// fate says which messages of a step arrive later, and whether that which it
// receives does not arrive again.
type fate struct {
	keep []message
	last bool
}

// cut cuts a trace into chunks of some length, each of which begins where the one
// before it ended.
func cut(steps []*step, length int) []*chunk {
	fates := foretell(steps)
	now := newState()
	for _, s := range steps {
		now.told[s.By] = 0
	}
	var chunks []*chunk
	for len(steps) > 0 {
		n := min(length, len(steps))
		c := &chunk{steps: steps[:n], fates: fates[:n], start: now.copy()}
		for i, s := range c.steps {
			now.take(s, c.fates[i].keep, c.fates[i].last)
		}
		c.end = now.copy()
		c.of = scopeOf(c)
		chunks = append(chunks, c)
		steps, fates = steps[n:], fates[n:]
	}
	return chunks
}

// foretell finds out what becomes of each message, from the last step to the first.
func foretell(steps []*step) []fate {
	fates := make([]fate, len(steps))
	awaited := map[message]bool{}
	for i := len(steps) - 1; i >= 0; i-- {
		s := steps[i]
		for _, m := range s.sends {
			if awaited[m] {
				fates[i].keep = append(fates[i].keep, m)
			}
		}
		if m := s.receives; m != nil && s.action != ignored {
			fates[i].last = !awaited[*m]
			awaited[*m] = true
		}
	}
	return fates
}
