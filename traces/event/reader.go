// SPDX-License-Identifier: Apache-2.0

package event

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"dalio/traces"
)

// maxLine is the longest line there may be, in bytes.
const maxLine = 1 << 16

// ReadFile returns the events of a file in the order of its lines. Errors are
// *traces.Error where a line is at fault.
func ReadFile(path string) ([]*Event, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	defer file.Close()
	return Read(file, path)
}

// Read does so for a reader; the file's name is used in errors only.
func Read(r io.Reader, file string) ([]*Event, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, maxLine), maxLine)
	var events []*Event
	number := 0
	for lines.Scan() {
		number++
		e, err := ParseLine(lines.Bytes())
		if err != nil {
			return nil, &traces.Error{File: file, Line: number, Msg: err.Error()}
		}
		events = append(events, e)
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, &traces.Error{File: file, Line: number + 1, Msg: fmt.Sprintf("the line is longer than %d bytes", maxLine)}
	} else if err != nil {
		return nil, fmt.Errorf("read events of %s: %w", file, err)
	}
	return events, nil
}
