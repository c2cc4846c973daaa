// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"errors"
	"regexp"
	"strings"
	"testing"
)

// TestJudge: only an assertion that failed shows that something was noticed.
func TestJudge(t *testing.T) {
	failure := errors.New("exit status 1")
	for what, c := range map[string]struct {
		test, out string
		exit      error
		failed    string
		refused   string
	}{
		"a test that passes":          {"p.TestX", "=== RUN   TestX\n--- PASS: TestX (0.00s)\nPASS\n", nil, "", ""},
		"a test that fails":           {"p.TestX", "    x_test.go:9: no\n--- FAIL: TestX (0.00s)\nFAIL\n", failure, "p.TestX", ""},
		"a case that fails":           {"p.TestX/29: a b", "--- FAIL: TestX (0.00s)\n    --- FAIL: TestX/29:_a_b (0.00s)\nFAIL\n", failure, "p.TestX/29:_a_b", ""},
		"another case that fails":     {"p.TestX/29: a b", "--- FAIL: TestX (0.00s)\n    --- FAIL: TestX/30:_a_b (0.00s)\nFAIL\n", failure, "", "no such test"},
		"a test that is not there":    {"p.TestX", "testing: warning: no tests to run\nPASS\n", nil, "", "no such test"},
		"a test that takes too long":  {"p.TestX", "panic: test timed out after 2m0s\n--- FAIL: TestX (0.00s)\n", failure, "", "shows nothing"},
		"a test that panics":          {"p.TestX", "--- FAIL: TestX (0.00s)\npanic: runtime error: index out of range\n", failure, "", "shows nothing"},
		"a test that is skipped":      {"p.TestX", "--- SKIP: TestX (0.00s)\nPASS\n", nil, "", "skipped"},
		"a failure outside the test":  {"p.TestX", "--- PASS: TestX (0.00s)\nPASS\ngoleak: found unexpected goroutines\n", failure, "", "differ"},
		"a process that was finished": {"p.TestX", "=== RUN   TestX\n", failure, "", "no such test"},
	} {
		test, err := Parse(c.test)
		if err != nil {
			t.Fatal(err)
		}
		failed, err := Judge(&test, c.out, c.exit)
		if failed != c.failed || (err != nil) != (c.refused != "") || err != nil && !strings.Contains(err.Error(), c.refused) {
			t.Errorf("%s: %q, %v", what, failed, err)
		}
	}
}

func TestPatternsNameOneTest(t *testing.T) {
	test, err := Parse("impl/replica.TestX/29: a (b)")
	if err != nil {
		t.Fatal(err)
	}
	function, cases, _ := strings.Cut(test.Pattern, "/")
	if !regexp.MustCompile(function).MatchString("TestX") || regexp.MustCompile(function).MatchString("TestXY") ||
		!regexp.MustCompile(cases).MatchString("29: a (b) and c") || regexp.MustCompile(cases).MatchString("129: a (b)") {
		t.Errorf("the pattern is %s", test.Pattern)
	}
}
