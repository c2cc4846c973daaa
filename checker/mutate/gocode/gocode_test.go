// SPDX-License-Identifier: Apache-2.0

package gocode

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const subject = `package main

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
)

var lock sync.Mutex

type number uint8

const limit = 3

var errLarge = errors.New("large")

func check(n number, strict bool) (number, error) {
	if n >= limit && strict || n == 200 {
		return 0, errLarge
	}
	lock.Lock() // No mutant is without this, or the next.
	slog.Debug("checked")
	lock.Unlock()
	last := n
	last = last + 1
	for i := 0; i < 2; i++ {
		last++
	}
	if !even(last) {
		return last - 1, nil
	}
	return last, nil
}

type pair struct{ a, b number }

func three(n number) pair {
	if n == 3 {
		return pair{a: n, b: 0}
	}
	return pair{a: 0, b: 0} // What is zero already has no mutant.
}

func even(n number) bool { return n%2 == 0 }

func main() {
	for _, n := range []number{0, 1, 2, 3, 4, 200} {
		for _, strict := range []bool{false, true} {
			last, err := check(n, strict)
			fmt.Print(last, " ", err, " ", three(n), " ")
		}
	}
}
`

// TestMutantsOfAPackage builds a package with all its mutants, which must behave as
// the original does unless one is switched on: then each behaves otherwise, but for
// those that are equivalent.
func TestMutantsOfAPackage(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module m\n\ngo 1.26\n", "main.go": subject} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p, err := Load(dir, "m")
	if err != nil {
		t.Fatal(err)
	}
	replace := map[string]string{}
	for name, text := range p.Files {
		to := filepath.Join(t.TempDir(), filepath.Base(name))
		if err := os.WriteFile(to, text, 0o644); err != nil {
			t.Fatal(err)
		}
		replace[name] = to
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	list, binary, reached := filepath.Join(t.TempDir(), "overlay.json"), filepath.Join(t.TempDir(), "m"), filepath.Join(t.TempDir(), "reached")
	if err := os.WriteFile(list, overlay, 0o644); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-overlay", list, "-o", binary, ".")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	run := func(environment ...string) string {
		cmd := exec.Command(binary)
		cmd.Env = append(os.Environ(), environment...)
		out, err := cmd.Output()
		if err != nil {
			return err.Error()
		}
		return string(out)
	}
	original := run(Reached + "=" + reached)
	if want := "2 <nil> {0 0} 2 <nil> {0 0} 4 <nil> {0 0} 4 <nil> {0 0} 4 <nil> {0 0} 4 <nil> {0 0} 6 <nil> {3 0} 0 large {3 0} 6 <nil> {0 0} 0 large {0 0} 0 large {0 0} 0 large {0 0} "; original != want {
		t.Fatalf("the original prints %q, want %q", original, want)
	}
	places, err := os.ReadFile(reached)
	if err != nil {
		t.Fatal(err)
	}
	kinds, names := map[string]int{}, map[string]bool{}
	for _, m := range p.Mutants {
		operator, _, _ := strings.Cut(m.Name, " ")
		kinds[operator]++
		if names[m.Name] {
			t.Errorf("two mutants have the name %q", m.Name)
		}
		names[m.Name] = true
		if places[m.Number()] == 0 {
			t.Errorf("%s was not reached", m.Name)
		}
		if !strings.Contains(m.Name, " main: ") && run(fmt.Sprint(Switch, "=", m.Number())) == original {
			t.Errorf("nothing is different with %s => %s", m.Name, m.Is)
		}
	}
	for _, operator := range []string{"drop", "return-zero", "negate", "move-bound", "swap-logic", "swap-arithmetic", "constant+1"} {
		if kinds[operator] == 0 {
			t.Errorf("no mutant is made by %s", operator)
		}
	}
}
