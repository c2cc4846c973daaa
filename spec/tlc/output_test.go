// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dalio/spec/cfg"
)

// recorded reads what TLC once printed.
func recorded(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func parsed(t *testing.T, text string) output {
	t.Helper()
	out, err := parseOutput(text, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

var reclaim = Model{Name: "reclaim", Generated: 43313, Distinct: 8632, Depth: 36}

func TestPassIsAccepted(t *testing.T) {
	out := parsed(t, recorded(t, "pass.txt"))
	if err := judgeModel(reclaim, 0, out); err != nil {
		t.Fatal(err)
	}
}

func TestAnythingButThePinnedPassIsRefused(t *testing.T) {
	pass := recorded(t, "pass.txt")
	for name, c := range map[string]struct {
		old, new string
		exit     int
	}{
		"another status": {"", "", 12},
		"killed":         {"", "", -1},
		"not completed":  {"Model checking completed.", "Model checking stopped.", 0},
		"fewer distinct": {"8632 distinct", "8631 distinct", 0},
		"more generated": {"43313 states generated", "43,314 states generated", 0},
		"another depth":  {"search is 36", "search is 35", 0},
		"states left":    {" 0 states left", " 1 states left", 0},
		"no final count": {"43313 states generated", "states generated", 0},
		"an error":       {"Finished in", "Error: Deadlock reached.\nFinished in", 0},
		"violation, -continue": {"Model checking completed.",
			"Error: Invariant TypeOK is violated.\nModel checking completed.", 0},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(pass, c.old, c.new, 1)
			if c.old != "" && text == pass {
				t.Fatalf("the recorded output lacks %q", c.old)
			}
			if judgeModel(reclaim, c.exit, parsed(t, text)) == nil {
				t.Error("it is accepted")
			}
		})
	}
}

func TestEachViolationIsTakenForItself(t *testing.T) {
	outputs := map[string]string{
		"RefinesRegister": recorded(t, "refined_not.txt"),
		"Answered":        recorded(t, "answered_not.txt"),
		"Linearizable":    "Error: Invariant Linearizable is violated.\nError: The behavior up to this point is:\n",
	}
	for property, text := range outputs {
		out := parsed(t, text)
		for expected, report := range reports {
			err := judgeRefuted(report, reports[property].exit, out)
			if (err == nil) != (expected == property) {
				t.Errorf("a violation of %s, judged as one of %s: %v", property, expected, err)
			}
		}
		if judgeRefuted(reports[property], 0, out) == nil {
			t.Errorf("%s: status 0 is accepted", property)
		}
		if judgeRefuted(reports[property], reports[property].exit, parsed(t, recorded(t, "pass.txt"))) == nil {
			t.Errorf("%s: a pass is accepted", property)
		}
		if judgeRefuted(reports[property], reports[property].exit, parsed(t, text+"Error: TLC threw an exception.\n")) == nil {
			t.Errorf("%s: a further error is accepted", property)
		}
	}
}

func TestSimulationMustFindNothingInEnough(t *testing.T) {
	const text = "Starting...\nProgress: 101 states checked.\nProgress: 7,980 states checked.\nFinished in 03s\n"
	for name, c := range map[string]struct {
		text string
		exit int
		good bool
	}{
		"as it should be":  {text, 0, true},
		"another status":   {text, 12, false},
		"too few states":   {strings.Replace(text, "7,980", "7,979", 1), 0, false},
		"no states at all": {"Starting...\nFinished in 03s\n", 0, false},
		"a violation":      {text + "Error: Invariant Linearizable is violated.\n", 0, false},
	} {
		if err := judgeSimulation(Simulation{States: 7980}, c.exit, parsed(t, c.text)); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The configurations in the repository are those of the manifest, and each one
// that must fail is its twin without one cure.
func TestManifestMatchesFiles(t *testing.T) {
	manifest, err := readManifest(filepath.Join("..", "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	read := func(path string) cfg.Config {
		text, err := os.ReadFile(filepath.Join("..", path))
		if err != nil {
			t.Fatal(err)
		}
		c, err := cfg.Parse(string(text))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		return c
	}
	var listed []string
	for _, j := range manifest.modelJobs(true, "") {
		listed = append(listed, j.config)
		if c := read(j.config); !slices.Contains(c.Properties, "TypeOK") ||
			!slices.ContainsFunc([]string{"RefinesRegister", "Linearizable", "Answered", "StepsAreKnown", "AnswersAsHandleRead", "HeldSinceItCame"}, func(promise string) bool {
				return slices.Contains(c.Properties, promise)
			}) {
			t.Errorf("%s checks only %v", j.config, c.Properties)
		}
	}
	for _, j := range manifest.mustFailJobs("") {
		listed = append(listed, j.config)
		if err := checkTwins(read(j.config), read(j.twin), j.mustFail.Constant, j.mustFail.Violates); err != nil {
			t.Errorf("%s: %v", j.config, err)
		}
	}
	var found []string
	for _, directory := range []string{"models", "must_fail", "simulations"} {
		files, err := os.ReadDir(filepath.Join("..", directory))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			found = append(found, directory+"/"+file.Name())
		}
	}
	slices.Sort(listed)
	slices.Sort(found)
	if !slices.Equal(listed, found) {
		t.Errorf("the manifest lists %v, the files are %v", listed, found)
	}
}

const twinText = `\* A comment.
SPECIFICATION Spec

CONSTANTS
  r1 = r1
  Wanted <- TwoWrites \* what clients do
  Gate = TRUE
  Dedup = TRUE

SYMMETRY Symmetry
INVARIANT TypeOK
PROPERTY RefinesRegister
CHECK_DEADLOCK FALSE
`

func TestTwinsDifferInOneConstantOnly(t *testing.T) {
	fail := strings.Replace(strings.Replace(twinText, "Gate = TRUE", "Gate = FALSE", 1), "INVARIANT TypeOK\n", "", 1)
	for name, c := range map[string]struct {
		old, new string
		good     bool
	}{
		"as it should be":  {"", "", true},
		"the twin itself":  {"Gate = FALSE", "Gate = TRUE", false},
		"a second cure":    {"Dedup = TRUE", "Dedup = FALSE", false},
		"another workload": {"<- TwoWrites", "<- OneWrite", false},
		"a constant less":  {"  Dedup = TRUE\n", "", false},
		"a constant more":  {"  Dedup = TRUE\n", "  Dedup = TRUE\n  More = 1\n", false},
		"no symmetry":      {"SYMMETRY Symmetry\n", "", false},
		"a type invariant": {"PROPERTY", "INVARIANT TypeOK\nPROPERTY", false},
		"another property": {"RefinesRegister", "Answered", false},
	} {
		t.Run(name, func(t *testing.T) {
			first, err := cfg.Parse(strings.Replace(fail, c.old, c.new, 1))
			if err != nil {
				t.Fatal(err)
			}
			second, err := cfg.Parse(twinText)
			if err != nil {
				t.Fatal(err)
			}
			if err := checkTwins(first, second, "Gate", "RefinesRegister"); (err == nil) != c.good {
				t.Errorf("judged: %v", err)
			}
		})
	}
}

func TestConfigIsReadStrictly(t *testing.T) {
	for _, text := range []string{"Gate = TRUE\n", "CONSTANTS\n  Gate\n", "CONSTANTS\n  A = 1\n  A = 2\n", "POSTCONDITION P\n"} {
		if _, err := cfg.Parse(text); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

func TestPropertyIsReplaced(t *testing.T) {
	text, err := replaceProperty(twinText, "RefinesRegister", "Linearizable")
	if err != nil || !strings.Contains(text, "INVARIANT Linearizable\n") || strings.Contains(text, "PROPERTY") {
		t.Errorf("%v: %s", err, text)
	}
	if _, err := replaceProperty(twinText, "Answered", "Linearizable"); err == nil {
		t.Error("a property that is not there is replaced")
	}
}
