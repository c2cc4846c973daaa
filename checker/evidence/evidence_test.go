// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const table = `# Page
| what | by | how much | command |
|---|---|---|---|
| pairs | TEST_RUN | <!-- pairs -->1 of 2 | ` + "`make pairs`" + ` |
| edges | TLC | <!-- edges --> | ` + "`make edges`" + ` |
the end
`

func page(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "README.md")
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOneCellIsReplacedAndAllElseStays(t *testing.T) {
	path := page(t, table)
	for name, text := range map[string]string{"pairs": "2 of 2", "edges": "7"} {
		if err := Write(path, name, text); err != nil {
			t.Fatal(err)
		}
		if got, err := Read(path, name); err != nil || got != text {
			t.Errorf("cell %s holds %q (%v), want %q", name, got, err, text)
		}
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.NewReplacer("<!-- pairs -->1 of 2 ", "<!-- pairs -->2 of 2 ", "<!-- edges --> ", "<!-- edges -->7 ").Replace(table)
	if string(content) != want {
		t.Errorf("the page is now\n%swant\n%s", content, want)
	}
}

func TestWhatCantBeWrittenLeavesThePage(t *testing.T) {
	for _, c := range []struct{ name, page, cell, text, complaint string }{
		{"no such cell", table, "proof", "1", "no cell is marked"},
		{"two of them", table + table, "pairs", "1", "more than one"},
		{"a bar in the text", table, "pairs", "1 | 2", "can't stand in a cell"},
		{"a line break in the text", table, "pairs", "1\n2", "can't stand in a cell"},
		{"nothing", table, "pairs", " ", "can't stand in a cell"},
		{"no end of the cell", "| a | <!-- pairs -->1\n| b |\n", "pairs", "1", "does not end on its line"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := page(t, c.page)
			err := Write(path, c.cell, c.text)
			if err == nil || !strings.Contains(err.Error(), c.complaint) || !strings.Contains(err.Error(), "evidence: ") {
				t.Errorf("error %v, want one that says %q", err, c.complaint)
			}
			if content, _ := os.ReadFile(path); string(content) != c.page {
				t.Errorf("the page was changed:\n%s", content)
			}
		})
	}
	if err := Write(filepath.Join(t.TempDir(), "none.md"), "pairs", "1"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v for a file that is not there", err)
	}
}
