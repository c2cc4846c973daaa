// SPDX-License-Identifier: Apache-2.0

package pairs

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"dalio/spec/tla"
)

const root = "../../.."

// printed has what TLC printed of each model, so that it explores none twice.
type printed map[string]*bytes.Buffer

func (p printed) tee(model string, out io.Reader) io.Reader {
	p[model] = &bytes.Buffer{}
	return io.TeeReader(out, p[model])
}

func (p printed) again(model string) io.Reader {
	return bytes.NewReader(p[model].Bytes())
}

// smallest is the model that is enough for these tests.
var smallest = regexp.MustCompile("^ends$")

// TestPairs runs the pairs of the smallest model, and then sees to it that what is
// broken is noticed: by the pair that tells, and in what it differs. The command
// conform runs the others.
func TestPairs(t *testing.T) {
	ctx, all := t.Context(), printed{}
	var out strings.Builder
	if _, err := Run(ctx, &out, Options{Root: root, Only: smallest, tee: all.tee}); err != nil {
		t.Fatalf("%s%v", out.String(), err)
	}
	t.Log(out.String())
	t.Run("altered", func(t *testing.T) { altered(ctx, t, all) })
	t.Run("broken", func(t *testing.T) { broken(ctx, t, all) })
}

// altered changes one of the results that TLC printed, in one way each.
func altered(ctx context.Context, t *testing.T, all printed) {
	for _, c := range []struct {
		name  string
		alter func(tla.Record) tla.Record
		// wrong is part of what must be said.
		wrong string
	}{{
		name: "the reason of a drop",
		alter: func(r tla.Record) tla.Record {
			return r.With("out", tla.NewRecord(tla.Field{Name: "drop", Value: tla.String("gated")}))
		},
		wrong: "drop (bad_request), not drop (gated)",
	}, {
		name: "a drop that is none",
		alter: func(r tla.Record) tla.Record {
			return r.With("out", tla.NewRecord(tla.Field{Name: "pass", Value: tla.Bool(true)}))
		},
		wrong: "drop (bad_request), not pass (none)",
	}, {
		name: "the state afterwards",
		alter: func(r tla.Record) tla.Record {
			return r.With("state", tla.NewRecord(tla.Field{Name: "seq", Value: tla.Int(1)}))
		},
		wrong: "the state afterwards: NextSeq",
	}} {
		t.Run(c.name, func(t *testing.T) {
			states := 0
			_, err := Run(ctx, io.Discard, Options{Root: root, Only: smallest, again: all.again,
				alter: func(_ tla.Record, results tla.Tuple) {
					if states++; states == 30 {
						i := firstDropped(results, "bad_request")
						results[i] = tla.NewSet(c.alter(results[i].(tla.Set)[0].(tla.Record)))
					}
				}})
			mustTell(t, err, "the model differs from the specification: ", c.wrong)
		})
	}
}

// firstDropped returns the first packet that is dropped for the reason.
func firstDropped(results tla.Tuple, reason string) int {
	for i, r := range results {
		out := r.(tla.Set)[0].(tla.Record).Get("out").(tla.Record)
		if out.Get("drop") == tla.String(reason) {
			return i
		}
	}
	return -1
}

// mustTell complains unless an error says these things, and names the pair.
func mustTell(t *testing.T, err error, what ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("nothing was noticed")
	}
	for _, part := range append(what, "\nstate   [", "\npacket  [", "\nallowed {") {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in the error: %v", part, err)
		}
	}
	t.Log(err)
}

// broken builds the data plane without one of its cures, in one way each.
func broken(ctx context.Context, t *testing.T, all printed) {
	for _, c := range []struct {
		name, file, passage, change, wrong string
	}{{
		name: "the gate", file: "replica.h", passage: "#define HAS_GATE 1", change: "#define HAS_GATE 0",
		wrong: "transmit (none), not drop (unknown_version)",
	}, {
		name: "acknowledgements of something", file: "replica.h", passage: "if (SEQ(word) != seq || !seq)", change: "if (SEQ(word) != seq)",
		wrong: "drop (acknowledged), not drop (stale_ack)",
	}, {
		name: "adopted only if newer", file: "client.h", passage: "session < e->owner || ", change: "",
		wrong: "not transmit (none)",
	}, {
		name: "the last number", file: "client.h", passage: "READ_ONCE(sequence.last) >= MAX_SEQ", change: "READ_ONCE(sequence.last) > MAX_SEQ",
		wrong: "the state afterwards: NextSeq",
	}, {
		name: "not to those who have it", file: "client.h", passage: "p->targets = p->view->members & ~ACKS(word);\n\t\treturn",
		change: "p->targets = p->view->members;\n\t\treturn", wrong: "multicast (none), not transmit (none)",
	}} {
		t.Run(c.name, func(t *testing.T) {
			object := buildWithout(ctx, t, c.file, c.passage, c.change)
			_, err := Run(ctx, io.Discard, Options{Root: root, Only: smallest, again: all.again, object: object})
			mustTell(t, err, "the bytecode differs from the model and the specification: ", c.wrong)
		})
	}
}

// buildWithout compiles the data plane with a passage changed.
func buildWithout(ctx context.Context, t *testing.T, file, passage, change string) string {
	t.Helper()
	dir := t.TempDir()
	sources, err := filepath.Glob(filepath.Join(root, "bpf", "*.[ch]"))
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range sources {
		text, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Base(source) == file {
			if strings.Count(string(text), passage) != 1 {
				t.Fatalf("%s no longer has, just once, %q", source, passage)
			}
			text = []byte(strings.Replace(string(text), passage, change, 1))
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(source)), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	object := filepath.Join(dir, "changed.o")
	clang := exec.CommandContext(ctx, "clang-19", "-mcpu=v3", "-O2", "-g", "-I/usr/include/x86_64-linux-gnu", "-target", "bpfel",
		"-c", filepath.Join(dir, "coordinator.bpf.c"), "-o", object)
	if out, err := clang.CombinedOutput(); err != nil {
		t.Fatalf("build the changed data plane: %v\n%s", err, out)
	}
	return object
}
