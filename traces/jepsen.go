// SPDX-License-Identifier: Apache-2.0

package traces

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"dalio/traces/internal/edn"
)

// JepsenReader reads a Jepsen history in EDN: operations one after another, or
// in one vector. The :value is [key value], as jepsen.independent makes it.
// Entries whose :process is not a number, such as the nemesis, are skipped.
//
// As in Jepsen, the order of the entries is the order of the events. A :time
// that goes back is raised to that of the entry before, and a missing one is
// one more than it.
type JepsenReader struct {
	decoder *edn.Decoder
	rules   *rules
	file    string
	last    int64
	seen    bool
	err     error
}

// NewJepsenReader returns a reader of r. The file's name is used in errors only.
func NewJepsenReader(r io.Reader, file string) *JepsenReader {
	return &JepsenReader{decoder: edn.NewDecoder(r), rules: newRules(), file: file}
}

// Next returns the next event, or io.EOF after the last.
func (r *JepsenReader) Next() (Event, error) {
	if r.err != nil {
		return Event{}, r.err
	}
	event, err := r.next()
	if err != nil {
		r.err = err
	}
	return event, err
}

func (r *JepsenReader) next() (Event, error) {
	for {
		form, err := r.decoder.Next()
		var syntax *edn.SyntaxError
		switch {
		case errors.Is(err, io.EOF) && !r.seen:
			return Event{}, &Error{File: r.file, Msg: errEmpty.Error()}
		case errors.Is(err, io.EOF):
			return Event{}, io.EOF
		case errors.As(err, &syntax):
			return Event{}, &Error{File: r.file, Line: syntax.Line, Msg: syntax.Msg}
		case err != nil:
			return Event{}, fmt.Errorf("read %s: %w", r.file, err)
		}
		event, client, err := r.event(&form)
		if err == nil && client {
			err = r.rules.accept(event)
		}
		if err != nil {
			return Event{}, &Error{File: r.file, Line: form.Line, Msg: err.Error()}
		}
		if client {
			r.seen = true
			return event, nil
		}
	}
}

// event converts one entry. The second result is false for entries that are
// not of a client.
func (r *JepsenReader) event(form *edn.Form) (Event, bool, error) {
	e := Event{Line: form.Line}
	fields, err := entry(form)
	if err != nil {
		return e, false, err
	}
	process := fields[":process"]
	if process == nil {
		return e, false, errors.New("the entry has no :process: every operation needs :process, :type, :f and :value")
	}
	if process.Kind != edn.Number {
		return e, false, nil
	}
	if e.Process, err = strconv.Atoi(process.Text); err != nil {
		return e, false, fmt.Errorf(":process is %s: it must be a whole number", process.Text)
	}
	for name, field := range map[string]*string{":type": &e.Type, ":f": &e.F} {
		f := fields[name]
		if f == nil || f.Kind != edn.Keyword {
			return e, false, fmt.Errorf("the entry has no keyword under %s: "+
				"every operation needs :process, :type, :f and :value", name)
		}
		*field = strings.TrimPrefix(f.Text, ":")
	}
	if e.Time, err = r.time(fields[":time"]); err != nil {
		return e, false, err
	}
	e.Version = versionIn(fields[":version"])
	e.Key, e.Value, err = keyAndValue(fields[":value"])
	return e, true, err
}

// versionIn returns the version in a field, nil if it is anything but two whole numbers.
func versionIn(form *edn.Form) *Version {
	if form == nil || form.Kind != edn.Vector || len(form.Items) != 2 {
		return nil
	}
	var numbers [2]uint64
	for i := range numbers {
		n, err := strconv.ParseUint(form.Items[i].Text, 10, 64)
		if err != nil || form.Items[i].Kind != edn.Number {
			return nil
		}
		numbers[i] = n
	}
	return &Version{numbers[0], numbers[1]}
}

// entry returns the fields of an operation by keyword. Records of Jepsen's
// print as tagged maps.
func entry(form *edn.Form) (map[string]*edn.Form, error) {
	for form.Kind == edn.Tagged {
		form = &form.Items[0]
	}
	if form.Kind != edn.Map {
		return nil, errors.New("the entry is not a map: a history holds operations such as " +
			"{:process 0, :type :invoke, :f :read, :value [1 nil], :time 1}")
	}
	fields := make(map[string]*edn.Form, len(form.Items)/2)
	for i := 0; i < len(form.Items); i += 2 {
		if name := &form.Items[i]; name.Kind == edn.Keyword {
			if fields[name.Text] != nil {
				return nil, fmt.Errorf("the field %s appears twice: keep one", name.Text)
			}
			fields[name.Text] = &form.Items[i+1]
		}
	}
	return fields, nil
}

// time makes the times of the entries follow their order.
func (r *JepsenReader) time(form *edn.Form) (int64, error) {
	t := r.last + 1
	if form != nil && !form.Nil() {
		var err error
		if t, err = strconv.ParseInt(form.Text, 10, 64); err != nil || form.Kind != edn.Number {
			return 0, fmt.Errorf(":time is %s: it must be a whole number of nanoseconds", form)
		}
	}
	if r.seen {
		t = max(t, r.last)
	}
	r.last = t
	return t, nil
}

// keyAndValue splits a :value that pairs a key with a value.
func keyAndValue(form *edn.Form) (string, *string, error) {
	for form != nil && form.Kind == edn.Tagged {
		form = &form.Items[0]
	}
	if form == nil || form.Kind != edn.Vector || len(form.Items) != 2 || form.Items[0].Nil() {
		return "", nil, errors.New("the entry's :value is not [key value]: " +
			"record with jepsen.independent, or pair each value with the name of its register")
	}
	key := plain(&form.Items[0])
	if form.Items[1].Nil() {
		return key, nil, nil
	}
	value := plain(&form.Items[1])
	return key, &value, nil
}

// plain prints a key or value: a string without its quotes, unless it would
// then look like another form.
func plain(form *edn.Form) string {
	if form.Kind == edn.String && !ambiguous(form.Text) {
		return form.Text
	}
	return form.String()
}

func ambiguous(s string) bool {
	if s == "nil" || s == "true" || s == "false" {
		return true
	}
	return s != "" && (strings.ContainsRune(`:[({#\"+-`, rune(s[0])) || s[0] >= '0' && s[0] <= '9')
}
