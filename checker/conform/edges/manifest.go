// SPDX-License-Identifier: Apache-2.0

package edges

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"dalio/spec/cfg"
)

// Model is a conformance model: a module in spec, a configuration in spec/conform, and
// how large its state graph is.
type Model struct {
	Name   string `json:"name"`
	Module string `json:"module"`
	// Short: it is part of the short form.
	Short bool `json:"short,omitempty"`
	// What TLC counts.
	Generated int `json:"generated"`
	Distinct  int `json:"distinct"`
	// Steps are those that differ, as Counts.Distinct has it.
	Steps int `json:"steps"`
}

// manifest is the file spec/conform/manifest.json.
type manifest struct {
	Models []Model `json:"models"`
	// Actions has the actions of each module that the models must take.
	Actions map[string][]string `json:"actions"`
}

func directory(root string) string { return filepath.Join(root, "spec", "conform") }

func readManifest(root string) (*manifest, error) {
	path := filepath.Join(directory(root), "manifest.json")
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	m := new(manifest)
	if err := decoder.Decode(m); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// Models returns the conformance models. Root is the directory of go.mod.
func Models(root string) ([]Model, error) {
	m, err := readManifest(root)
	if err != nil {
		return nil, err
	}
	return m.Models, nil
}

// ReadConfig reads the configuration of a model.
func ReadConfig(root string, m Model) (cfg.Config, error) {
	path := filepath.Join(directory(root), m.Name+".cfg")
	text, err := os.ReadFile(path)
	if err != nil {
		return cfg.Config{}, err
	}
	c, err := cfg.Parse(string(text))
	if err != nil {
		return cfg.Config{}, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}
