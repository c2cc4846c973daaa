// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"dalio/spec/jar"
)

// Manifest says what every configuration must give.
type Manifest struct {
	TLC jar.Artifact `json:"tlc"`
	// OnlyBroken are the actions, by module of the models, that only a missing cure
	// makes possible: no model takes them. Every other one is taken in the default set.
	OnlyBroken  map[string][]string `json:"only_broken"`
	Models      []Model             `json:"models"`
	MustFail    []MustFail          `json:"must_fail"`
	Simulations []Simulation        `json:"simulations"`
}

// Model is a configuration in models/ that must pass.
type Model struct {
	Name      string   `json:"name"`
	Module    string   `json:"module,omitempty"`    // MCDalio unless it says otherwise
	Full      bool     `json:"full,omitempty"`      // too large for the default set
	Coverage  bool     `json:"coverage,omitempty"`  // every action is taken,
	NotTaken  []string `json:"not_taken,omitempty"` // but for these and those of OnlyBroken
	Generated int      `json:"generated"`
	Distinct  int      `json:"distinct"`
	Depth     int      `json:"depth"`
}

// MustFail is a configuration in must_fail/: the model Twin without one cure.
type MustFail struct {
	Name     string `json:"name"`
	Twin     string `json:"twin"`
	Constant string `json:"constant"`
	// Hazards by number; none for what can only go wrong inside a replica.
	Hazards  []int  `json:"hazards,omitempty"`
	Violates string `json:"violates"` // the only property of the configuration
	// ClientsSee says that the clients see it: the configuration is checked
	// again with the exact judge in place of the property.
	ClientsSee bool `json:"clients_see"`
}

// Simulation is a configuration in simulations/, too large to be explored: TLC
// walks through it at random, and must find nothing wrong.
type Simulation struct {
	Name   string `json:"name"`
	Module string `json:"module"`
	Traces int    `json:"traces"` // so many walks,
	Depth  int    `json:"depth"`  // of at most so many steps each,
	Seed   int    `json:"seed"`
	States int    `json:"states"` // through at least so many states
}

// Properties that a must-fail configuration may violate, and what TLC then
// reports. It names no property, so a configuration must have only one.
var reports = map[string]verdict{
	"RefinesRegister": {exit: 13, errors: []string{"Action property of module Register is violated."}},
	"Answered":        {exit: 13, errors: []string{"Temporal properties were violated."}},
	"Linearizable":    broken("Linearizable"),
	"StepsAreHandled": {exit: 13, errors: []string{"Action property StepsAreHandled is violated."}},
	"StepsAreKnown":   {exit: 13, errors: []string{"Action property StepsAreKnown is violated."}},
	// A replica whose read path says what HandleRead never said.
	"AnswersAsHandleRead": broken("AnswersAsHandleRead"),
	// A value released by a look at the clock from before its read.
	"HeldSinceItCame": broken("HeldSinceItCame"),
}

// broken is the report of a violated invariant.
func broken(invariant string) verdict {
	return verdict{exit: 12, errors: []string{"Invariant " + invariant + " is violated."}}
}

// verdict is how a run of TLC ends.
type verdict struct {
	exit   int
	errors []string
}

func readManifest(path string) (*Manifest, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	manifest := new(Manifest)
	if err := decoder.Decode(manifest); err != nil {
		return nil, fmt.Errorf("read manifest %s: %w", path, err)
	}
	seen := map[string]bool{}
	for i := range manifest.Models {
		m := &manifest.Models[i]
		if seen[m.Name] {
			return nil, fmt.Errorf("read manifest %s: model %s is there twice", path, m.Name)
		}
		seen[m.Name] = true
		if m.Module == "" {
			m.Module = "MCDalio"
		}
		if _, known := manifest.OnlyBroken[m.Module]; !known {
			return nil, fmt.Errorf("read manifest %s: only_broken says nothing of module %s", path, m.Module)
		}
	}
	for _, s := range manifest.Simulations {
		if seen[s.Name] || s.Module == "" || s.Traces < 1 || s.Depth < 1 || s.States < 1 {
			return nil, fmt.Errorf("read manifest %s: simulation %s lacks a name of its own, a module or a bound", path, s.Name)
		}
		seen[s.Name] = true
	}
	for _, f := range manifest.MustFail {
		if _, known := reports[f.Violates]; !known || !seen[f.Twin] || len(f.Hazards) == 0 && f.Violates != "AnswersAsHandleRead" {
			return nil, fmt.Errorf("read manifest %s: must-fail %s lacks a known property, twin or hazard", path, f.Name)
		}
		if (f.Violates == "RefinesRegister" || f.Violates == "Linearizable") && !f.ClientsSee {
			return nil, fmt.Errorf("read manifest %s: must-fail %s must show what clients see", path, f.Name)
		}
	}
	return manifest, nil
}

// job is one configuration to check.
type job struct {
	name   string
	module string // what TLC is given
	config string // path below spec/
	twin   string // path below spec/ of the passing twin, if it must fail
	full   bool
	size   int // distinct states of the model, or of the passing twin

	// What it is: one of these.
	model      *Model
	mustFail   *MustFail
	simulation *Simulation
}

func (m *Manifest) modelJobs(full bool, only string) []job {
	var jobs []job
	for i := range m.Models {
		model := &m.Models[i]
		if only == model.Name || only == "" && (full || !model.Full) {
			jobs = append(jobs, job{
				name: model.Name, module: model.Module, config: "models/" + model.Name + ".cfg",
				model: model, full: model.Full, size: model.Distinct,
			})
		}
	}
	largestFirst(jobs)
	for i := range m.Simulations {
		s := &m.Simulations[i]
		if only == s.Name || only == "" && full {
			jobs = append(jobs, job{name: s.Name, module: s.Module, config: "simulations/" + s.Name + ".cfg", simulation: s, full: true})
		}
	}
	return jobs
}

func (m *Manifest) mustFailJobs(only string) []job {
	var jobs []job
	for i := range m.MustFail {
		fail := &m.MustFail[i]
		if only == fail.Name || only == "" {
			twin := m.modelOf(fail.Twin)
			jobs = append(jobs, job{
				name: fail.Name, module: twin.Module, config: "must_fail/" + fail.Name + ".cfg",
				twin: "models/" + fail.Twin + ".cfg", mustFail: fail, size: twin.Distinct,
			})
		}
	}
	largestFirst(jobs)
	return jobs
}

// modelOf returns the model of a name, or an empty one.
func (m *Manifest) modelOf(name string) Model {
	for _, model := range m.Models {
		if model.Name == name {
			return model
		}
	}
	return Model{}
}

// largestFirst has the long ones not run last, alone.
func largestFirst(jobs []job) {
	slices.SortStableFunc(jobs, func(a, b job) int { return cmp.Compare(b.size, a.size) })
}
