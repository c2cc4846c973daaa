// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"dalio/checker/conform/edges"
	"dalio/checker/mutate/tlaplus"
	"dalio/spec/jar"
)

const (
	specShare  = 0.085
	specSample = 0.012
)

// specModules are the modules with the protocol's actions, and the modules of the models
// that check them. What comes from Init on is no action.
var specModules = map[string]struct{ checked, compared string }{
	"Dalio":         {"MCDalio", "DalioEdges"},
	"Client":        {"MCDalio", "DalioEdges"},
	"Shard":         {"MCShard", "ShardEdges"},
	"ShardData":     {"MCShard", "ShardEdges"},
	"ShardMembers":  {"MCShard", "ShardEdges"},
	"ShardFailover": {"MCShard", "ShardEdges"},
}

// model is what the manifest says of one.
type model struct {
	Name, Module               string
	Full                       bool
	Generated, Distinct, Depth int
}

type manifest struct {
	OnlyBroken map[string][]string `json:"only_broken"`
	Models     []model
	MustFail   []struct{ Constant string } `json:"must_fail"`
}

func readSpecManifest(spec string) (*manifest, error) {
	text, err := os.ReadFile(filepath.Join(spec, "manifest.json"))
	if err != nil {
		return nil, err
	}
	known := new(manifest)
	if err := json.Unmarshal(text, known); err != nil {
		return nil, fmt.Errorf("spec/manifest.json: %w", err)
	}
	for i := range known.Models {
		if known.Models[i].Module == "" {
			known.Models[i].Module = "MCDalio"
		}
	}
	return known, nil
}

func trySpec(ctx context.Context, o *options) ([]outcome, error) {
	spec := filepath.Join(o.root, "spec")
	known, err := readSpecManifest(spec)
	if err != nil {
		return nil, err
	}
	arguments, err := readArguments(argumentsOf(o, "spec"))
	if err != nil {
		return nil, err
	}
	mutants, err := specMutants(spec, known, arguments, o)
	if err != nil {
		return nil, err
	}
	c := &checking{root: o.root, spec: spec, work: filepath.Join(o.root, "build", "mutate", "spec"), models: known.Models, arguments: arguments, originals: map[string]func() error{}}
	if c.compared, err = edges.Models(o.root); err != nil {
		return nil, err
	}
	c.bound()
	if c.jar, err = jar.FetchPinned(ctx, o.root); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.work, 0o755); err != nil {
		return nil, err
	}
	if !o.sample {
		program, err := os.Executable()
		if err != nil {
			return nil, err
		}
		digest, err := c.digest(program)
		if err != nil {
			return nil, err
		}
		if c.kept, err = openKept(filepath.Join(c.work, "outcomes.jsonl"), digest); err != nil {
			return nil, err
		}
		defer c.kept.close()
	}
	outcomes := make([]outcome, len(mutants))
	err = each(o.parallel, len(mutants), func(i int) (err error) {
		if outcomes[i], err = c.try(ctx, &mutants[i]); err == nil {
			fmt.Fprintf(o.out, "%-8s %s (%s)\n", outcomes[i].State, outcomes[i].Name, outcomes[i].By)
		}
		return err
	})
	return outcomes, err
}

func specMutants(spec string, known *manifest, arguments []*argument, o *options) (chosen []tlaplus.Mutant, err error) {
	share := specShare
	if o.sample {
		share = specSample
	}
	var constants []string
	for _, f := range known.MustFail {
		constants = append(constants, f.Constant)
	}
	var modules []string
	for name := range specModules {
		modules = append(modules, name)
	}
	slices.Sort(modules)
	for _, name := range modules {
		text, err := os.ReadFile(filepath.Join(spec, name+".tla"))
		if err != nil {
			return nil, err
		}
		actions, _, _ := strings.Cut(string(text), "\nInit ==")
		m := tlaplus.Module{Name: name, Text: string(text), Actions: len(strings.Split(actions, "\n")), Constants: constants,
			OnlyBroken: known.OnlyBroken[specModules[name].checked]}
		for _, mutant := range m.Mutants() {
			// One that lives is waited for the longest, and tells nothing in a sample.
			argued := o.sample && slices.ContainsFunc(arguments, func(a *argument) bool {
				return a.fits(&outcome{Name: mutant.Name, Was: mutant.Was, Is: mutant.Is})
			})
			if o.chosen(mutant.Name, share) && !argued {
				chosen = append(chosen, mutant)
			}
		}
	}
	return chosen, nil
}
