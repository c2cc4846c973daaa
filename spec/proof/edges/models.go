// SPDX-License-Identifier: Apache-2.0

package edges

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Model is a model whose steps are compared: one of the specification's, with
// other constants where Set says so.
type Model struct {
	Name  string
	Base  string            // a configuration in spec/models
	Set   map[string]string // constants: "= value" or "<- operator"
	Short bool              // it is compared with every change
}

// Models are those that are compared. The small ones are made so that each action
// is taken in each of its cases.
var Models = []Model{
	{Name: "losses", Base: "delete", Short: true, Set: map[string]string{"Clients": `= {"a"}`, "Once": "<- Always", "Losses": "= 1",
		"Collects": "= TRUE", "Quitters": `= {"a"}`, "MayRefuse": "= TRUE", "LastSeq": "= 2"}},
	{Name: "no_serving", Base: "one_replica", Short: true, Set: map[string]string{"Clients": `= {"a"}`, "Values": `= {"a"}`, "Slots": "= {s1}", "Once": "<- Always",
		"Losses": "= 1", "Quitters": `= {"a"}`, "Serving": "= {}", "LastSeq": "= 1"}},
	{Name: "old_requests", Base: "delete", Short: true, Set: map[string]string{"Clients": `= {"a"}`, "Replicas": "= {r1}", "Serving": "= {r1}",
		"Once": "<- OnlyWriteRequests", "LastSeq": "= 2"}},
	{Name: "reads", Base: "live_serving", Short: true, Set: map[string]string{"Losses": "= 0", "RedriveAtOnce": "= FALSE", "Quitters": "= {}"}},
	{Name: "reader", Base: "live_serving", Short: true, Set: map[string]string{"Clients": `= {"c"}`, "Quitters": `= {"c"}`}},
	{Name: "expiry", Base: "slot", Short: true, Set: map[string]string{"Clients": `= {"a", "b"}`, "Replicas": "= {r1}", "Serving": "= {r1}"}},
	{Name: "one_replica", Base: "one_replica"},
	{Name: "delete", Base: "delete"},
	{Name: "live_write", Base: "live_write"},
	{Name: "collect", Base: "collect"},
	{Name: "slot", Base: "slot"},
	{Name: "reclaim", Base: "reclaim"},
	{Name: "two_writes", Base: "two_writes"},
}

// config is the configuration of a model that prints steps. What is checked of
// the specification's own is checked elsewhere; and there is no symmetry, so that
// every state that is reached is one that steps begin in.
func (m Model) config(root string) (string, error) {
	path := filepath.Join(root, "spec", "models", m.Base+".cfg")
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	set := maps.Clone(m.Set)
	if set == nil {
		set = map[string]string{}
	}
	set["Exact"] = "= FALSE"
	out := []string{"INIT EdgeInit", "NEXT EdgeNext", "VIEW Whole", "ACTION_CONSTRAINT EmitWhole"}
	for _, line := range strings.Split(string(text), "\n") {
		fields := strings.Fields(line)
		if len(fields) == 0 || slices.Contains([]string{"SPECIFICATION", "INVARIANT", "PROPERTY", "SYMMETRY"}, fields[0]) {
			continue
		}
		if value, ok := set[fields[0]]; ok {
			line = "  " + fields[0] + " " + value
			delete(set, fields[0])
		}
		out = append(out, line)
	}
	if len(set) > 0 {
		return "", fmt.Errorf("%s has no constants %s", path, strings.Join(slices.Sorted(maps.Keys(set)), ", "))
	}
	return strings.Join(out, "\n") + "\n", nil
}
