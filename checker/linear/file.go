// SPDX-License-Identifier: Apache-2.0

package linear

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"dalio/traces"
)

// The formats of a history.
const (
	JSONL = "jsonl"
	EDN   = "edn"
)

// CheckFile judges the history in a file. An error means that the file is
// unreadable; of a bad history it is a *traces.Error with file and line.
//
// A history with versions is not held in memory: the keys whose versions explain all
// that was seen are done when it has been read, and the others are read once more.
func CheckFile(ctx context.Context, path string, opt Options) (Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return Report{}, fmt.Errorf("open history: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Report{}, fmt.Errorf("open history: %w", err)
	}
	source, err := sourceOf(f, path, opt.Format)
	if err != nil {
		return Report{}, err
	}
	// What comes through a pipe comes once.
	h, err := readHistory(source, !info.Mode().IsRegular())
	if err == nil && len(h.missing) > 0 {
		err = readAgain(h, f, path, opt.Format)
	}
	if err != nil {
		return Report{}, err
	}
	return h.judge(ctx, opt), nil
}

func sourceOf(f io.Reader, path, format string) (traces.Source, error) {
	if format == "" {
		format = JSONL
		if filepath.Ext(path) == ".edn" {
			format = EDN
		}
	}
	switch format {
	case JSONL:
		return traces.NewReader(f, path), nil
	case EDN:
		return traces.NewJepsenReader(f, path), nil
	}
	return nil, fmt.Errorf("unknown format %q: use %s or %s", format, JSONL, EDN)
}

// readAgain reads the operations of the keys that are missing.
func readAgain(h *history, f io.ReadSeeker, path, format string) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read %s again: %w", path, err)
	}
	source, err := sourceOf(f, path, format)
	if err != nil {
		return err
	}
	only := map[string]bool{}
	for key := range h.missing {
		only[key] = true
	}
	l := newLoader(only)
	if err := eachEvent(source, l.add); err != nil {
		return err
	}
	h.others = l.registers()
	for _, r := range h.others {
		if len(r.ops) != h.missing[r.key] {
			return fmt.Errorf("%s changed while it was read: key %q had %d operations, and now %d", path, r.key, h.missing[r.key], len(r.ops))
		}
		delete(h.missing, r.key)
	}
	if len(h.missing) > 0 {
		return fmt.Errorf("%s changed while it was read: %d keys are gone", path, len(h.missing))
	}
	return nil
}
