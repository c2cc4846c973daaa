// SPDX-License-Identifier: Apache-2.0

package pairs

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"

	"dalio/spec/tla"
)

// Options of Run.
type Options struct {
	// Root is the directory of go.mod.
	Root string
	// Short leaves out the larger models, and with them the whole matrix.
	Short bool
	// Only chooses models by their names; nil for all.
	Only *regexp.Regexp

	// For tests of the checks themselves: tee is given what TLC prints of a model,
	// again has it without TLC, alter changes the results of a state, and object is
	// the path of a BPF object in place of the one that is shipped.
	tee    func(model string, out io.Reader) io.Reader
	again  func(model string) io.Reader
	alter  func(state tla.Record, results tla.Tuple)
	object string
}

// Counts is what was compared.
type Counts struct {
	// States and Pairs are those that are distinct after symmetry. Changing are the
	// pairs that change the state, all others are self-loops. Renamed are those that
	// were left out, being the same as others but for names.
	States   int `json:"states"`
	Pairs    int `json:"pairs"`
	Changing int `json:"changing"`
	Renamed  int `json:"renamed"`
	// Reached are the states that were reached without writing a map, ByPackets those
	// by packets alone, and Edges the pairs that changed a state at the end of such a
	// path. Those which no call of the control plane leads to are left.
	Reached   int `json:"reached,omitempty"`
	ByPackets int `json:"by_packets,omitempty"`
	Edges     int `json:"edges,omitempty"`
	// Cells are those of the matrix that are full, and Excused those that can't be.
	Cells   int `json:"-"`
	Excused int `json:"-"`
}

// Figures tells in one line what was compared.
func (c Counts) Figures() string {
	return fmt.Sprintf("%d distinct pairs of %d states, %d of which change the state; %d states reached by paths, and %d such pairs at their ends; all %d cells of the matrix full that can be",
		c.Pairs, c.States, c.Changing, c.Reached, c.Edges, c.Cells)
}

func (c *Counts) add(d Counts) {
	c.States += d.States
	c.Pairs += d.Pairs
	c.Changing += d.Changing
	c.Renamed += d.Renamed
	c.Reached += d.Reached
	c.ByPackets += d.ByPackets
	c.Edges += d.Edges
}

// model is a configuration in spec/handler, with what it must give.
type model struct {
	Name string `json:"name"`
	// Lease is whether there is one, as the configuration says.
	Lease bool `json:"lease,omitempty"`
	// Paths says that its first state is one that an epoch opens with.
	Paths bool `json:"paths,omitempty"`
	// Short says that it is one of the short form.
	Short bool `json:"short,omitempty"`
	Counts
}

func readModels(root string) ([]model, error) {
	path := filepath.Join(root, "spec", "handler", "pinned.json")
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var models []model
	if err := json.Unmarshal(data, &models); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return models, nil
}
