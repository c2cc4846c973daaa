// SPDX-License-Identifier: Apache-2.0

package edges

import (
	"os"
	"strings"
	"testing"

	"dalio/spec/proof/logic"
	"dalio/spec/proof/theory"
)

// oneClient is what TLC prints of a client that writes once and reads once.
func oneClient(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("testdata/one_client.txt")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func compare(t *testing.T, theoryText, printed string) (Counts, error) {
	t.Helper()
	th, err := logic.Parse(theoryText)
	if err != nil {
		t.Fatal(err)
	}
	n, _, err := check(Dalio, th, strings.NewReader(printed), func() error { return nil })
	return n, err
}

func TestSameSteps(t *testing.T) {
	n, err := compare(t, theory.Text(), oneClient(t))
	if err != nil {
		t.Fatal(err)
	}
	if n.States != 13 || n.Edges != 12 || n.Altered < 80 {
		t.Errorf("compared %d states, %d edges, %d altered ones; want 13, 12 and 80 or more", n.States, n.Edges, n.Altered)
	}
}

// A theory that differs from the specification must be noticed, whichever way.
func TestOtherTheory(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"a step does more", "put nextSeq := nextSeq + 1", "put nextSeq := nextSeq + 2", "no step HandleWriteRequest"},
		{"a step does less", "  put lastRequest(s) := n\n", "", "no step HandleWriteRequest"},
		{"a guard is stronger", "when applies(r, v, k)", "when applies(r, v, k) & false", "no step HandleWrite"},
		{"a guard is weaker", "wanted(c, request(c) + 1, read, k, noValue)", "true", "the specification has no step InvokeRead"},
		{"it is another step of the register", "as RegisterReturnWrite(c)", "as Stutter", "does not satisfy Stutter calls"},
		{"the invariant is too strong", "request(c) >= 0 & floor(c) >= 0", "request(c) = 0 & floor(c) >= 0", "violates Calls"},
		{"the register is another", "w <= newest(callKey(c)))", "w < newest(callKey(c)))", "linearized is not what the specification says it is"},
		{"it starts elsewhere", "init nextSeq = 0", "init nextSeq = 1", "not initial"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(theory.Text(), c.old, c.new, 1)
			if text == theory.Text() {
				t.Fatalf("the theory does not say %q", c.old)
			}
			if _, err := compare(t, text, oneClient(t)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %.300v; want one with %q", err, c.want)
			}
		})
	}
}

// So must a specification that differs from the theory.
func TestOtherSpecification(t *testing.T) {
	lines := strings.SplitAfter(oneClient(t), "\n")
	for _, c := range []struct{ name, printed, want string }{
		{"a step is missing", strings.Join(append(append([]string(nil), lines[:4]...), lines[5:]...), ""), "the specification has no step"},
		{"a step is called otherwise", strings.Replace(oneClient(t), `EDGE\tHandleWrite\t`, `EDGE\tHandleRead\t`, 1), "the theory has no step HandleRead"},
		{"a version is of another epoch", strings.Replace(oneClient(t), `version |-> <<1, 1>>`, `version |-> <<2, 1>>`, 1), "no epoch of the model"},
		{"nothing was printed", "", "TLC printed no step"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := compare(t, theory.Text(), c.printed); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %.300v; want one with %q", err, c.want)
			}
		})
	}
}
