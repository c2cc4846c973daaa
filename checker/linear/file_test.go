// SPDX-License-Identifier: Apache-2.0

package linear

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dalio/traces"
)

// threeKeys is a history of three keys whose answers have versions: those of the first
// explain it, those of the second lie though nothing is wrong, and the third has a
// stale read.
func threeKeys(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	now := int64(0)
	rec := traces.NewRecorderClock(&out, func() int64 { now++; return now })
	do := func(f, key, value string, epoch, seq uint64) {
		v := &value
		if f == traces.Write {
			rec.Invoke(0, f, key, v)
		} else {
			rec.Invoke(0, f, key, nil)
		}
		rec.CompleteVersion(0, traces.OK, v, &traces.Version{Epoch: epoch, Seq: seq})
	}
	for _, key := range []string{"explained", "lied about", "stale"} {
		do(traces.Write, key, "a", 1, 1)
		do(traces.Write, key, "b", 2, 1)
	}
	do(traces.Read, "explained", "b", 2, 1)
	do(traces.Read, "lied about", "b", 1, 1)
	do(traces.Read, "stale", "a", 1, 1)
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestWhatVersionsDoNotExplainIsJudgedAsEver reads such a history from a file, twice
// where it must, and from what can be read only once.
func TestWhatVersionsDoNotExplainIsJudgedAsEver(t *testing.T) {
	text := threeKeys(t)
	path := filepath.Join(t.TempDir(), "history.jsonl")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	once, err := Check(context.Background(), traces.NewReader(bytes.NewReader(text), "once"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	twice, err := CheckFile(context.Background(), path, Options{Notify: func(done, total int) {
		if calls++; done != calls || total != 3 {
			t.Errorf("call %d says %d of %d keys are done", calls, done, total)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	for how, report := range map[string]Report{"once": once, "twice": twice} {
		if len(report.Keys) != 3 || report.Verdict != NotLinearizable {
			t.Fatalf("read %s, it is %s of %d keys", how, report.Verdict, len(report.Keys))
		}
		for i, want := range []KeyReport{
			{Key: "explained", Verdict: Linearizable, ByVersions: true},
			{Key: "lied about", Verdict: Linearizable},
			{Key: "stale", Verdict: NotLinearizable},
		} {
			got := report.Keys[i]
			if got.Key != want.Key || got.Verdict != want.Verdict || got.ByVersions != want.ByVersions || got.Operations != 3 {
				t.Errorf("read %s, key %d is %+v, want %+v", how, i, got, want)
			}
		}
		if core := report.Keys[2].Core; len(core) != 3 || core[2].Line != 17 {
			t.Errorf("read %s, the core is %+v", how, core)
		}
	}
}

// TestChangedWhileRead: what is read again must be what was read.
func TestChangedWhileRead(t *testing.T) {
	text := string(threeKeys(t))
	lines := strings.SplitAfter(text, "\n")
	for what, other := range map[string]string{
		"more of a key": text + strings.NewReplacer(`"time":17`, `"time":19`, `"time":18`, `"time":20`).Replace(lines[16]+lines[17]),
		"a key gone":    strings.ReplaceAll(text, `"stale"`, `"fresh"`),
	} {
		h, err := readHistory(traces.NewReader(strings.NewReader(text), "first"), false)
		if err != nil || len(h.missing) != 2 {
			t.Fatalf("%d keys to read again, %v", len(h.missing), err)
		}
		if err := readAgain(h, strings.NewReader(other), "second.jsonl", ""); err == nil || !strings.Contains(err.Error(), "changed while it was read") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
