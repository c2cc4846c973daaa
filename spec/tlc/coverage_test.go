// SPDX-License-Identifier: Apache-2.0

package main

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// coveredModules have lines where coverage.txt says.
func coveredModules() modules {
	steps := make([]string, 440)
	steps[437] = `  \/ \E m \in Received("OpenResponse") : HandleOpenResponse(c, m)  `
	steps[438] = `  \/ \E m \in Received("WriteResponse") : HandleWriteResponse(c, m)  `
	steps[439] = `  \/ \E m \in Received("ReadResponse") : HandleReadResponse(c, m)  `
	members := make([]string, 80)
	members[71] = `  IN  /\ MayChange(x) /\ control[x].joining = None`
	return modules{"Dalio": steps, "Members": members}
}

func TestCoverageNamesActions(t *testing.T) {
	sources := coveredModules()
	out, err := parseOutput(recorded(t, "coverage.txt"), sources)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{
		"Init": 1, "InvokeRead": 531, "Abandon": 0, "HandleOpenResponse": 1333,
		"HandleWriteResponse": 2766, "HandleReadResponse": 799,
		"Assign": 1793, "TakeEpoch": 0, // of another module
	}
	if !maps.Equal(out.Taken, want) {
		t.Errorf("the coverage is %v, want %v", out.Taken, want)
	}
	for module := range sources {
		broken := coveredModules()
		broken[module] = nil
		if _, err := parseOutput(recorded(t, "coverage.txt"), broken); err == nil {
			t.Errorf("coverage that points outside of module %s is accepted", module)
		}
	}
	sources["Dalio"][438] = `  \/ \E m \in Received : TRUE                                       `
	if _, err := parseOutput(recorded(t, "coverage.txt"), sources); err == nil {
		t.Error("coverage that points to no action is accepted")
	}
}

// smallModule joins actions in each of the ways that the specification does.
var smallModule = strings.Split(`ClientStep(c) ==
  \/ \E k \in Keys : InvokeRead(c, k)
  \/ Retry(c)  \* again

Next ==
  \/ \E c \in Clients : ClientStep(c)
  \/ \E s \in Slots : Publish(s) \/ Abort(s)
  \/ LosePower

LiveNext == LoseReply

Nothing == 1
`, "\n")

func TestActionsAreThoseThatNextJoins(t *testing.T) {
	sources := modules{"Small": smallModule, "Empty": nil}
	got, err := sources.actions("Small", "Next")
	if want := []string{"InvokeRead", "Retry", "Publish", "Abort", "LosePower"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("actions %v, %v; want %v", got, err, want)
	}
	for module, joining := range map[string]string{"Small": "Nothing", "Empty": "Next"} {
		if got, err := sources.actions(module, joining); err == nil {
			t.Errorf("%s of module %s joins %v", joining, module, got)
		}
	}
}

func TestCoverageMustBeThatOfTheManifest(t *testing.T) {
	actions, broken := []string{"InvokeRead", "Settle", "Abort"}, []string{"Abort"}
	model := Model{Coverage: true, NotTaken: []string{"Settle"}}
	for name, c := range map[string]struct {
		taken map[string]int
		good  bool
	}{
		"as it should be":                     {map[string]int{"Init": 1, "InvokeRead": 5, "Settle": 0, "Abort": 0}, true},
		"no coverage":                         {nil, false},
		"an action that is never taken":       {map[string]int{"Init": 1, "InvokeRead": 0, "Settle": 0, "Abort": 0}, false},
		"one taken that must not be":          {map[string]int{"Init": 1, "InvokeRead": 5, "Settle": 1, "Abort": 0}, false},
		"one taken that only a broken one is": {map[string]int{"Init": 1, "InvokeRead": 5, "Settle": 0, "Abort": 1}, false},
		"an action that is not reported":      {map[string]int{"Init": 1, "InvokeRead": 5, "Abort": 0}, false},
		"one reported that is none":           {map[string]int{"Init": 1, "InvokeRead": 5, "Settle": 0, "Abort": 0, "DataStep": 9}, false},
	} {
		if err := judgeCoverage(model, c.taken, actions, broken); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Every action of the specification is taken by some model of the default set.
func TestEveryActionIsTakenByAModel(t *testing.T) {
	sources, err := readModules("..")
	if err != nil {
		t.Fatal(err)
	}
	fresh := func() *Manifest {
		manifest, err := readManifest(filepath.Join("..", "manifest.json"))
		if err != nil {
			t.Fatal(err)
		}
		return manifest
	}
	if err := fresh().checkCoverage(sources); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(m *Manifest){
		"no model is covered": func(m *Manifest) {
			for i := range m.Models {
				m.Models[i].Coverage = false
			}
		},
		"the covered models are of the full set": func(m *Manifest) {
			for i := range m.Models {
				m.Models[i].Full = true
			}
		},
		"no model takes Fence": func(m *Manifest) {
			for i := range m.Models {
				if m.Models[i].Module == "MCShard" {
					m.Models[i].NotTaken = append(slices.Clone(m.Models[i].NotTaken), "Fence")
				}
			}
		},
		"a model is not to take what is no action": func(m *Manifest) { m.Models[0].NotTaken = []string{"Fence"} },
		"only a broken one takes what is none":     func(m *Manifest) { m.OnlyBroken["MCDalio"] = []string{"Fence"} },
	} {
		manifest := fresh()
		spoil(manifest)
		if manifest.checkCoverage(sources) == nil {
			t.Errorf("%s, and it is accepted", name)
		}
	}
}
