// SPDX-License-Identifier: Apache-2.0

package gocode

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/tools/go/packages"
)

// Package is a package of which there are mutants.
type Package struct {
	// Path is the package's import path, and Dir its folder.
	Path, Dir string
	// Mutants are in the order of their places.
	Mutants []Mutant
	// Files has what takes the place of the package's files, and the file that is
	// added to them, by their names.
	Files map[string][]byte
}

// Mutant is one small change.
type Mutant struct {
	// Name tells the mutant from all others: the operator, the file, the function and
	// the text that is changed. It stays the same when code elsewhere changes.
	Name string `json:"name"`
	// Place is where: file and line.
	Place string `json:"place"`
	// Is says what becomes of the text.
	Is string `json:"is"`

	number int
}

// Number is what the environment variable [Switch] must hold for a process to be the
// mutant.
func (m *Mutant) Number() int { return m.number }

// Load makes the mutants of a package's files, which are named by their base names;
// none stands for all but the tests. Root is the folder of the module.
func Load(root, path string, files ...string) (*Package, error) {
	mode := packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo | packages.NeedImports | packages.NeedExportFile
	loaded, err := packages.Load(&packages.Config{Mode: mode, Dir: root}, path)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", path, err)
	}
	if len(loaded) != 1 || len(loaded[0].Errors) != 0 {
		return nil, fmt.Errorf("load %s: %d packages, %w", path, len(loaded), problems(loaded))
	}
	p := loaded[0]
	out := &Package{Path: p.PkgPath, Files: map[string][]byte{}}
	wanted := map[string]bool{}
	for _, f := range files {
		wanted[f] = true
	}
	found := 0
	w := &writer{pkg: p, root: root, named: map[string]int{}}
	for i, file := range p.Syntax {
		name := p.CompiledGoFiles[i]
		out.Dir = filepath.Dir(name)
		if len(files) != 0 && !wanted[filepath.Base(name)] || strings.HasSuffix(name, "_test.go") {
			continue
		}
		found++
		text, err := w.rewrite(file, name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out.Files[name] = text
	}
	if found == 0 || found < len(files) {
		return nil, fmt.Errorf("%s has %d of the files %v", path, found, files)
	}
	out.Mutants = w.mutants
	out.Files[filepath.Join(out.Dir, "mutants_of_this_package.go")] = helper(p.Name, len(w.mutants))
	return out, nil
}

func problems(loaded []*packages.Package) error {
	var all []error
	for _, p := range loaded {
		for _, e := range p.Errors {
			all = append(all, e)
		}
	}
	return errors.Join(all...)
}
