// SPDX-License-Identifier: Apache-2.0

package traces

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The fields of an event, as bits of what a line has shown so far.
const (
	hasProcess = 1 << iota
	hasType
	hasF
	hasKey
	hasValue
	hasTime
	hasVersion
)

// parseLine reads one JSON object. It does not use encoding/json's struct
// decoding, which takes "Time" for "time" and lets the last of two equal
// fields win: an ignored extra field could then change a verdict.
func parseLine(line []byte) (Event, error) {
	line = bytes.TrimSpace(line)
	if !utf8.Valid(line) {
		return Event{}, errors.New("the line is not valid UTF-8: " +
			"record binary keys and values in an encoding such as hex or base64")
	}
	if !json.Valid(line) {
		return Event{}, jsonError(line)
	}
	if line[0] != '{' {
		return Event{}, errors.New("the line is not a JSON object: each line is one event, " +
			`such as {"process":0,"type":"invoke","f":"read","key":"k","value":null,"time":1}`)
	}
	var e Event
	seen := 0
	rest := line[1:]
	for {
		name, value, next, ok := nextField(rest)
		if !ok {
			break
		}
		rest = next
		bit, err := e.setField(name, value)
		if err != nil {
			return Event{}, err
		}
		switch {
		case seen&bit == 0:
		case bit == hasVersion:
			// Evidence that contradicts itself is none.
			e.Version = nil
		default:
			return Event{}, fmt.Errorf("the field %s appears twice: keep one", name)
		}
		seen |= bit
	}
	return e, missing(e, seen)
}

// missing names the first field that the event lacks and needs.
func missing(e Event, seen int) error {
	required := []struct {
		bit  int
		name string
	}{{hasProcess, "process"}, {hasType, "type"}, {hasF, "f"}, {hasKey, "key"}, {hasTime, "time"}}
	for _, field := range required {
		if seen&field.bit == 0 {
			return fmt.Errorf("the field %q is missing: every line needs process, type, f, key and time", field.name)
		}
	}
	if seen&hasValue == 0 && e.Type == OK && e.F == Read {
		return errors.New(`the ok of a read has no "value": record what it returned, or null when the key was absent`)
	}
	return nil
}

// setField stores a known field and returns its bit, or zero for one to ignore.
func (e *Event) setField(name, raw []byte) (int, error) {
	var err error
	switch string(name) {
	case `"process"`:
		var n int64
		n, err = wholeNumber(name, raw)
		e.Process = int(n)
		if err == nil && int64(e.Process) != n {
			err = fmt.Errorf("process %d is out of range: number the processes from 0", n)
		}
		return hasProcess, err
	case `"type"`:
		e.Type, err = text(name, raw)
		return hasType, err
	case `"f"`:
		e.F, err = text(name, raw)
		return hasF, err
	case `"key"`:
		e.Key, err = text(name, raw)
		return hasKey, err
	case `"value"`:
		if string(raw) == "null" {
			return hasValue, nil
		}
		var s string
		s, err = text(name, raw)
		e.Value = &s
		return hasValue, err
	case `"time"`:
		e.Time, err = wholeNumber(name, raw)
		return hasTime, err
	case `"version"`:
		e.Version = versionOf(raw)
		return hasVersion, nil
	}
	return 0, nil
}

func wholeNumber(name, raw []byte) (int64, error) {
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s is %s: it must be a whole number, not quoted, without a fraction, in 64 bits",
			name, clip(raw))
	}
	return n, nil
}

// versionOf returns the version in a field, nil if it is anything but two whole
// numbers: other systems may call by that name what says nothing to us.
func versionOf(raw []byte) *Version {
	var numbers []json.Number
	if json.Unmarshal(raw, &numbers) != nil || len(numbers) != 2 {
		return nil
	}
	epoch, err := strconv.ParseUint(string(numbers[0]), 10, 64)
	seq, err2 := strconv.ParseUint(string(numbers[1]), 10, 64)
	if err != nil || err2 != nil {
		return nil
	}
	return &Version{epoch, seq}
}

func text(name, raw []byte) (string, error) {
	if raw[0] != '"' {
		return "", fmt.Errorf("%s is %s: it must be a string", name, clip(raw))
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1]), nil
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", fmt.Errorf("%s is not a JSON string: %w", name, err)
	}
	// A lone surrogate decodes to U+FFFD, which would make two different
	// values equal.
	if strings.Count(s, "\uFFFD") != bytes.Count(raw, []byte("\uFFFD"))+
		strings.Count(strings.ToLower(string(raw)), `\ufffd`) {
		return "", fmt.Errorf("%s holds half of a surrogate pair: write the whole character", name)
	}
	return s, nil
}

// nextField splits the first field off the rest of a valid JSON object.
func nextField(rest []byte) (name, value, next []byte, ok bool) {
	rest = bytes.TrimLeft(rest, " \t\r\n,")
	if len(rest) == 0 || rest[0] != '"' {
		return nil, nil, nil, false
	}
	end := valueEnd(rest)
	name, rest = rest[:end], bytes.TrimLeft(rest[end:], " \t\r\n:")
	end = valueEnd(rest)
	return name, rest[:end], rest[end:], true
}

// valueEnd returns the length of the valid JSON value that b starts with.
func valueEnd(b []byte) int {
	depth, quoted := 0, false
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
			if !quoted && depth == 0 {
				return i + 1
			}
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']' || c == ',' || c == ' ' || c == '\t' || c == '\r' || c == '\n':
			if depth == 0 {
				return i
			}
			if c == '}' || c == ']' {
				depth--
				if depth == 0 {
					return i + 1
				}
			}
		}
	}
	return len(b)
}

func jsonError(line []byte) error {
	if bytes.HasPrefix(line, []byte("\uFEFF")) {
		return errors.New("the file starts with a byte order mark: save it as plain UTF-8")
	}
	var v any
	err := json.Unmarshal(line, &v)
	return fmt.Errorf("not valid JSON (%v) in %s: each line is one JSON object; "+
		"if this is the last line the recording was cut off, and removing the line is safe", err, clip(line))
}

// clip shortens what an error quotes.
func clip(b []byte) string {
	const limit = 60
	if len(b) <= limit {
		return string(b)
	}
	return strings.ToValidUTF8(string(b[:limit]), "") + "…"
}
