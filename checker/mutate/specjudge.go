// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"dalio/checker/conform/edges"
	"dalio/checker/mutate/tlaplus"
)

const (
	// mostGenerated is how large the models are by which mutants are judged, in the
	// states that TLC generates.
	mostGenerated = 66_000
	// A mutant is first checked by so many models, the small ones, then compared with
	// the code, then checked by the others. If it is known that its states are others, or
	// there is an argument for it, not by all of them.
	firstModels, enoughModels = 2, 4
)

// checking is what mutants of the specification are judged by.
type checking struct {
	root, spec, work, jar string
	models                []model
	compared              []edges.Model
	arguments             []*argument
	// kept is nil for a sample. Then what is specified is not checked either: beside the
	// sample, make test does that.
	kept *kept

	mu        sync.Mutex // guards originals
	originals map[string]func() error
}

// bound leaves out the large models, and sorts the others.
func (c *checking) bound() {
	c.models = slices.DeleteFunc(slices.Clone(c.models), func(m model) bool { return m.Full || m.Generated > mostGenerated })
	slices.SortStableFunc(c.models, func(a, b model) int { return cmp.Compare(a.Generated, b.Generated) })
	c.compared = slices.DeleteFunc(slices.Clone(c.compared), func(m edges.Model) bool { return m.Generated > mostGenerated })
	slices.SortStableFunc(c.compared, func(a, b edges.Model) int { return cmp.Compare(a.Generated, b.Generated) })
}

// holds says whether a model that has killed a mutant passes without one, with the pinned
// counts, and the same steps in the code. It is asked of each model once.
func (c *checking) holds(name string, run func(dir string) (state, by string, err error)) error {
	if _, before := c.kept.original(name); before || c.kept == nil {
		return nil
	}
	c.mu.Lock()
	once, asked := c.originals[name]
	if !asked {
		once = sync.OnceValue(func() error {
			switch state, by, err := run(c.spec); {
			case err != nil:
				return err
			case state != lived:
				return fmt.Errorf("model %s does not pass without a mutant: %s, %s", name, state, by)
			}
			return c.kept.keep(line{Original: &original{Tests: name}})
		})
		c.originals[name] = once
	}
	c.mu.Unlock()
	return once()
}

// try has the models judge a mutant, until one of them tells it from the original by what
// it does.
func (c *checking) try(ctx context.Context, m *tlaplus.Mutant) (outcome, error) {
	if o, before := c.kept.outcome(m.Name); before {
		return o, nil
	}
	o := outcome{Kind: "spec", Name: m.Name, Place: m.Place, Was: m.Was, Is: m.Is}
	dir, err := os.MkdirTemp(c.work, "mutant-")
	if err != nil {
		return o, err
	}
	defer os.RemoveAll(dir)
	if err := c.write(dir, m); err != nil {
		return o, err
	}
	argued := slices.ContainsFunc(c.arguments, func(a *argument) bool { return a.fits(&o) })
	if o.State, o.By, err = c.judge(ctx, dir, m.Module(), argued); err != nil {
		return o, err
	}
	return o, c.kept.keep(line{Outcome: &o})
}

func (c *checking) judge(ctx context.Context, dir, module string, argued bool) (state, by string, err error) {
	of := specModules[module]
	state, by = lived, "all models pass, with the pinned counts, and the code takes the same steps"
	// ends takes in what a model says, and tells whether that is the end of it.
	ends := func(became, why string) bool {
		switch became {
		case killed, compared, refused, late:
			state, by = became, why
			return true
		case counted, crashed:
			if state == lived {
				state, by = became, why
			}
		}
		return false
	}
	checked := 0
	some := func(most int) (end bool, err error) {
		n := 0
		for i := range c.models {
			if c.models[i].Module != of.checked {
				continue
			}
			if n++; n <= checked {
				continue
			}
			if n > most {
				break
			}
			checked = n
			run := func(dir string) (string, string, error) { return c.check(ctx, dir, &c.models[i]) }
			if end, err := c.ask(c.models[i].Name, dir, run, ends); end || err != nil {
				return true, err
			}
		}
		return false, nil
	}
	if end, err := some(firstModels); end || err != nil {
		return state, by, err
	}
	for _, m := range c.compared {
		if m.Module != of.compared {
			continue
		}
		run := func(dir string) (string, string, error) { return c.compare(ctx, dir, m) }
		if end, err := c.ask("conform/"+m.Name, dir, run, ends); end || err != nil {
			return state, by, err
		}
	}
	most := len(c.models)
	if state != lived || argued {
		most = enoughModels
	}
	_, err = some(most)
	return state, by, err
}

// ask has one model judge. What it kills counts only if the original passes.
func (c *checking) ask(name, dir string, run func(dir string) (string, string, error), ends func(became, why string) bool) (end bool, err error) {
	became, why, err := run(dir)
	if err != nil {
		return true, err
	}
	end = ends(became, why)
	if became == killed || became == compared {
		err = c.holds(name, run)
	}
	return end, err
}

// write puts the modules into a folder, one of them mutated.
func (c *checking) write(dir string, m *tlaplus.Mutant) error {
	files, err := filepath.Glob(filepath.Join(c.spec, "*.tla"))
	if err != nil {
		return err
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		if filepath.Base(f) == m.Module()+".tla" {
			text = []byte(m.Text())
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(f)), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// digest is of all that decides what becomes of a mutant: the specification, its models,
// and this program, which has the code that mutants are compared with built in.
func (c *checking) digest(program string) (string, error) {
	files := []string{program}
	for _, pattern := range []string{"*.tla", "manifest.json", "models/*", "conform/*"} {
		some, err := filepath.Glob(filepath.Join(c.spec, pattern))
		if err != nil {
			return "", err
		}
		files = append(files, some...)
	}
	h := sha256.New()
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return "", err
		}
		_, err = io.Copy(h, f)
		if err := errors.Join(err, f.Close()); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
