// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"dalio/traces/event"
)

// gather reads the events of a file, or of all files in a folder.
func gather(path string) ([]*event.Event, error) {
	files := []string{path}
	if info, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	} else if info.IsDir() {
		if files, err = filepath.Glob(filepath.Join(path, "*.jsonl")); err != nil {
			return nil, fmt.Errorf("read events: %w", err)
		}
	}
	var all []*event.Event
	for _, file := range files {
		events, err := event.ReadFile(file)
		if err != nil {
			return nil, err
		}
		all = append(all, events...)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no events in %s: was the run started with --events?", path)
	}
	return all, nil
}

// complete returns the events with those of each teller in order, and without their
// ends. It is an error if one is missing: the ring was full, or its teller was killed
// before it was written.
func complete(events []*event.Event) ([]*event.Event, error) {
	events = slices.Clone(events)
	slices.SortStableFunc(events, func(a, b *event.Event) int { return cmp.Or(cmp.Compare(a.By, b.By), cmp.Compare(a.N, b.N)) })
	var missing uint64
	var first error
	kept := make([]*event.Event, 0, len(events))
	for i, e := range events {
		want := uint64(1)
		if i > 0 && events[i-1].By == e.By {
			want = events[i-1].N + 1
		}
		if e.N != want {
			missing += e.N - want
			if first == nil {
				first = fmt.Errorf("the first are those of %s before its event %d", e.By, e.N)
			}
		}
		if e.Event != event.End {
			kept = append(kept, e)
		}
		if last := i+1 == len(events) || events[i+1].By != e.By; last != (e.Event == event.End) {
			return nil, fmt.Errorf("the trace is incomplete: %s has told its last event, %d, without an %s, or more after that; was it killed?", e.By, e.N, event.End)
		}
	}
	if first != nil {
		return nil, fmt.Errorf("the trace is incomplete: %d events were lost; %w", missing, first)
	}
	return kept, nil
}

// write writes events as a trace, one line each.
func write(path string, events []*event.Event) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write the trace: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	out := bufio.NewWriter(file)
	var line []byte
	for _, e := range events {
		line = event.AppendLine(line[:0], e)
		if _, err := out.Write(line); err != nil {
			return fmt.Errorf("write the trace: %w", err)
		}
	}
	return out.Flush()
}
