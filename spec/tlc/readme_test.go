// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// hazards is how many there are. Each must have a configuration and a test.
const hazards = 42

// readmeTable returns the cells of all tables whose header begins as given.
func readmeTable(t *testing.T, header string) [][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var cells [][]string
	rest := string(text)
	for {
		_, table, found := strings.Cut(rest, "\n| "+header)
		if !found {
			break
		}
		rest = table
		var rows [][]string
		for line := range strings.Lines(table) {
			if len(rows) > 0 && !strings.HasPrefix(line, "|") {
				break
			}
			rows = append(rows, strings.Split(strings.Trim(line, "| \n"), " | "))
		}
		cells = append(cells, rows[2:]...) // Without the header and the line below it.
	}
	if len(cells) == 0 {
		t.Fatalf("README.md has no table that begins with %q", header)
	}
	return cells
}

func numbers(t *testing.T, cell string) []int {
	t.Helper()
	var all []int
	if cell == "–" {
		return nil
	}
	for _, part := range strings.Split(cell, ", ") {
		n, err := strconv.Atoi(part)
		if err != nil {
			t.Fatalf("%q is no list of numbers", cell)
		}
		all = append(all, n)
	}
	return all
}

func names(cell string) []string {
	return strings.Split(strings.ReplaceAll(cell, "`", ""), ", ")
}

// The tables tell of each configuration what the manifest says.
func TestReadmeSaysWhatTheManifestSays(t *testing.T) {
	manifest, err := readManifest(filepath.Join("..", "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var models, told []string
	for _, m := range manifest.Models {
		models = append(models, fmt.Sprint(m.Name, " ", m.Generated, m.Distinct, m.Depth))
	}
	for _, row := range readmeTable(t, "model | what") {
		n := len(row)
		told = append(told, names(row[0])[0]+" "+strings.ReplaceAll(strings.Join(row[n-3:n], " "), ",", ""))
	}
	slices.Sort(models)
	slices.Sort(told)
	if !slices.Equal(told, models) {
		t.Errorf("README.md has the models\n%s\nthe manifest\n%s", strings.Join(told, "\n"), strings.Join(models, "\n"))
	}
	var simulations []string
	told = nil
	for _, s := range manifest.Simulations {
		simulations = append(simulations, fmt.Sprint(s.Name, " ", s.Traces, s.Depth, s.States))
	}
	for _, row := range readmeTable(t, "simulation |") {
		n := len(row)
		told = append(told, names(row[0])[0]+" "+strings.ReplaceAll(strings.Join(row[n-3:n], " "), ",", ""))
	}
	if !slices.Equal(told, simulations) {
		t.Errorf("README.md has the simulations %q, the manifest %q", told, simulations)
	}
	var fails []string
	told = nil
	for _, f := range manifest.MustFail {
		fails = append(fails, fmt.Sprint(f.Name, " ", f.Twin, " ", f.Hazards))
	}
	for _, row := range readmeTable(t, "configuration | model") {
		told = append(told, fmt.Sprint(names(row[0])[0], " ", names(row[1])[0], " ", numbers(t, row[2])))
	}
	slices.Sort(fails)
	slices.Sort(told)
	if !slices.Equal(told, fails) {
		t.Errorf("README.md has the configurations\n%s\nthe manifest\n%s", strings.Join(told, "\n"), strings.Join(fails, "\n"))
	}
}

// The table of hazards names all configurations of each, and tests that exist.
func TestHazardsHaveConfigurationsAndTests(t *testing.T) {
	manifest, err := readManifest(filepath.Join("..", "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[int][]string{}
	for _, f := range manifest.MustFail {
		for _, hazard := range f.Hazards {
			want[hazard] = append(want[hazard], f.Name)
		}
	}
	seen := map[int]bool{}
	for _, row := range readmeTable(t, "hazard |") {
		if len(row) != 4 {
			t.Fatalf("the row %q has %d cells", row, len(row))
		}
		hazard := numbers(t, row[0])[0]
		seen[hazard] = true
		configurations := names(row[2])
		slices.Sort(configurations)
		slices.Sort(want[hazard])
		if !slices.Equal(configurations, want[hazard]) {
			t.Errorf("hazard %d has the configurations %v, the manifest says %v", hazard, configurations, want[hazard])
		}
		for _, name := range names(row[3]) {
			if err := findTest(name); err != nil {
				t.Errorf("hazard %d: %v", hazard, err)
			}
		}
	}
	for hazard := range want {
		if !seen[hazard] {
			t.Errorf("the manifest has configurations for hazard %d, the table has no row", hazard)
		}
	}
	for hazard := 1; hazard <= hazards; hazard++ {
		if !seen[hazard] {
			t.Errorf("hazard %d is missing", hazard)
		}
	}
}

// findTest looks for a test in the form package.TestName, the package by its
// folder in the repository, or for a case of a test in the form
// package.TestName/8, where the cases have names such as "8: what happens".
func findTest(name string) error {
	folder, test, found := strings.Cut(name, ".")
	function, number, isCase := strings.Cut(test, "/")
	if !found || !strings.HasPrefix(function, "Test") {
		return fmt.Errorf("%q is not the name of a package and a test", name)
	}
	files, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(folder), "*_test.go"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("%s: there are no tests in %s", name, folder)
	}
	var tests strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		tests.Write(text)
	}
	if !strings.Contains(tests.String(), "\nfunc "+function+"(t *testing.T) {\n") {
		return fmt.Errorf("there is no test %s", name)
	}
	if isCase && !regexp.MustCompile(`\bname: +"`+regexp.QuoteMeta(number)+`: `).MatchString(tests.String()) {
		return fmt.Errorf("the test %s has no case %s", function, number)
	}
	return nil
}

func TestMissingTestsAreNoticed(t *testing.T) {
	for _, name := range []string{"spec/tlc.TestMissingTestsAreNoticed", "bpf.TestHazards/4"} {
		if err := findTest(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"spec/tlc.TestMissing", "nowhere.TestMissingTestsAreNoticed", "TestMissingTestsAreNoticed",
		"spec/tlc.findTest", "bpf.TestHazards/999", "bpf.TestHazard/4"} {
		if findTest(name) == nil {
			t.Errorf("%s is found", name)
		}
	}
}
