// SPDX-License-Identifier: Apache-2.0

package linear

import (
	"context"
	"fmt"
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
func CheckFile(ctx context.Context, path string, opt Options) (Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return Report{}, fmt.Errorf("open history: %w", err)
	}
	defer f.Close()
	format := opt.Format
	if format == "" {
		format = JSONL
		if filepath.Ext(path) == ".edn" {
			format = EDN
		}
	}
	var source traces.Source
	switch format {
	case JSONL:
		source = traces.NewReader(f, path)
	case EDN:
		source = traces.NewJepsenReader(f, path)
	default:
		return Report{}, fmt.Errorf("unknown format %q: use %s or %s", format, JSONL, EDN)
	}
	return Check(ctx, source, opt)
}
