// SPDX-License-Identifier: Apache-2.0

package tla

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func parse(t interface{ Fatal(...any) }, text string) Value {
	v, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestParse reads each text, and expects it to print as itself or as what follows.
func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		`TRUE`:                     ``,
		`-17`:                      ``,
		`r1`:                       ``,
		`"a \"b\" \\ \n\t\f\r"`:    ``,
		`<<>>`:                     ``,
		`{}`:                       ``,
		`<<1, <<"x", {}>>>>`:       ``,
		`{3, 1, 2, 1}`:             `{1, 2, 3}`,
		`1..3`:                     `{1, 2, 3}`,
		`2..1`:                     `{}`,
		`{<<1, "b">>, <<1, "a">>}`: `{<<1, "a">>, <<1, "b">>}`,
		`[type |-> "Write", acks |-> {r2, r1}, 2x |-> 0]`: "error",
		`[type |-> "Write", acks |-> {r2, r1}]`:           `[acks |-> {r1, r2}, type |-> "Write"]`,
		`(r2 :> 2 @@ r1 :> 1)`:                            `(r1 :> 1 @@ r2 :> 2)`,
		`("a" :> 1 @@ "b" :> 2)`:                          `[a |-> 1, b |-> 2]`,
		`("a b" :> 1 @@ "c" :> 2)`:                        ``,
		`(2 :> "b" @@ 1 :> "a")`:                          `<<"a", "b">>`,
		`(0 :> "a" @@ 1 :> "b")`:                          ``,
		`(1 :> "a" @@ 1 :> "b")`:                          `<<"a">>`,
		` << 1 ,2>> `:                                     `<<1, 2>>`,
		`(<<r1, 1>> :> [a |-> (b :> 1)])`:                 ``,
	} {
		v, err := Parse(text)
		switch {
		case want == "error":
			if err == nil {
				t.Errorf("%s is read as %s", text, v)
			}
			continue
		case err != nil:
			t.Errorf("%s: %v", text, err)
			continue
		case want == "":
			want = text
		}
		if v.String() != want {
			t.Errorf("%s is read as %s, want %s", text, v, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		``:                       "byte 0",
		`<<1, 2`:                 "byte 6",
		`<<1 2>>`:                `","`,
		`{1,}`:                   "a value expected",
		`[a |-> 1, a |-> 2]`:     "another field",
		`[]`:                     "another field",
		`()`:                     "a value expected",
		`(1 :> 2 @@)`:            "a value expected",
		`"abc`:                   "no end",
		`"\q"`:                   "no escape",
		`1 2`:                    "more after",
		`12345678901`:            "32 bits",
		`--1`:                    "32 bits",
		`0..100000`:              "interval",
		`1..`:                    "32 bits",
		strings.Repeat("{", 600): "nested",
	} {
		if v, err := Parse(text); err == nil {
			t.Errorf("%q is read as %s", text, v)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is refused with %q, which says nothing of %q", text, err, want)
		}
	}
}

func TestParts(t *testing.T) {
	r := parse(t, `[type |-> "Write", to |-> r1]`).(Record)
	if got := r.Get("to"); got != Model("r1") {
		t.Errorf("to is %v", got)
	}
	if got := r.Get("none"); got != nil {
		t.Errorf("a field that is not there is %v", got)
	}
	if got := r.With("to", Int(1)).With("x", Bool(true)).String(); got != `[to |-> 1, type |-> "Write", x |-> TRUE]` {
		t.Errorf("changed to %s", got)
	}
	if r.String() != `[to |-> r1, type |-> "Write"]` {
		t.Errorf("With has changed its record to %s", r)
	}
	for f, want := range map[string]Value{`<<"a">>`: String("a"), `(0 :> 5 @@ 1 :> 6)`: Int(6), `{1}`: nil, `<<>>`: nil, `[a |-> 1]`: nil} {
		if got := Apply(parse(t, f), Int(1)); got != want {
			t.Errorf("%s[1] is %v, want %v", f, got, want)
		}
	}
	s := parse(t, `{1, 3}`).(Set)
	if !s.Has(Int(3)) || s.Has(Int(2)) || s.Union(NewSet(Int(2))).String() != `{1, 2, 3}` {
		t.Errorf("%s has the wrong elements", s)
	}
}

var names = rapid.StringMatching(`[a-zA-Z_]{0,2}[a-zA-Z][a-zA-Z0-9_]{0,3}`).Filter(func(s string) bool { return s != "TRUE" && s != "FALSE" })

// values draws values of all kinds, of a limited depth.
func values(depth int) *rapid.Generator[Value] {
	simple := []*rapid.Generator[Value]{
		rapid.Map(rapid.Bool(), func(b bool) Value { return Bool(b) }),
		rapid.Map(rapid.Int32(), func(i int32) Value { return Int(i) }),
		rapid.Map(rapid.String(), func(s string) Value { return String(s) }),
		rapid.Map(names, func(s string) Value { return Model(s) }),
	}
	if depth == 0 {
		return rapid.OneOf(simple...)
	}
	parts := rapid.SliceOfN(values(depth-1), 0, 4)
	return rapid.OneOf(append(simple,
		rapid.Map(parts, func(v []Value) Value { return NewTuple(v...) }),
		rapid.Map(parts, func(v []Value) Value { return NewSet(v...) }),
		rapid.Custom(func(t *rapid.T) Value {
			var fields []Field
			for _, v := range parts.Draw(t, "fields") {
				fields = append(fields, Field{names.Draw(t, "name"), v})
			}
			return NewRecord(fields...)
		}),
		rapid.Custom(func(t *rapid.T) Value {
			var pairs []Pair
			for _, v := range parts.Draw(t, "pairs") {
				pairs = append(pairs, Pair{values(depth-1).Draw(t, "key"), v})
			}
			return NewFunction(pairs...)
		}))...)
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := values(3).Draw(t, "value")
		again := parse(t, v.String())
		if !Equal(v, again) || again.String() != v.String() {
			t.Fatalf("%s comes back as %s", v, again)
		}
	})
}

// TestOrder: the order is total, and as equal counts what prints the same.
func TestOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.SliceOfN(values(2), 3, 3).Draw(t, "values")
		for _, a := range v {
			for _, b := range v {
				if Compare(a, b) != -Compare(b, a) || (Compare(a, b) == 0) != (a.String() == b.String()) {
					t.Fatalf("%s and %s compare as %d and %d", a, b, Compare(a, b), Compare(b, a))
				}
			}
		}
		slices.SortFunc(v, Compare)
		if Compare(v[0], v[2]) > 0 {
			t.Fatalf("the order is not transitive: %v", v)
		}
		shuffled := rapid.Permutation(v).Draw(t, "shuffled")
		if !Equal(NewSet(slices.Clone(v)...), NewSet(shuffled...)) {
			t.Fatal("a set depends on the order in which it was made")
		}
	})
}

// FuzzParse: what is accepted prints as a value that is read as the same one.
func FuzzParse(f *testing.F) {
	f.Add(`[type |-> "Write", to |-> {r1, r2}, v |-> <<1, -2>>, f |-> (r1 :> TRUE @@ r2 :> "\"")]`)
	f.Add(`{1..3, {}, <<>>, ("a b" :> 1)}`)
	f.Fuzz(func(t *testing.T, text string) {
		v, err := Parse(text)
		if err != nil {
			return
		}
		again := parse(t, v.String())
		if !Equal(v, again) || again.String() != v.String() {
			t.Fatalf("%q is read as %s, and that as %s", text, v, again)
		}
	})
}

func TestDiff(t *testing.T) {
	got := parse(t, `[n |-> 1, f |-> (r1 :> [acks |-> {r1}] @@ r2 :> [acks |-> {}]), t |-> <<1, 2>>]`)
	want := parse(t, `[n |-> 2, f |-> (r1 :> [acks |-> {r2}] @@ r2 :> [acks |-> {}]), t |-> <<1>>]`)
	lines := strings.Join(Diff(got, want), "\n")
	expected := "f[r1].acks has r1, and should not\nf[r1].acks lacks r2\nn is 1, and should be 2\nt is <<1, 2>>, and should be <<1>>"
	if lines != expected {
		t.Errorf("the difference is told as\n%s\nwant\n%s", lines, expected)
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := values(3).Draw(t, "a"), values(3).Draw(t, "b")
		if (len(Diff(a, b)) == 0) != Equal(a, b) {
			t.Fatalf("%s and %s differ by %q", a, b, Diff(a, b))
		}
	})
}

func TestRename(t *testing.T) {
	swap := map[Model]Model{"r1": "r2", "r2": "r1"}
	v := parse(t, `[a |-> {r1, r3, "r1"}, f |-> (r1 :> <<r1>> @@ r2 :> <<>>)]`)
	if got := Rename(v, swap).String(); got != `[a |-> {"r1", r2, r3}, f |-> (r1 :> <<>> @@ r2 :> <<r2>>)]` {
		t.Errorf("renamed to %s", got)
	}
	if !Equal(Rename(Rename(v, swap), swap), v) {
		t.Error("a swap done twice changes something")
	}
}

func TestRenamings(t *testing.T) {
	all := Renamings([]Model{"r1", "r2", "r3"}, []Model{"s1", "s2"})
	v := parse(t, `<<r1, r2, r3, s1, s2>>`)
	different := map[string]bool{}
	for _, by := range all {
		different[Rename(v, by).String()] = true
	}
	if len(all) != 12 || len(different) != 12 || !Equal(Rename(v, all[0]), v) {
		t.Errorf("the renamings are %v", all)
	}
}

func TestExcept(t *testing.T) {
	for _, c := range []struct{ f, key, want string }{
		{`(r1 :> 1 @@ r2 :> 2)`, `r2`, `(r1 :> 1 @@ r2 :> 0)`},
		{`[a |-> 1, b |-> 2]`, `"a"`, `[a |-> 0, b |-> 2]`},
		{`<<1, 2>>`, `2`, `<<1, 0>>`},
		{`<<1, 2>>`, `3`, `<<1, 2>>`},
	} {
		f := parse(t, c.f)
		if got := Except(f, parse(t, c.key), Int(0)).String(); got != c.want || f.String() != c.f {
			t.Errorf("%s at %s: %s, want %s; it is now %s", c.f, c.key, got, c.want, f)
		}
	}
}
