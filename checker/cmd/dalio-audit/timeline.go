// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"dalio/checker/linear"
	"dalio/traces"
)

// The measures of a time line, in SVG units.
const (
	lineWidth  = 1000
	axisLeft   = 190
	axisRight  = 985
	rowHeight  = 34
	headHeight = 14
	tickSpace  = 74 // between labels of the axis
)

// bar is one operation on a time line.
type bar struct {
	Label, Name string // "B", "process 3"
	Text, Title string
	Class       string
	X, W, Y     int
	caption
	Open bool // the outcome is unknown: the bar has no right end
}

// band is a period above the bars.
type band struct {
	Text    string
	X, W, Y int
	caption
}

// caption is where the text of a bar or band goes.
type caption struct {
	TextX  int
	Anchor string
	Beside bool
}

// tick is an instant at which something began or ended.
type tick struct {
	X    int
	Text string // empty where there is no room
	Mark bool   // the contradiction begins here
}

// timeline is everything the SVG shows. The axis shows the order of instants,
// not their distance: real histories have gaps in which nothing can be seen.
type timeline struct {
	Bars          []bar
	Bands         []band
	Ticks         []tick
	Height, Floor int
	Width         int
	Open          bool // some bar has no right end
}

// shown is an operation with its role in a picture.
type shown struct {
	linear.Operation
	label string // empty outside the core
	stuck bool
}

// drawTimeline lays the operations out, one in a row.
func drawTimeline(ops []shown, periods []linear.Period, start int64) timeline {
	x, instants := scale(ops, periods)
	t := timeline{Width: lineWidth}
	y := headHeight
	for _, p := range periods {
		from := axisLeft
		if p.From != linear.Always {
			from = x(p.From)
		}
		text := "certainly " + shorten(state(p.Value))
		if p.Moment {
			text += " at some moment"
		}
		b := band{Text: text, X: from, W: max(x(p.To)-from, 6), Y: y}
		b.caption = newCaption(b.Text, b.X, b.W)
		t.Bands = append(t.Bands, b)
		y += rowHeight
	}
	marks := make(map[int64]bool)
	for _, o := range ops {
		t.Bars = append(t.Bars, newBar(o, x, y))
		t.Open = t.Open || o.Completed == nil
		marks[o.Invoked] = marks[o.Invoked] || o.stuck
		y += rowHeight
	}
	t.Floor, t.Height = y, y+26
	free := axisLeft - tickSpace
	for _, at := range instants {
		k := tick{X: x(at), Mark: marks[at]}
		if k.X >= free+tickSpace {
			k.Text, free = since(at-start), k.X
		}
		t.Ticks = append(t.Ticks, k)
	}
	return t
}

// scale maps each instant at which something happens to its place.
func scale(ops []shown, periods []linear.Period) (func(int64) int, []int64) {
	var instants []int64
	for _, o := range ops {
		instants = append(instants, o.Invoked)
		if o.Completed != nil {
			instants = append(instants, *o.Completed)
		}
	}
	for _, p := range periods {
		instants = append(instants, p.To)
		if p.From != linear.Always {
			instants = append(instants, p.From)
		}
	}
	slices.Sort(instants)
	instants = slices.Compact(instants)
	step := (axisRight - axisLeft) / float64(len(instants)+1)
	return func(at int64) int {
		n, _ := slices.BinarySearch(instants, at)
		return axisLeft + int(step*(float64(n)+0.5))
	}, instants
}

func newBar(o shown, x func(int64) int, y int) bar {
	b := bar{
		Label: o.label, Name: fmt.Sprintf("process %d", o.Process),
		Text: shorten(action(o.Operation)), Title: line(o.Operation),
		X: x(o.Invoked), Y: y, Class: o.F,
	}
	end := axisRight
	switch {
	case o.Completed != nil:
		end = x(*o.Completed)
	default:
		b.Open = true
		b.Text += " … outcome unknown"
	}
	b.W = max(end-b.X, 6)
	switch {
	case o.stuck:
		b.Class += " stuck"
	case o.Type == traces.Fail:
		b.Class += " failed"
		b.Text += " (failed)"
	}
	if o.label == "" {
		b.Class += " context"
	}
	b.caption = newCaption(b.Text, b.X, b.W)
	return b
}

// newCaption places a text in a bar, or beside it if it does not fit.
func newCaption(text string, x, w int) caption {
	const pad, letter = 7, 8
	width := pad + letter*utf8.RuneCountInString(text)
	switch {
	case width <= w || x+w+width > lineWidth && x-width < axisLeft:
		return caption{x + pad, "start", false}
	case x+w+width <= lineWidth:
		return caption{x + w + pad, "start", true}
	default:
		return caption{x - pad, "end", true}
	}
}

// action says what an operation does, in a few words.
func action(o linear.Operation) string {
	switch {
	case o.F == traces.Write:
		return fmt.Sprintf("write %q", *o.Value)
	case o.F == traces.Delete:
		return "delete"
	case o.Type != traces.OK:
		return "read, no answer"
	case o.Value == nil:
		return "read: absent"
	}
	return fmt.Sprintf("read: %q", *o.Value)
}

// state says what a key holds.
func state(value *string) string {
	if value == nil {
		return "absent"
	}
	return fmt.Sprintf("%q", *value)
}

// shorten bounds what a picture or a cell can hold.
func shorten(s string) string {
	const limit = 40
	if runes := []rune(s); len(runes) > limit {
		return string(runes[:limit-1]) + "…"
	}
	return s
}

// since prints a time as a distance from the first one shown.
func since(d int64) string {
	units := []struct {
		size int64
		name string
	}{{int64(time.Second), "s"}, {int64(time.Millisecond), "ms"}, {int64(time.Microsecond), "µs"}}
	for _, u := range units {
		if d >= u.size {
			s := strings.TrimRight(fmt.Sprintf("%.3f", float64(d)/float64(u.size)), "0")
			return "+" + strings.TrimSuffix(s, ".") + " " + u.name
		}
	}
	return fmt.Sprintf("+%d ns", d)
}

// byTime orders operations by their invoke.
func byTime(a, b shown) int {
	return cmp.Or(cmp.Compare(a.Invoked, b.Invoked), cmp.Compare(a.Line, b.Line))
}
