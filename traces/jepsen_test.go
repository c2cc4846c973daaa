// SPDX-License-Identifier: Apache-2.0

package traces

import (
	"errors"
	"strings"
	"testing"
)

func readJepsen(history string) ([]Event, error) {
	return drain(NewJepsenReader(strings.NewReader(history), "h.edn"))
}

const jepsenHistory = `{:type :invoke, :f :write, :value [0 3], :time 10, :process 0, :index 0}
{:type :info, :f :start, :value nil, :time 12, :process :nemesis, :index 1}
{:type :invoke, :f :read, :value [0 nil], :time 13, :process 1, :index 2}
#jepsen.history.Op{:type :ok, :f :read, :value #jepsen.independent/tuple [0 3], :time 12, :process 1, :index 3}
{:type :info, :f :write, :value [0 3], :time 20, :process 0, :error :timeout,
 :exception {:via [{:type java.net.SocketTimeoutException, :at [a.B$c "x" 1]}] :o #object[x 0x1f "y"] :r 1/2}}
`

func TestJepsenReader(t *testing.T) {
	for name, history := range map[string]string{"lines": jepsenHistory, "vector": "[" + jepsenHistory + "]"} {
		events, err := readJepsen(history)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := make([]string, len(events))
		for i, e := range events {
			line, err := AppendLine(nil, e)
			if err != nil {
				t.Fatal(err)
			}
			got[i] = string(line)
		}
		want := `{"process":0,"type":"invoke","f":"write","key":"0","value":"3","time":10}
{"process":1,"type":"invoke","f":"read","key":"0","value":null,"time":13}
{"process":1,"type":"ok","f":"read","key":"0","value":"3","time":13}
{"process":0,"type":"info","f":"write","key":"0","value":"3","time":20}
`
		if strings.Join(got, "") != want {
			t.Errorf("%s: read\n%swant\n%s", name, strings.Join(got, ""), want)
		}
	}
}

func TestJepsenVersions(t *testing.T) {
	for field, want := range map[string]*Version{
		"[1 18]": {1, 18}, "[0 18446744073709551615]": {0, 1<<64 - 1}, "[1]": nil, "[1 18 2]": nil, "[1 1.5]": nil, "[1 :x]": nil, "18": nil, "nil": nil,
	} {
		events, err := readJepsen("{:process 0 :type :invoke :f :read :value [0 nil]} {:process 0 :type :ok :f :read :value [0 3] :version " + field + "}")
		if err != nil || (events[1].Version == nil) != (want == nil) || want != nil && *events[1].Version != *want {
			t.Errorf("the version %s is read as %+v, %v", field, events, err)
		}
	}
}

func TestJepsenValues(t *testing.T) {
	tests := []struct{ form, want string }{
		{`3`, `3`}, {`"3"`, `"3"`}, {`"v9"`, `v9`}, {`:a`, `:a`}, {`":a"`, `":a"`},
		{`"nil"`, `"nil"`}, {`[1 2]`, `[1 2]`}, {`"[1 2]"`, `"[1 2]"`}, {`""`, ``}, {`"-1"`, `"-1"`},
	}
	seen := map[string]string{}
	for _, test := range tests {
		events, err := readJepsen(`{:process 0 :type :invoke :f :write :value ["k" ` + test.form + `]}`)
		if err != nil {
			t.Errorf("%s: %v", test.form, err)
			continue
		}
		if got := *events[0].Value; events[0].Key != "k" || got != test.want {
			t.Errorf("%s reads as key %q, value %s; want %s", test.form, events[0].Key, got, test.want)
		}
		if other, ok := seen[test.want]; ok {
			t.Errorf("%s and %s read as the same value", test.form, other)
		}
		seen[test.want] = test.form
	}
}

func TestJepsenTimesFollowTheEntries(t *testing.T) {
	events, err := readJepsen(`
{:process 0 :type :invoke :f :delete :value [:k nil]}
{:process 1 :type :invoke :f :delete :value [:k nil] :time 7}
{:process 2 :type :invoke :f :delete :value [:k nil] :time 5}
{:process 3 :type :invoke :f :delete :value [:k nil] :time nil}`)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int64{1, 7, 7, 8} {
		if events[i].Time != want {
			t.Errorf("entry %d has time %d, want %d", i, events[i].Time, want)
		}
	}
}

func TestJepsenReaderRefuses(t *testing.T) {
	const ok = `{:process 0, :type :invoke, :f :read, :value [1 nil], :time 1}` + "\n"
	with := func(old, new string) string { return ok + strings.Replace(ok, old, new, 1) }
	tests := []struct {
		name, history string
		line          int
		says          string
	}{
		{"empty", " ; nothing\n", 0, "nothing was recorded"},
		{"only the nemesis", `{:process :nemesis :type :info :f :start :value nil}`, 0, "nothing was recorded"},
		{"not EDN", ok + "}", 2, "closes nothing"},
		{"not a map", ok + "3", 2, "not a map"},
		{"no process", with(":process 0", ""), 2, "no :process"},
		{"no type", with(":type :invoke", ""), 2, "under :type"},
		{"no f", with(":f :read", ""), 2, "under :f"},
		{"another f", with("0, :type :invoke, :f :read", "1, :type :invoke, :f :cas"), 2, "use read, write or delete"},
		{"no value", with(":value [1 nil]", ""), 2, "not [key value]"},
		{"no key", with("[1 nil]", "nil"), 2, "jepsen.independent"},
		{"a nil key", with("[1 nil]", "[nil nil]"), 2, "jepsen.independent"},
		{"a fractional process", with(":process 0", ":process 0.5"), 2, "whole number"},
		{"a textual time", with(":time 1", `:time "1"`), 2, "nanoseconds"},
		{"a field twice", with(":time 1", ":time 1 :time 2"), 2, "twice"},
		{"two open", ok + ok, 2, "still open"},
	}
	for _, test := range tests {
		_, err := readJepsen(test.history)
		var at *Error
		if !errors.As(err, &at) || at.Line != test.line || !strings.Contains(at.Msg, test.says) {
			t.Errorf("%s: got %v, want line %d and a message with %q", test.name, err, test.line, test.says)
		}
	}
}
