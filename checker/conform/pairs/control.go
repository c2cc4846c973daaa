// SPDX-License-Identifier: Apache-2.0

package pairs

import "dalio/spec/tla"

// What the control plane makes of a state, as the steps of spec/MCHandler.tla say.

// each maps the values of a function.
func each(f tla.Value, to func(key, v tla.Value) tla.Value) tla.Value {
	pairs := tla.Pairs(f)
	for i := range pairs {
		pairs[i].Value = to(pairs[i].Key, pairs[i].Value)
	}
	return tla.NewFunction(pairs...)
}

// idle is a state after Tick: all sessions have been idle for long.
func idle(state tla.Record) tla.Record {
	return state.With("entries", each(state.Get("entries"), func(_, v tla.Value) tla.Value {
		e := v.(tla.Record)
		owned := e.Get("owner").(tla.Tuple)[0] != tla.Int(0)
		return e.With("idle", tla.Bool(owned))
	}))
}

// older is a state after PassTime.
func older(state tla.Record) tla.Record {
	before := func(_, v tla.Value) tla.Value { return max(v.(tla.Int)-1, 0) }
	return state.With("heard", each(state.Get("heard"), before)).With("held", before(nil, state.Get("held")))
}

// shut is a state after Close.
func shut(state tla.Record) tla.Record {
	known := each(state.Get("known"), func(_, _ tla.Value) tla.Value { return tla.Int(0) })
	return state.With("epoch", tla.Int(0)).With("known", known).With("members", tla.NewSet()).
		With("serving", tla.NewSet()).With("least", tla.Int(0))
}

// memberships are the states after Change where all who are known are members, as
// the control plane has it.
func memberships(state tla.Record) (all []tla.Record) {
	var grow func(at int, known []tla.Pair, members, serving []tla.Value)
	before := tla.Pairs(state.Get("known"))
	grow = func(at int, known []tla.Pair, members, serving []tla.Value) {
		if at == len(before) {
			to := state.With("known", tla.NewFunction(append([]tla.Pair{}, known...)...)).
				With("members", tla.NewSet(append([]tla.Value{}, members...)...)).
				With("serving", tla.NewSet(append([]tla.Value{}, serving...)...))
			to = to.With("heard", each(to.Get("heard"), func(r, v tla.Value) tla.Value {
				if now := tla.Apply(to.Get("known"), r); now != tla.Int(0) && now != tla.Apply(state.Get("known"), r) {
					return tla.Int(theNow)
				}
				return v
			}))
			all = append(all, to)
			return
		}
		r, old := before[at].Key, before[at].Value
		grow(at+1, append(known, tla.Pair{Key: r, Value: tla.Int(0)}), members, serving)
		for _, generation := range []tla.Int{1, 2} {
			if generation != old && inUse(state, r) {
				continue
			}
			k := append(known, tla.Pair{Key: r, Value: generation})
			m := append(members, r)
			grow(at+1, k, m, serving)
			grow(at+1, k, m, append(serving, r))
		}
	}
	grow(0, nil, nil, nil)
	return all
}

// inUse says whether some pending write counts the replica.
func inUse(state tla.Record, r tla.Value) bool {
	for _, p := range tla.Pairs(state.Get("entries")) {
		e := p.Value.(tla.Record)
		if e.Get("done") == tla.Bool(false) && e.Get("acks").(tla.Set).Has(r) {
			return true
		}
	}
	return false
}
