// SPDX-License-Identifier: Apache-2.0

// Package evidence keeps the figures of the README's evidence table: each is
// written by the command that measured it, so that none is copied by hand.
//
// A cell that a command fills starts with a comment that names it, which no
// reader of the rendered page sees:
//
//	| what is checked | by what | <!-- conform -->10,000 transitions | `make conform` |
package evidence

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Write puts text into the cell of the table in the file at path that is marked
// with name. What the cell held is replaced, all else in the file stays. The
// file is replaced as a whole: an error leaves it as it was.
//
// Errors: the file can't be read or written; no cell, or more than one, has
// that name; text would break the table, for it holds a | or a line break, or is empty.
func Write(path, name, text string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("evidence: %w", err)
	}
	replaced, err := replace(content, name, text)
	if err != nil {
		return fmt.Errorf("evidence: %s: %w", path, err)
	}
	if bytes.Equal(replaced, content) {
		return nil
	}
	return swap(path, replaced)
}

// Read returns the text in the cell that is marked with name, without the spaces
// around it. Errors are those of Write.
func Read(path, name string) (string, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("evidence: %w", err)
	}
	from, to, err := cell(content, name)
	if err != nil {
		return "", fmt.Errorf("evidence: %s: %w", path, err)
	}
	return strings.TrimSpace(string(content[from:to])), nil
}

func replace(content []byte, name, text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	if text == "" || strings.ContainsAny(text, "|\n\r") {
		return nil, fmt.Errorf("%q can't stand in a cell: it is empty, or holds a | or a line break", text)
	}
	from, to, err := cell(content, name)
	if err != nil {
		return nil, err
	}
	return bytes.Join([][]byte{content[:from], []byte(text + " "), content[to:]}, nil), nil
}

// cell finds what stands between the mark and the end of its cell.
func cell(content []byte, name string) (from, to int, err error) {
	mark := []byte("<!-- " + name + " -->")
	switch bytes.Count(content, mark) {
	case 1:
	case 0:
		return 0, 0, fmt.Errorf("no cell is marked %s; add it to a row of the evidence table", mark)
	default:
		return 0, 0, fmt.Errorf("more than one cell is marked %s; leave one", mark)
	}
	from = bytes.Index(content, mark) + len(mark)
	length := bytes.IndexAny(content[from:], "|\n")
	if length < 0 || content[from+length] != '|' {
		return 0, 0, fmt.Errorf("the cell marked %s does not end on its line; a | is missing", mark)
	}
	return from, from + length, nil
}

func swap(path string, content []byte) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("evidence: %w", err)
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.Write(content)
	if err == nil {
		err = temporary.Chmod(0o644)
	}
	if failed := temporary.Close(); err == nil {
		err = failed
	}
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("evidence: %w", err)
	}
	return nil
}
