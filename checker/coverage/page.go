// SPDX-License-Identifier: Apache-2.0

package main

import (
	"html/template"
	"io"
	"slices"
)

// line is a line of source with what became of the bytecode that it stands for.
type line struct {
	Number int
	Text   string
	// Runs is how often the block of it that ran most often did.
	Runs uint64
	tally
	Class string
	// Ways tells gone and all ways of the line's jumps, "" without any.
	Blocks, Ways string
}

type file struct {
	Name  string
	Lines []line
}

// annotate adds up, for each line of the sources, the blocks and jumps of all programs.
func annotate(programs []*program, all sources) []file {
	var files []file
	lines := map[string][]line{}
	for name, s := range all {
		for i, text := range s.lines {
			lines[name] = append(lines[name], line{Number: i + 1, Text: text})
		}
	}
	at := func(p place) *line {
		if p.line < 1 || p.line > len(lines[p.file]) {
			return &line{}
		}
		return &lines[p.file][p.line-1]
	}
	for _, p := range programs {
		for i, b := range p.plan.Blocks {
			var seen []place
			for _, where := range p.places[b.First : b.Last+1] {
				if slices.Contains(seen, where) {
					continue
				}
				seen = append(seen, where)
				l := at(where)
				l.block(p.hits.Blocks[i])
				l.Runs = max(l.Runs, p.hits.Blocks[i])
			}
		}
		for i, b := range p.plan.Branches {
			at(p.places[b.At]).branch(p.hits.Taken[i], p.hits.NotTaken[i])
		}
	}
	for name, of := range lines {
		files = append(files, file{name, of})
		for i := range of {
			of[i].describe()
		}
	}
	slices.SortFunc(files, func(a, b file) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return files
}

func (l *line) describe() {
	if l.blocks == 0 {
		return
	}
	l.Blocks, l.Class = ratio(l.blocksRun, l.blocks), "run"
	if l.ways > 0 {
		l.Ways = ratio(l.waysGone, l.ways)
	}
	switch {
	case l.blocksRun == 0:
		l.Class = "never"
	case l.blocksRun < l.blocks || l.waysGone < l.ways:
		l.Class = "partly"
	}
}

var page = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Coverage of the bytecode</title>
<style>
body { font: 14px/1.4 sans-serif; margin: 2em } h2 { margin-top: 2em }
pre, td { font: 12px/1.35 monospace; white-space: pre; tab-size: 8 }
td { padding: 0 .8em 0 0; text-align: right } td:last-child { text-align: left }
.run { background: #e7f6e7 } .partly { background: #fdf3d0 } .never { background: #fbdcdc }
</style>
<h1>Coverage of the bytecode</h1>
<p>Of each line: how often its busiest block ran, its blocks run of all, and the ways gone at its jumps of all.
A line that is part of several handlers has blocks in each.
<span class="run">All</span>, <span class="partly">some</span> or <span class="never">nothing</span> of it was reached;
<code>checker/coverage/untaken.json</code> says why of what was not.</p>
<pre>{{.Table}}</pre>
{{range .Files}}<h2>{{.Name}}</h2><table>
{{range .Lines}}<tr class="{{.Class}}"><td>{{.Number}}</td><td>{{if .Blocks}}{{.Runs}}{{end}}</td><td>{{.Blocks}}</td><td>{{.Ways}}</td><td>{{.Text}}</td></tr>
{{end}}</table>{{end}}
`))

// writePage writes the table, and the sources line by line.
func writePage(w io.Writer, table string, files []file) error {
	return page.Execute(w, struct {
		Table string
		Files []file
	}{table, files})
}
