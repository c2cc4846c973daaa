// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"cmp"
	"embed"
	"fmt"
	"html/template"
	"os"
	"path/filepath"
	"slices"

	"dalio/checker/linear"
	"dalio/traces"
)

const indexFile = "index.html"

//go:embed pages/*.html
var pageFiles embed.FS

var pages = template.Must(template.New("").Funcs(template.FuncMap{"thousands": thousands}).ParseFS(pageFiles, "pages/*.html"))

// writePages writes the index, a page for each bad key, and each core as a
// history of its own.
func writePages(dir string, histories []history) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the directory of the pages: %w", err)
	}
	var files []string
	for _, h := range histories {
		for _, k := range h.report.Keys {
			if k.Verdict != linear.NotLinearizable {
				continue
			}
			name := fmt.Sprintf("key-%03d", len(files)+1)
			if err := writeKey(dir, name, h.path, k); err != nil {
				return err
			}
			files = append(files, name+".html")
		}
	}
	return writeTemplate(filepath.Join(dir, indexFile), "index.html", newIndexPage(histories, files))
}

func writeKey(dir, name, path string, k linear.KeyReport) error {
	page := newKeyPage(path, k)
	page.CoreFile = name + ".jsonl"
	if err := writeTemplate(filepath.Join(dir, name+".html"), "key.html", page); err != nil {
		return err
	}
	core, err := coreHistory(k.Core)
	if err != nil {
		return fmt.Errorf("write the core of key %q: %w", k.Key, err)
	}
	if err := os.WriteFile(filepath.Join(dir, page.CoreFile), core, 0o644); err != nil {
		return fmt.Errorf("write the core of key %q: %w", k.Key, err)
	}
	return nil
}

func writeTemplate(path, name string, data any) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	if err := pages.ExecuteTemplate(w, name, data); err != nil {
		return fmt.Errorf("write page %s: %w", path, err)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	return nil
}

// coreHistory returns operations as a history that can be judged again.
func coreHistory(core []linear.Operation) ([]byte, error) {
	type line struct {
		traces.Event
		index int
	}
	var lines []line
	for i, o := range core {
		e := traces.Event{Process: o.Process, Type: traces.Invoke, F: o.F, Key: o.Key, Time: o.Invoked}
		if o.F == traces.Write {
			e.Value = o.Value
		}
		lines = append(lines, line{e, i})
		e.Type = traces.Info
		if o.Completed != nil {
			e.Type, e.Time, e.Value = o.Type, *o.Completed, o.Value
		}
		lines = append(lines, line{e, i})
	}
	// The core is in the order of the calls, so that at one instant a process
	// ends an operation before it begins another.
	slices.SortStableFunc(lines, func(a, b line) int {
		return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.index, b.index))
	})
	var out []byte
	var err error
	for _, l := range lines {
		if out, err = traces.AppendLine(out, l.Event); err != nil {
			return nil, err
		}
	}
	return out, nil
}
