// SPDX-License-Identifier: Apache-2.0

package linear

import "dalio/traces"

// history is what was read of one: the keys whose versions explain all that was seen,
// and the operations of the others.
type history struct {
	certified []*ledger
	others    []*register
	missing   map[string]int // operations of keys that are judged, but were not kept
}

// readHistory reads a history once. If its first answer has a version, the versions
// are checked on the way; keep says whether the operations are kept all the same, for
// the keys whose versions explain nothing. A history without versions is kept.
func readHistory(source traces.Source, keep bool) (*history, error) {
	r := &firstAnswer{keep: keep}
	if err := eachEvent(source, r.add); err != nil {
		return nil, err
	}
	r.begin(false)
	h := &history{missing: map[string]int{}}
	explained := map[string]bool{}
	if r.certifier != nil {
		for _, l := range r.certifier.close() {
			switch {
			case !l.broken:
				h.certified, explained[l.key] = append(h.certified, l), true
			case r.loader == nil:
				h.missing[l.key] = l.operations
			}
		}
	}
	if r.loader != nil {
		for _, register := range r.loader.registers() {
			if !explained[register.key] {
				h.others = append(h.others, register)
			}
		}
	}
	return h, nil
}

// firstAnswer holds events back until the first answer shows what history it is.
type firstAnswer struct {
	keep      bool
	begun     bool
	before    []traces.Event
	certifier *certifier
	loader    *loader
}

func (r *firstAnswer) add(e *traces.Event) {
	if !r.begun {
		r.before = append(r.before, *e)
		if e.Type == traces.OK {
			r.begin(e.Version != nil)
		}
		return
	}
	if r.certifier != nil {
		r.certifier.add(e)
	}
	if r.loader != nil {
		r.loader.add(e)
	}
}

func (r *firstAnswer) begin(versions bool) {
	if r.begun {
		return
	}
	r.begun = true
	if versions {
		r.certifier = newCertifier()
	}
	if !versions || r.keep {
		r.loader = newLoader(nil)
	}
	for i := range r.before {
		r.add(&r.before[i])
	}
	r.before = nil
}
