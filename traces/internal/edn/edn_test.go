// SPDX-License-Identifier: Apache-2.0

package edn

import (
	"errors"
	"io"
	"strings"
	"testing"
)

func forms(input string) ([]Form, error) {
	d := NewDecoder(strings.NewReader(input))
	var all []Form
	for {
		f, err := d.Next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
}

func TestForms(t *testing.T) {
	tests := []struct {
		input string
		want  string // the forms, printed
	}{
		{`{:a 1, :b nil}`, `{:a 1 :b nil}`},
		{"{:a 1}\n{:a 2}", `{:a 1} {:a 2}`},
		{"[{:a 1}\n{:a 2}]\n", `{:a 1} {:a 2}`},
		{`({:a 1})`, `{:a 1}`},
		{`[]`, ``},
		{``, ``},
		{"; nothing\n", ``},
		{`{:a [1 (2 3) #{4}]}`, `{:a [1 [2 3] #{4}]}`},
		{`{:s "a\"b\\\n\u00e9\ud83d\ude00"}`, `{:s "a\"b\\\né😀"}`},
		{`{:r 1/2 :n 12N :m -1.5e3M :x 0x1f :i ##Inf}`, `{:r 1/2 :n 12N :m -1.5e3M :x 0x1f :i ##Inf}`},
		{`#jepsen.history.Op{:index 0}`, `#jepsen.history.Op {:index 0}`},
		{`{:o #object[java.lang.Object 0x1f2 "o"]}`, `{:o #object [java.lang.Object 0x1f2 "o"]}`},
		{`#:jepsen{:a 1}`, `#:jepsen {:a 1}`},
		{`{:a #_ {:gone [1]} #_#_ x y 2}`, `{:a 2}`},
		{"{:a 1 ; a comment }\n}", `{:a 1}`},
		{`{:c \newline :d \( :e \u00e9}`, `{:c \newline :d \( :e \u00e9}`},
		{`{:at [clojure.core$apply__1 "core.clj" -1]}`, `{:at [clojure.core$apply__1 "core.clj" -1]}`},
	}
	for _, test := range tests {
		got, err := forms(test.input)
		if err != nil {
			t.Errorf("%s: %v", test.input, err)
			continue
		}
		if join(got) != test.want {
			t.Errorf("%s reads as %s, want %s", test.input, join(got), test.want)
		}
	}
}

func TestRefuses(t *testing.T) {
	tests := []struct {
		input string
		line  int
		says  string
	}{
		{"{:a 1", 1, "cut off"},
		{"\n[{:a 1}", 2, "cut off"},
		{"[{:a 1}]\n{:a 2}", 2, "more after"},
		{"{:a\n}", 2, "key without a value"},
		{"}", 1, "closes nothing"},
		{"{:a ]}", 1, "closes nothing"},
		{`{:a "x`, 1, "cut off"},
		{`{:a "\q"}`, 1, "unknown"},
		{`{:a "\ud800"}`, 1, "surrogate"},
		{`{:a "\ud800\u0041"}`, 1, "surrogate"},
		{`{:a "\u00zz"}`, 1, "hexadecimal"},
		{"{:a # x}", 1, "a tag"},
		{"{:a ##}", 1, "name of a number"},
		{"{:a #<Object foo>}", 1, "cannot be read back"},
		{"{:a \"\xff\"}", 1, "UTF-8"},
		{"{:a " + strings.Repeat("[", MaxDepth) + "1", 1, "nested"},
		{"{:a " + strings.Repeat("#_", 100_000) + "1", 1, "nested"},
		{"{:a " + strings.Repeat("#x ", 100_000) + "1", 1, "nested"},
		{"{:a " + strings.Repeat("1 ", MaxBytes), 1, "longer"},
		{"{:a \"" + strings.Repeat("x", MaxBytes), 1, "longer"},
	}
	for _, test := range tests {
		_, err := forms(test.input)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || syntax.Line != test.line || !strings.Contains(syntax.Msg, test.says) {
			t.Errorf("%.40q: got %v, want line %d and a message with %q", test.input, err, test.line, test.says)
		}
	}
}

func TestLines(t *testing.T) {
	got, err := forms("; a comment\n{:a \"two\nlines\"}\n\n  {:b 1}")
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].Line != 2 || got[1].Line != 5 {
		t.Errorf("read %+v, want forms on lines 2 and 5", got)
	}
}

func TestLongCommentsAreFree(t *testing.T) {
	long := strings.Repeat("x", MaxBytes)
	got, err := forms(";" + long + "\n{:a ;" + long + "\n 1}")
	if err != nil || len(got) != 1 {
		t.Errorf("read %d forms, error %v", len(got), err)
	}
}

func FuzzDecoder(f *testing.F) {
	f.Add(`[{:process 0, :type :invoke, :f :read, :value [1 nil]} #_x #a.b/c [\a "\u00e9" 1/2 #{:k}]]`)
	f.Fuzz(func(t *testing.T, input string) {
		all, err := forms(input)
		if err != nil {
			return
		}
		for i := range all {
			if all[i].Kind == Vector {
				continue // It would be taken for the whole stream.
			}
			again, err := forms(all[i].String())
			if err != nil || len(again) != 1 || again[0].String() != all[i].String() {
				t.Fatalf("%s reads back as %v, error %v", all[i].String(), again, err)
			}
		}
	})
}
