// SPDX-License-Identifier: Apache-2.0

package linear

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const histories = "../../traces/testdata"

// anomalies are the hand-made bad histories: how many operations the core
// must have, and what the explanation must tell.
var anomalies = map[string]struct {
	core int
	why  string
}{
	"delete-before-it-was-asked.jsonl":   {2, `B found the key absent, but it was no longer absent by then. A wrote "a"`},
	"delete-without-effect.jsonl":        {3, `C read "a", but "a" was gone by then. A wrote "a" and was over before B began. B deleted the key`},
	"dirty-read-taken-back.jsonl":        {4, `D read "a", but "a" was gone by then`},
	"forgotten-write.jsonl":              {2, "No delete could have come in between"},
	"jepsen-stale-read.edn":              {3, `C read "3", but "3" was gone by then`},
	"lost-write.jsonl":                   {3, `B wrote "b" and was over before C began`},
	"new-old-inversion.jsonl":            {4, `C read "b" and was over before D began`},
	"one-key-of-three.jsonl":             {3, `C read "b", but "b" was gone by then`},
	"own-failed-write.jsonl":             {1, `the write of "b" (line 3) failed`},
	"pending-delete-applied-twice.jsonl": {5, "is A, B, C, D; then E, which found the key absent, does not fit"},
	"pending-delete-taken-back.jsonl":    {4, `D read "a", but "a" was gone by then. A wrote "a" and was over before C began. C found the key absent`},
	"pending-write-applied-twice.jsonl":  {4, `to the start of D, which still read "a". Yet it held "b" at some moment during C`},
	"read-from-the-future.jsonl":         {2, `A read "b" and was over before B, the first write of "b"`},
	"readers-disagree-on-order.jsonl":    {6, "These times overlap"},
	"resurrected-delete.jsonl":           {3, "B deleted the key and was over before C began"},
	"retry-applied-twice.jsonl":          {4, `Nothing could have written "a" again`},
	"stale-read.jsonl":                   {3, `C read "a", but "a" was gone by then. A wrote "a" and was over before B began. B wrote "b"`},
	"value-never-written.jsonl":          {1, `A read "z", which nobody ever wrote`},
	"write-inside-a-period.jsonl":        {4, `Yet it held "b" at some moment during C, which wrote "b", within that time.`},
}

func TestAnomaliesAreFound(t *testing.T) {
	for _, path := range list(t, "bad") {
		want, ok := anomalies[filepath.Base(path)]
		if !ok {
			t.Errorf("%s is not in the table of anomalies", path)
			continue
		}
		report := check(t, path)
		bad := 0
		for _, k := range report.Keys {
			if k.Verdict == Linearizable {
				continue
			}
			bad++
			if len(k.Core) != want.core || !k.Minimal {
				t.Errorf("%s: the core is %v, minimal %v; want %d operations", path, k.Core, k.Minimal, want.core)
			}
			if !strings.Contains(k.Why, want.why) {
				t.Errorf("%s is explained as %q, want %q in it", path, k.Why, want.why)
			}
			if len(k.Stuck) == 0 || len(k.Order)+len(k.Stuck) > len(k.Core) {
				t.Errorf("%s: of %d operations %d are ordered and %d stuck", path, len(k.Core), len(k.Order), len(k.Stuck))
			}
		}
		if report.Verdict != NotLinearizable || bad != 1 {
			t.Errorf("%s is %s in %d keys, want one bad key", path, report.Verdict, bad)
		}
	}
	if found := len(list(t, "bad")); found != len(anomalies) {
		t.Errorf("there are %d bad histories, the table has %d", found, len(anomalies))
	}
}

func TestGoodHistoriesPass(t *testing.T) {
	for _, path := range list(t, "good") {
		if report := check(t, path); report.Verdict != Linearizable {
			t.Errorf("%s is %s: %+v", path, report.Verdict, report.Keys)
		}
	}
}

func list(t *testing.T, kind string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(histories, kind))
	if err != nil || len(entries) == 0 {
		t.Fatalf("no %s histories: %v", kind, err)
	}
	paths := make([]string, len(entries))
	for i, e := range entries {
		paths[i] = filepath.Join(histories, kind, e.Name())
	}
	return paths
}

func check(t *testing.T, path string) Report {
	t.Helper()
	report, err := CheckFile(context.Background(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return report
}
