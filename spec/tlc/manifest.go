// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
)

// Manifest says what every configuration must give.
type Manifest struct {
	TLC      Artifact   `json:"tlc"`
	Models   []Model    `json:"models"`
	MustFail []MustFail `json:"must_fail"`
}

// Artifact is the checker itself, as Maven knows it.
type Artifact struct {
	Coordinates string `json:"coordinates"`
	File        string `json:"file"`
	SHA256      string `json:"sha256"`
}

// Model is a configuration in models/ that must pass.
type Model struct {
	Name      string   `json:"name"`
	Full      bool     `json:"full,omitempty"`      // too large for the default set
	Coverage  bool     `json:"coverage,omitempty"`  // every action must be taken,
	NotTaken  []string `json:"not_taken,omitempty"` // but for these, which must not be
	Generated int      `json:"generated"`
	Distinct  int      `json:"distinct"`
	Depth     int      `json:"depth"`
}

// MustFail is a configuration in must_fail/: the model Twin without one cure.
type MustFail struct {
	Name     string `json:"name"`
	Twin     string `json:"twin"`
	Constant string `json:"constant"`
	Hazards  []int  `json:"hazards"`
	Violates string `json:"violates"` // the only property of the configuration
	// ClientsSee says that the clients see it: the configuration is checked
	// again with the exact judge in place of the property.
	ClientsSee bool `json:"clients_see"`
}

// Properties that a must-fail configuration may violate, and what TLC then
// reports. It names no property, so a configuration must have only one.
var reports = map[string]verdict{
	"RefinesRegister": {exit: 13, errors: []string{"Action property of module Register is violated."}},
	"Answered":        {exit: 13, errors: []string{"Temporal properties were violated."}},
	"Linearizable":    {exit: 12, errors: []string{"Invariant Linearizable is violated."}},
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
	for _, m := range manifest.Models {
		if seen[m.Name] {
			return nil, fmt.Errorf("read manifest %s: model %s is there twice", path, m.Name)
		}
		seen[m.Name] = true
	}
	for _, f := range manifest.MustFail {
		if _, known := reports[f.Violates]; !known || !seen[f.Twin] || len(f.Hazards) == 0 {
			return nil, fmt.Errorf("read manifest %s: must-fail %s lacks a known property, twin or hazard", path, f.Name)
		}
		if f.Violates == "RefinesRegister" && !f.ClientsSee {
			return nil, fmt.Errorf("read manifest %s: must-fail %s may fail for its refinement mapping alone", path, f.Name)
		}
	}
	return manifest, nil
}

// job is one configuration to check.
type job struct {
	name     string
	config   string // path below spec/
	twin     string // path below spec/ of the passing twin, if it must fail
	model    *Model
	mustFail *MustFail
	full     bool
}

func (m *Manifest) modelJobs(full bool, only string) []job {
	var jobs []job
	for i := range m.Models {
		model := &m.Models[i]
		if only == model.Name || only == "" && (full || !model.Full) {
			jobs = append(jobs, job{
				name: model.Name, config: "models/" + model.Name + ".cfg",
				model: model, full: model.Full,
			})
		}
	}
	return jobs
}

func (m *Manifest) mustFailJobs(only string) []job {
	var jobs []job
	for i := range m.MustFail {
		fail := &m.MustFail[i]
		if only == fail.Name || only == "" {
			jobs = append(jobs, job{
				name: fail.Name, config: "must_fail/" + fail.Name + ".cfg",
				twin: "models/" + fail.Twin + ".cfg", mustFail: fail,
			})
		}
	}
	return jobs
}
