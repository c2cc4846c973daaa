// SPDX-License-Identifier: Apache-2.0

package traces

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// readAll returns every event of a history, or the first error.
func readAll(t testing.TB, history string) ([]Event, error) {
	t.Helper()
	return drain(NewReader(strings.NewReader(history), "h.jsonl"))
}

func drain(r Source) ([]Event, error) {
	var events []Event
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return events, nil
		}
		if err != nil {
			return nil, err
		}
		events = append(events, e)
	}
}

const (
	invokeWrite = `{"process":3,"type":"invoke","f":"write","key":"k1","value":"v9","time":12045}` + "\n"
	okWrite     = `{"process":3,"type":"ok","f":"write","key":"k1","value":"v9","time":12050}` + "\n"
	invokeRead  = `{"process":4,"type":"invoke","f":"read","key":"k1","value":null,"time":12045}` + "\n"
	infoRead    = `{"process":4,"type":"info","f":"read","key":"k1","value":null,"time":12046}` + "\n"
)

func TestReaderReadsTheContract(t *testing.T) {
	events, err := readAll(t, invokeWrite+"\n"+okWrite)
	if err != nil {
		t.Fatal(err)
	}
	if len(events) != 2 {
		t.Fatalf("read %d events, want 2", len(events))
	}
	e := events[0]
	if e.Process != 3 || e.Type != Invoke || e.F != Write || e.Key != "k1" || *e.Value != "v9" || e.Time != 12045 || e.Line != 1 {
		t.Errorf("the invoke is misread: %+v", e)
	}
	if events[1].Line != 3 {
		t.Errorf("the completion is on line %d, want 3: blank lines count", events[1].Line)
	}
}

func TestReaderAcceptsWhatIsNotAnError(t *testing.T) {
	tests := map[string]string{
		"no line feed at the end":  strings.TrimSuffix(invokeWrite, "\n"),
		"carriage returns":         strings.ReplaceAll(invokeWrite+okWrite, "\n", "\r\n"),
		"open at the end":          invokeWrite,
		"extra fields":             `{"index":0,"process":0,"type":"invoke","f":"read","key":"k","value":null,"time":1,"node":{"a":["}"]}}`,
		"no value where none is":   `{"process":0,"type":"invoke","f":"delete","key":"k","time":1}`,
		"spaces":                   ` { "process" : 0 , "type" : "invoke" , "f" : "read" , "key" : "k" , "value" : null , "time" : 1 } `,
		"equal times":              invokeWrite + invokeRead,
		"completion without value": invokeWrite + strings.Replace(okWrite, `"v9"`, "null", 1),
		"empty strings":            `{"process":0,"type":"invoke","f":"write","key":"","value":"","time":-5}`,
		"a field that differs only in case is extra": `{"process":0,"type":"invoke","f":"read","key":"k","value":null,"time":1,"Time":"noon"}`,
	}
	for name, history := range tests {
		if _, err := readAll(t, history); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReaderDecodesEscapes(t *testing.T) {
	events, err := readAll(t, `{"process":0,"type":"invoke","f":"write","key":"a\"b\\","value":"\u00e9\ud83d\ude00\n\ufffd","time":1}`)
	if err != nil {
		t.Fatal(err)
	}
	if events[0].Key != `a"b\` || *events[0].Value != "é😀\n\uFFFD" {
		t.Errorf("decoded key %q and value %q", events[0].Key, *events[0].Value)
	}
}

func TestReaderRefuses(t *testing.T) {
	with := func(old, new string) string { return strings.Replace(invokeWrite, old, new, 1) }
	tests := []struct {
		name, history string
		line          int
		says          string // what the message must tell
	}{
		{"an empty file", "", 0, "nothing was recorded"},
		{"a file of blank lines", "\n \n\t\n", 0, "nothing was recorded"},
		{"a cut-off line", invokeWrite + okWrite[:40], 2, "cut off"},
		{"a byte order mark", "\uFEFF" + invokeWrite, 1, "byte order mark"},
		{"an array", "[" + strings.TrimSpace(invokeWrite) + "]\n", 1, "not a JSON object"},
		{"two objects on a line", strings.TrimSpace(invokeWrite) + okWrite, 1, "one JSON object"},
		{"invalid UTF-8", with("v9", "v\xff"), 1, "hex or base64"},
		{"half a surrogate pair", with("v9", `\ud800`), 1, "surrogate"},
		{"an over-long line", with("v9", strings.Repeat("v", MaxLine)), 1, "longer than"},
		{"no process", with(`"process":3,`, ""), 1, `"process" is missing`},
		{"no type", with(`"type":"invoke",`, ""), 1, `"type" is missing`},
		{"no f", with(`"f":"write",`, ""), 1, `"f" is missing`},
		{"no key", with(`"key":"k1",`, ""), 1, `"key" is missing`},
		{"no time", with(`,"time":12045`, ""), 1, `"time" is missing`},
		{"a field twice", with(`"time"`, `"time":1,"time"`), 1, "twice"},
		{"an unknown type", with("invoke", "begin"), 1, "use invoke, ok, fail or info"},
		{"an unknown f", with(`"write"`, `"cas"`), 1, "use read, write or delete"},
		{"a quoted process", with(":3", `:"3"`), 1, "whole number"},
		{"a negative process", with(":3", ":-3"), 1, "from 0"},
		{"a fraction of a nanosecond", with("12045", "12045.5"), 1, "whole number"},
		{"a time beyond 64 bits", with("12045", "99999999999999999999"), 1, "64 bits"},
		{"a numeric key", with(`"k1"`, "1"), 1, "must be a string"},
		{"a numeric value", with(`"v9"`, "9"), 1, "must be a string"},
		{"a write without value", with(`"v9"`, "null"), 1, "has no value"},
		{"a write without a value field", with(`"value":"v9",`, ""), 1, "has no value"},
		{"a read that asks for a value", strings.Replace(invokeRead, "null", `"v"`, 1), 1, "must be null"},
		{"a delete with a value", with("write", "delete"), 1, "must be null"},
		{"time going back", invokeWrite + strings.Replace(okWrite, "12050", "12044", 1), 2, "sort the lines"},
		{"two open operations", invokeWrite + with("k1", "k2"), 2, "is still open"},
		{"use after info", invokeRead + infoRead + strings.Replace(invokeRead, "12045", "12047", 1), 3, "new process number"},
		{"a completion after info", invokeRead + infoRead + infoRead, 3, "did not invoke"},
		{"a completion without invoke", okWrite, 1, "did not invoke"},
		{"a completion of another f", invokeWrite + strings.Replace(okWrite, "write", "read", 1), 2, "repeats the f"},
		{"a completion of another key", invokeWrite + strings.Replace(okWrite, "k1", "k2", 1), 2, "repeats the key"},
		{"a completion of another value", invokeWrite + strings.Replace(okWrite, "v9", "v8", 1), 2, "repeat the value"},
		{"a read's ok without value", invokeRead + `{"process":4,"type":"ok","f":"read","key":"k1","time":12046}`, 2, `no "value"`},
		{"a failed read with a value", invokeRead + strings.Replace(strings.Replace(infoRead, "info", "fail", 1), "null", `"v"`, 1), 2, "any other has the value null"},
	}
	for _, test := range tests {
		_, err := readAll(t, test.history)
		var at *Error
		if !errors.As(err, &at) {
			t.Errorf("%s: got error %v, want an *Error", test.name, err)
			continue
		}
		if at.File != "h.jsonl" || at.Line != test.line || !strings.Contains(at.Msg, test.says) {
			t.Errorf("%s: got %q, want line %d and a message with %q", test.name, err, test.line, test.says)
		}
	}
}

func TestReaderRepeatsItsError(t *testing.T) {
	r := NewReader(strings.NewReader("{}\n"+invokeWrite), "h")
	_, first := r.Next()
	_, second := r.Next()
	if first == nil || !errors.Is(second, first) {
		t.Errorf("after %v came %v: an unreadable history must stay unreadable", first, second)
	}
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

func TestReaderReportsReadErrors(t *testing.T) {
	broken := errors.New("device gone")
	_, err := NewReader(io.MultiReader(strings.NewReader(invokeWrite), failingReader{broken}), "h").Next()
	if err != nil {
		t.Fatalf("the first line: %v", err)
	}
	r := NewReader(io.MultiReader(strings.NewReader(invokeWrite), failingReader{broken}), "h")
	if _, err = drain(r); !errors.Is(err, broken) {
		t.Errorf("got %v, want the read error: a history cut short must not be judged", err)
	}
}
