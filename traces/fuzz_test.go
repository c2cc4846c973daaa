// SPDX-License-Identifier: Apache-2.0

package traces

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzReader reads histories in JSON lines: what is accepted means what it means
// to everybody else, and can be written and read again.
func FuzzReader(f *testing.F) {
	f.Add(invokeWrite + okWrite + invokeRead + infoRead)
	f.Add(`{"process":0,"type":"invoke","f":"write","key":"\u00e9","value":"\\","time":-1,"x":[{"y":"}"}]}`)
	f.Add(`{"process":0,"type":"invoke","f":"write","key":"k","value":"\ud83d\ude00\ufffd","time":1,"Time":2,"a":{"time":3}}`)
	f.Add(invokeWrite + strings.Replace(okWrite, "}", `,"version":[1,18]}`, 1))
	f.Add(`{"process":0,"type":"invoke","f":"write","key":"k\",\"time\":9}","value":"[\t]","time":1,"x":"\"{\\"}`)
	f.Fuzz(func(t *testing.T, history string) {
		events, err := drain(NewReader(strings.NewReader(history), "fuzz"))
		if err != nil {
			return
		}
		lines := strings.Split(history, "\n")
		for _, e := range events {
			expectMeaning(t, e, lines[e.Line-1])
		}
		expectSameAgain(t, events)
	})
}

// expectMeaning compares an event with what encoding/json finds in its line, under
// the very names of the contract.
func expectMeaning(t *testing.T, e Event, line string) {
	t.Helper()
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal([]byte(line), &fields); err != nil {
		t.Fatalf("accepted the line %q, which is not JSON: %v", line, err)
	}
	for name, want := range map[string]any{"process": e.Process, "type": e.Type, "f": e.F, "key": e.Key, "value": e.Value, "time": e.Time} {
		raw, there := fields[name]
		if !there {
			raw = json.RawMessage("null")
		}
		again, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got, wanted any
		decode(t, raw, &got)
		decode(t, again, &wanted)
		if got != wanted {
			t.Fatalf("the %s of %q is read as %s", name, line, again)
		}
	}
}

// decode keeps the digits of numbers.
func decode(t *testing.T, raw []byte, v *any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	if err := d.Decode(v); err != nil {
		t.Fatal(err)
	}
}

// FuzzPlainLine: what is read the quick way is what it is the other way.
func FuzzPlainLine(f *testing.F) {
	for _, line := range []string{invokeWrite, okWrite, invokeRead, infoRead,
		`{"process":10,"type":"ok","f":"read","key":"k ~","value":null,"time":0,"version":[0,999999999999999999]}`,
		`{"process":01,"type":"ok","f":"read","key":"","value":"","time":1000000000000000000}`,
		`{"process":9,"type":"ok","f":"delete","key":"\u0041","value":"é","time":-0,"version":[1]}`} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		var plain plainLines
		quick, ok := plain.parse([]byte(line))
		if !ok {
			return
		}
		if slow, err := parseLine([]byte(line)); err != nil || !sameEvent(quick, slow) {
			t.Fatalf("%q is read as %+v the quick way, and as %+v (%v) the other way", line, quick, slow, err)
		}
	})
}

// FuzzJepsenReader reads histories in EDN: what is accepted can be written as JSON
// lines and read again.
func FuzzJepsenReader(f *testing.F) {
	f.Add(jepsenHistory)
	f.Add(`{:process 0 :type :invoke :f :read :value [1 nil] :version [1 2]} {:process 0 :type :ok :f :read :value [1 2] :version [1 2.5]}`)
	f.Add(`[{:process 0 :type :invoke :f :write :value [[1 "a"] #{:x 1/2}] :time nil} #_x {:process :nemesis}]`)
	f.Fuzz(func(t *testing.T, history string) {
		if events, err := readJepsen(history); err == nil {
			expectSameAgain(t, events)
		}
	})
}

// expectSameAgain writes the events as JSON lines and reads them back.
func expectSameAgain(t *testing.T, events []Event) {
	t.Helper()
	var out []byte
	var err error
	for _, e := range events {
		if out, err = AppendLine(out, e); err != nil {
			t.Fatalf("accepted %+v but cannot write it: %v", e, err)
		}
	}
	again, err := drain(NewReader(strings.NewReader(string(out)), "again"))
	if err != nil || len(again) != len(events) {
		t.Fatalf("cannot read back %q: %d of %d events, %v", out, len(again), len(events), err)
	}
	for i := range events {
		if !sameEvent(events[i], again[i]) {
			t.Fatalf("event %d changed from %+v to %+v", i, events[i], again[i])
		}
	}
}

func sameEvent(a, b Event) bool {
	if (a.Value == nil) != (b.Value == nil) || a.Value != nil && *a.Value != *b.Value {
		return false
	}
	if (a.Version == nil) != (b.Version == nil) || a.Version != nil && *a.Version != *b.Version {
		return false
	}
	return a.Process == b.Process && a.Type == b.Type && a.F == b.F && a.Key == b.Key && a.Time == b.Time
}
