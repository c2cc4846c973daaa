// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func one(t *testing.T, packets uint64) options {
	return options{packets: packets, seed: 5, workers: 1, dir: t.TempDir(), interval: time.Minute}
}

// TestGoesOn: stopped and begun again, the fuzzer plays the episodes that it would
// have played in one go.
func TestGoesOn(t *testing.T) {
	whole, parts := one(t, 100*episodeLength), one(t, 40*episodeLength)
	if err := run(whole, nil); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := run(parts, nil); err != nil {
			t.Fatal(err)
		}
		parts.packets = whole.packets
	}
	got, err := resume(parts)
	if err != nil {
		t.Fatal(err)
	}
	want, err := resume(whole)
	if err != nil || want.Packets != whole.packets || !reflect.DeepEqual(got, want) {
		t.Errorf("in two goes %+v, in one %+v (%v)", got, want, err)
	}
	stop := make(chan os.Signal, 1)
	stop <- os.Interrupt
	whole.packets = 1 << 60
	if err := run(whole, stop); !errors.Is(err, errStopped) {
		t.Errorf("stopped early: %v", err)
	}
	whole.object = "another"
	if p, err := resume(whole); err != nil || p.Packets != 0 {
		t.Errorf("another object begins with %d packets, %v", p.Packets, err)
	}
}

// TestDigest: what is in a source tells one from another, and so does its name.
func TestDigest(t *testing.T) {
	dir := t.TempDir()
	seen := map[string]bool{}
	for i, change := range []func() error{
		func() error { return os.MkdirAll(filepath.Join(dir, "a", "b"), 0o755) },
		func() error { return os.WriteFile(filepath.Join(dir, "a", "b", "x.go"), []byte("package x"), 0o644) },
		func() error { return os.WriteFile(filepath.Join(dir, "a", "b", "x.go"), []byte("package y"), 0o644) },
		func() error {
			return os.Rename(filepath.Join(dir, "a", "b", "x.go"), filepath.Join(dir, "a", "b", "y.go"))
		},
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		sum, err := digest(dir, []string{"a"})
		if err != nil || seen[sum] {
			t.Errorf("after change %d the digest is %s as before, %v", i, sum, err)
		}
		seen[sum] = true
	}
	if _, err := digest(dir, []string{"a", "none"}); err == nil {
		t.Error("nobody misses a source")
	}
}

// TestNoticesChanges: the fuzzer tells a program that lacks a check from the model,
// and writes down what shows it.
func TestNoticesChanges(t *testing.T) {
	for name, change := range map[string][2]string{
		"the gate":                 {"#define HAS_GATE 1", "#define HAS_GATE 0"},
		"the last retry's version": {"if (request < e->request)", "if (request + 1 < e->request)"},
		"the settled version":      {"STATUS_OK, settled_epoch, settled_seq", "STATUS_OK, p->view->epoch, settled_seq"},
		"the longest key":          {"p->key_len > MAX_KEY_SIZE ||", "p->key_len > MAX_KEY_SIZE + 1 ||"},
		"the last number":          {"READ_ONCE(sequence.last) >= MAX_SEQ", "READ_ONCE(sequence.last) >= MAX_SEQ - 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := one(t, 100*episodeLength)
			o.object = build(t, change[0], change[1])
			err := run(o, nil)
			if !errors.Is(err, errDiffers) {
				t.Fatalf("after %d packets: %v", o.packets, err)
			}
			text, err := os.ReadFile(filepath.Join(o.dir, "difference.txt"))
			if err != nil || !strings.HasPrefix(string(text), "start {") || !strings.Contains(string(text), "\nframe ") {
				t.Errorf("the script is %.80q, %v", text, err)
			}
		})
	}
}

// build compiles the data plane with a passage changed.
func build(t *testing.T, passage, change string) string {
	t.Helper()
	dir, found := t.TempDir(), 0
	files, err := filepath.Glob("../../../bpf/*.[ch]")
	if err != nil || len(files) == 0 {
		t.Fatalf("no sources: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found += strings.Count(string(text), passage)
		text = []byte(strings.ReplaceAll(string(text), passage, change))
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if found == 0 {
		t.Fatalf("no source has %q any more", passage)
	}
	object := filepath.Join(dir, "changed.o")
	arguments := []string{"-O2", "-g", "-target", "bpfel", "-mcpu=v3", "-I/usr/include/x86_64-linux-gnu", "-c", filepath.Join(dir, "coordinator.bpf.c"), "-o", object}
	if out, err := exec.Command("clang-19", arguments...).CombinedOutput(); err != nil {
		t.Fatalf("build the changed data plane: %v\n%s", err, out)
	}
	return object
}

// TestMissed: packets that never bring about what they should are no test.
func TestMissed(t *testing.T) {
	p := progress{}
	for i := range p.Seen {
		p.Seen[i] = 1
	}
	if err := p.missed(); err != nil {
		t.Error(err)
	}
	for _, i := range []int{passed, sequenced, committed, released, gated, reasons + 1} {
		p.Seen[i] = 0
		if p.missed() == nil {
			t.Errorf("nobody misses %d", i)
		}
		p.Seen[i] = 1
	}
}
