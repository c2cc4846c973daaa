// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"dalio/checker/linear"
)

func TestPages(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "pages")
	status, _, stderr := audited("--html", dir, threeKey, good, bad, "no-such-file")
	if status != 2 {
		t.Fatalf("status %d, stderr %s", status, stderr)
	}
	expect(t, filepath.Join(dir, "index.html"),
		"<span class=\"bad\">not linearizable</span>", `<a href="key-001.html">y</a>`, `<a href="key-002.html">k</a>`,
		"of which 2 linearizable, 1 not, 0 undecided", "no-such-file", "Unreadable")
	expect(t, filepath.Join(dir, "key-001.html"),
		"Key <code>y</code> is not linearizable", "Its 3 operations show it; without any one of them", "key-001.jsonl",
		"C (read: &#34;b&#34;) cannot come next: at that point the key holds &#34;c&#34;.")
	expect(t, filepath.Join(dir, "key-002.html"), "What else happened to this key")
}

// expect checks that a page is well formed, needs nothing from elsewhere, and
// says what it should.
func expect(t *testing.T, path string, wants ...string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page := strings.Join(strings.Fields(string(content)), " ")
	for _, want := range wants {
		if !strings.Contains(page, want) {
			t.Errorf("%s lacks %q", path, want)
		}
	}
	if found := regexp.MustCompile(`(?i)(<[^>]*\ssrc=|url\(["']?http|https?://|<script|@import|<link)`).FindString(page); found != "" {
		t.Errorf("%s loads something from elsewhere: %s", path, found)
	}
	wellFormed(t, path, string(content))
}

// wellFormed checks that every element is closed, with Go's lenient XML.
func wellFormed(t *testing.T, path, page string) {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(page))
	decoder.Strict = false
	decoder.AutoClose = []string{"meta", "!doctype"}
	decoder.Entity = xml.HTMLEntity
	for {
		_, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Errorf("%s is not well formed: %v", path, err)
			return
		}
	}
}

// TestPagesOfEveryAnomaly draws every kind of contradiction, and judges each
// core again: it must be a history that fails for the same reason.
func TestPagesOfEveryAnomaly(t *testing.T) {
	paths, err := filepath.Glob("../../../traces/testdata/bad/*")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no bad histories: %v", err)
	}
	dir := t.TempDir()
	if status, _, stderr := audited(append([]string{"--html", dir}, paths...)...); status != 1 {
		t.Fatalf("status %d, stderr %s", status, stderr)
	}
	cores, err := filepath.Glob(filepath.Join(dir, "key-*.jsonl"))
	if err != nil || len(cores) != len(paths) {
		t.Fatalf("%d cores of %d histories: %v", len(cores), len(paths), err)
	}
	for i, core := range cores {
		expect(t, strings.TrimSuffix(core, ".jsonl")+".html", "<svg", paths[i])
		report, err := linear.CheckFile(context.Background(), core, linear.Options{})
		if err != nil {
			t.Errorf("the core of %s: %v", paths[i], err)
			continue
		}
		if k := report.Keys[0]; k.Verdict != linear.NotLinearizable || len(k.Core) != k.Operations {
			t.Errorf("the core of %s is judged %s with a core of %d of %d", paths[i], k.Verdict, len(k.Core), k.Operations)
		}
	}
}

func TestPagesSayHowMuchIsEnough(t *testing.T) {
	of := func(core, operations int, minimal bool) string {
		return enough(linear.KeyReport{Operations: operations, Core: make([]linear.Operation, core), Minimal: minimal})
	}
	for got, want := range map[string]string{
		of(1, 1, true):         "Its only operation shows it.",
		of(1, 12345, true):     "One of its 12,345 operations is enough to show it.",
		of(3, 14945, true):     "Of its 14,945 operations, 3 are enough to show it; without any one of them, an explanation could be found for the others.",
		of(70, 2000000, false): "Of its 2,000,000 operations, 70 are enough to show it (the first 60 are below); the time ran out before fewer were tried.",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestPagesQuoteWhatTheyShow feeds markup as keys and values.
func TestPagesQuoteWhatTheyShow(t *testing.T) {
	path := file(t, "markup.jsonl", `{"process":0,"type":"invoke","f":"read","key":"<script>alert(1)</script>","value":null,"time":1}
{"process":0,"type":"ok","f":"read","key":"<script>alert(1)</script>","value":"\"><img src=x>`+strings.Repeat("é", 99)+`","time":1}
`)
	dir := t.TempDir()
	if status, _, stderr := audited("--html", dir, path); status != 1 {
		t.Fatalf("status %d, stderr %s", status, stderr)
	}
	expect(t, filepath.Join(dir, "index.html"))
	expect(t, filepath.Join(dir, "key-001.html"), "&lt;script&gt;")
	page, err := os.ReadFile(filepath.Join(dir, "key-001.html"))
	if err != nil || strings.Contains(string(page), "<img") {
		t.Errorf("a value became markup (%v)", err)
	}
}

func TestPagesThatCannotBeWritten(t *testing.T) {
	occupied := file(t, "occupied", "not a directory")
	if status, _, stderr := audited("--html", occupied, good); status != 2 || !strings.Contains(stderr, occupied) {
		t.Errorf("status %d, stderr %q", status, stderr)
	}
}

func TestCoreHistoryOrdersEqualTimes(t *testing.T) {
	at := func(n int64) *int64 { return &n }
	core := []linear.Operation{
		{Process: 0, Type: "ok", F: "delete", Key: "k", Invoked: 1, Completed: at(5)},
		{Process: 0, Type: "ok", F: "read", Key: "k", Invoked: 5, Completed: at(5)},
		{Process: 0, Type: "info", F: "delete", Key: "k", Invoked: 5},
	}
	content, err := coreHistory(core)
	if err != nil {
		t.Fatal(err)
	}
	report, err := linear.CheckFile(context.Background(), file(t, "core.jsonl", string(content)), linear.Options{})
	if err != nil || report.Keys[0].Operations != len(core) {
		t.Errorf("the history cannot be read back: %v\n%s", err, content)
	}
}
