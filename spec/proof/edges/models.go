// SPDX-License-Identifier: Apache-2.0

package edges

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"dalio/spec/cfg"
)

// Model is a model whose steps are compared: one of the specification's, with
// other constants where Set says so.
type Model struct {
	Name  string
	Of    *Source
	Base  string            // a configuration in spec/models
	Set   map[string]string // constants: "= value" or "<- operator"
	Short bool              // it is compared with every change
}

// Models are those that are compared. The small ones are made so that each action
// is taken in each of its cases.
var Models = []Model{
	{Name: "losses", Of: Dalio, Base: "delete", Short: true, Set: map[string]string{"Clients": `= {"a"}`, "Once": "<- Always", "Losses": "= 1",
		"Collects": "= TRUE", "Quitters": `= {"a"}`, "MayRefuse": "= TRUE", "LastSeq": "= 2"}},
	{Name: "no_serving", Of: Dalio, Base: "one_replica", Short: true, Set: map[string]string{"Clients": `= {"a"}`, "Values": `= {"a"}`, "Slots": "= {s1}",
		"Once": "<- Always", "Losses": "= 1", "Quitters": `= {"a"}`, "Serving": "= {}", "LastSeq": "= 1"}},
	{Name: "old_requests", Of: Dalio, Base: "delete", Short: true, Set: map[string]string{"Clients": `= {"a"}`, "Replicas": "= {r1}", "Serving": "= {r1}",
		"Once": "<- OnlyWriteRequests", "LastSeq": "= 2"}},
	{Name: "reads", Of: Dalio, Base: "live_serving", Short: true, Set: map[string]string{"Losses": "= 0", "RedriveAtOnce": "= FALSE", "Retries": "= FALSE", "Quitters": "= {}"}},
	{Name: "reader", Of: Dalio, Base: "live_serving", Short: true, Set: map[string]string{"Clients": `= {"c"}`, "Quitters": `= {"c"}`}},
	{Name: "expiry", Of: Dalio, Base: "slot", Short: true, Set: map[string]string{"Clients": `= {"a", "b"}`, "Replicas": "= {r1}", "Serving": "= {r1}"}},
	{Name: "one_replica", Of: Dalio, Base: "one_replica"},
	{Name: "delete", Of: Dalio, Base: "delete"},
	{Name: "live_write", Of: Dalio, Base: "live_write"},
	{Name: "collect", Of: Dalio, Base: "collect"},
	{Name: "slot", Of: Dalio, Base: "slot"},
	{Name: "reclaim", Of: Dalio, Base: "reclaim"},

	{Name: "takeover", Of: Shard, Base: "failover_floor", Short: true, Set: map[string]string{"Clients": "= {a}", "Coordinators": "= {c1}"}},
	{Name: "members", Of: Shard, Base: "rejoin", Short: true, Set: map[string]string{"Clients": "= {a}"}},
	{Name: "faults", Of: Shard, Base: "crash", Short: true, Set: map[string]string{"Clients": "= {}", "PowerLosses": "= 1"}},
	{Name: "members_and_takeover", Of: Shard, Base: "rejoin_failover", Set: map[string]string{"Clients": "= {}", "Crashes": "= 1"}},
	{Name: "two_coordinators", Of: Shard, Base: "failover", Set: map[string]string{"Clients": "= {}", "LastEpoch": "= 3"}},
	{Name: "durable", Of: Shard, Base: "durable", Set: map[string]string{"Clients": "= {a}"}},
	{Name: "failover_read", Of: Shard, Base: "failover_read"},
	{Name: "failover_two", Of: Shard, Base: "failover_two", Set: map[string]string{"Clients": "= {a, b}"}},
	{Name: "removal", Of: Shard, Base: "removal"},
	{Name: "power_loss", Of: Shard, Base: "power_loss"},
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
	base, err := cfg.Parse(string(text))
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	set := map[string]string{"Exact": "= FALSE"}
	maps.Copy(set, m.Set)
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if _, ok := base.Constants[name]; !ok {
			return "", fmt.Errorf("%s has no constant %s", path, name)
		}
		base.Constants[name] = set[name]
	}
	out := []string{"INIT EdgeInit", "NEXT " + m.Of.next, "VIEW " + m.Of.view, "ACTION_CONSTRAINT EmitWhole"}
	for _, other := range base.Others {
		if !strings.HasPrefix(other, "SPECIFICATION ") && !strings.HasPrefix(other, "SYMMETRY ") {
			out = append(out, other)
		}
	}
	out = append(out, "CONSTANTS")
	for _, name := range slices.Sorted(maps.Keys(base.Constants)) {
		out = append(out, "  "+name+" "+base.Constants[name])
	}
	return strings.Join(out, "\n") + "\n", nil
}
