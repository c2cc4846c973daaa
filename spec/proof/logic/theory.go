// SPDX-License-Identifier: Apache-2.0

package logic

// Theory is a transition system: its sorts and symbols, where it starts, its
// actions, an invariant, and what is to be shown of it.
type Theory struct {
	Sorts      []Sort            // those with any number of elements
	Enums      map[Sort][]string // those whose elements are named
	EnumOrder  []Sort
	Symbols    []*Symbol
	Axioms     []Named
	Init       []*Expr
	Actions    []*Action
	Invariants []Named
	Starts     []Named // what must hold at the start, besides the invariant

	letters map[string]Sort
	byName  map[string]*Symbol
	defs    map[string]*definition
}

// Named is a formula with a name and its meaning in words.
type Named struct {
	Name, Words string
	Formula     *Expr
}

// Action is a step that may be taken for any values of its parameters for which
// the guards hold. What it does not update stays as it is.
type Action struct {
	Name    string // of the action in the specification
	Branch  string // which case of it this is
	Params  []*Var
	Guards  []*Expr
	Updates []*Update
	Uses    map[string][]string // by conjunct: what is enough to prove that it is preserved; all, where nothing is said
	Shows   []Named             // formulas over the states before and after: what each such step must satisfy
}

// ID is the name of an action with its branch.
func (a *Action) ID() string {
	if a.Branch == "" {
		return a.Name
	}
	return a.Name + "." + a.Branch
}

// Update says what Sym is after the step, for all Params.
type Update struct {
	Sym    *Symbol
	Params []*Var
	Body   *Expr
	Choose *Var // where it is not nil: Sym is what satisfies Body as Choose does
}

// Changes tells whether the action updates sym.
func (a *Action) Changes(sym *Symbol) bool { return a.update(sym) != nil }

func (a *Action) update(sym *Symbol) *Update {
	for _, u := range a.Updates {
		if u.Sym == sym {
			return u
		}
	}
	return nil
}

// updating is the update of sym, at first to what it is before the step.
func (a *Action) updating(sym *Symbol) *Update {
	if u := a.update(sym); u != nil {
		return u
	}
	u := &Update{Sym: sym}
	var args []*Expr
	for _, s := range sym.Args {
		v := &Var{Name: "p", Sort: s}
		u.Params = append(u.Params, v)
		args = append(args, Ref(v))
	}
	u.Body = Apply(sym, args...)
	a.Updates = append(a.Updates, u)
	return u
}

// at is that the parameters of u are args.
func (u *Update) at(args []*Expr) *Expr {
	var same []*Expr
	for i, v := range u.Params {
		same = append(same, Eq(Ref(v), args[i]))
	}
	return And(same...)
}

// put has Sym be value at args, and as it is otherwise.
func (u *Update) put(args []*Expr, value *Expr) {
	switch {
	case len(args) == 0:
		u.Body = value
	case u.Sym.Sort == Bool && value == True:
		u.Body = Or(u.Body, u.at(args))
	case u.Sym.Sort == Bool && value == False:
		u.Body = And(u.Body, Not(u.at(args)))
	default:
		u.Body = Ite(u.at(args), value, u.Body)
	}
}

// Symbol is the symbol of that name, nil if there is none.
func (t *Theory) Symbol(name string) *Symbol { return t.byName[name] }

// Messages are the symbols of the network.
func (t *Theory) Messages() []*Symbol {
	var out []*Symbol
	for _, s := range t.Symbols {
		if s.Role == Message {
			out = append(out, s)
		}
	}
	return out
}

// Definition is what is defined by a name: parameters and the expression.
func (t *Theory) Definition(name string) ([]*Var, *Expr) {
	d := t.defs[name]
	return d.params, d.body
}
