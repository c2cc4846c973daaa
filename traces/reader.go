// SPDX-License-Identifier: Apache-2.0

package traces

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// MaxLine is the longest line a history may have, in bytes. It bounds what a
// reader holds in memory whatever it is given.
const MaxLine = 1 << 20

// Reader reads a history in JSON lines, one event at a time.
type Reader struct {
	lines *lineReader
	plain plainLines
	rules *rules
	file  string
	seen  bool
	err   error
}

// NewReader returns a Reader of r. The file's name is used in errors only.
func NewReader(r io.Reader, file string) *Reader {
	return &Reader{lines: newLineReader(r), rules: newRules(), file: file}
}

// Next returns the next event, or io.EOF after the last. Blank lines are
// skipped. Every other error is an *Error, or wraps what the underlying reader
// returned, and is repeated by later calls.
func (r *Reader) Next() (Event, error) {
	if r.err != nil {
		return Event{}, r.err
	}
	event, err := r.next()
	if err != nil {
		r.err = err
	}
	return event, err
}

func (r *Reader) next() (Event, error) {
	for {
		line, err := r.lines.next()
		if errors.Is(err, io.EOF) {
			if !r.seen {
				return Event{}, r.fail(0, errEmpty)
			}
			return Event{}, io.EOF
		}
		if errors.Is(err, errLongLine) {
			return Event{}, r.fail(r.lines.number, err)
		}
		if err != nil {
			return Event{}, fmt.Errorf("read %s after line %d: %w", r.file, r.lines.number, err)
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		event, plain := r.plain.parse(line)
		if !plain {
			if event, err = parseLine(line); err != nil {
				return Event{}, r.fail(r.lines.number, err)
			}
		}
		event.Line = r.lines.number
		if err := r.rules.accept(event); err != nil {
			return Event{}, r.fail(r.lines.number, err)
		}
		r.seen = true
		return event, nil
	}
}

func (r *Reader) fail(line int, err error) error {
	return &Error{File: r.file, Line: line, Msg: err.Error()}
}

var (
	errEmpty    = errors.New("the history is empty: nothing was recorded, so there is nothing to judge")
	errLongLine = fmt.Errorf("the line is longer than %d bytes: one operation is one line; "+
		"if the file holds one JSON array, write its elements one per line", MaxLine)
)

// lineReader splits its input into lines without holding more than one.
type lineReader struct {
	r      *bufio.Reader
	long   []byte
	number int
}

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, 1<<16)}
}

// next returns the next line, valid until the following call. The last line
// needs no line feed.
func (l *lineReader) next() ([]byte, error) {
	l.long = l.long[:0]
	for {
		part, err := l.r.ReadSlice('\n')
		if len(l.long) == 0 && len(part) > 0 {
			l.number++
		}
		if len(l.long)+len(part) > MaxLine {
			return nil, errLongLine
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			l.long = append(l.long, part...)
			continue
		}
		if err != nil && (!errors.Is(err, io.EOF) || len(l.long)+len(part) == 0) {
			return nil, err
		}
		if len(l.long) == 0 {
			return part, nil
		}
		l.long = append(l.long, part...)
		return l.long, nil
	}
}
