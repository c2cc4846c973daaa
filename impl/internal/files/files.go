// SPDX-License-Identifier: Apache-2.0

// Package files writes files whole or not at all: whoever reads one meanwhile finds
// what it held before, or what it holds afterwards.
package files

import (
	"encoding/json"
	"fmt"
	"os"
)

// Replace makes the content that of the file at path. The folder must be there. A
// name with .new at its end is used meanwhile.
func Replace(path string, content []byte) error {
	if err := os.WriteFile(path+".new", content, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// ReplaceJSON makes a value the content of the file at path, indented for people. The
// error says what of the file failed.
func ReplaceJSON(path string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", path, err)
	}
	if err := Replace(path, append(text, '\n')); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
