// SPDX-License-Identifier: Apache-2.0

package traces

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
)

func ptr(s string) *string { return &s }

func TestRecorderIsReadBack(t *testing.T) {
	var out bytes.Buffer
	now := int64(0)
	rec := NewRecorderClock(&out, func() int64 { now += 5; return now })
	value := "v\"1"
	rec.Invoke(0, Write, "k", &value)
	value = "reused"
	rec.Complete(0, OK, nil)
	rec.Invoke(0, Read, "k", nil)
	rec.Complete(0, OK, ptr("v\"1"))
	rec.Invoke(0, Delete, "k", nil)
	rec.Complete(0, Info, ptr("ignored"))
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	want := `{"process":0,"type":"invoke","f":"write","key":"k","value":"v\"1","time":5}
{"process":0,"type":"ok","f":"write","key":"k","value":"v\"1","time":10}
{"process":0,"type":"invoke","f":"read","key":"k","value":null,"time":15}
{"process":0,"type":"ok","f":"read","key":"k","value":"v\"1","time":20}
{"process":0,"type":"invoke","f":"delete","key":"k","value":null,"time":25}
{"process":0,"type":"info","f":"delete","key":"k","value":null,"time":30}
`
	if out.String() != want {
		t.Errorf("recorded\n%swant\n%s", out.String(), want)
	}
	if _, err := readAll(t, out.String()); err != nil {
		t.Error(err)
	}
}

// TestRecorderKeepsOrder has many clients record at once: the reader refuses
// lines out of time order, torn lines and mixed-up processes.
func TestRecorderKeepsOrder(t *testing.T) {
	const clients, operations = 16, 500
	var out bytes.Buffer
	rec := NewRecorder(&out)
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for i := range operations {
				v := strconv.Itoa(c*operations + i)
				rec.Invoke(c, Write, "k", &v)
				rec.Complete(c, OK, nil)
			}
		})
	}
	wg.Wait()
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	events, err := readAll(t, out.String())
	if err != nil {
		t.Fatal(err)
	}
	if len(events) != 2*clients*operations || rec.Lines() != len(events) {
		t.Errorf("read %d lines, recorded %d, want %d", len(events), rec.Lines(), 2*clients*operations)
	}
}

func TestRecorderRefusesMisuse(t *testing.T) {
	tests := map[string]func(r *Recorder){
		"two open":            func(r *Recorder) { r.Invoke(0, Read, "k", nil); r.Invoke(0, Read, "k", nil) },
		"not invoked":         func(r *Recorder) { r.Complete(0, OK, nil) },
		"write without value": func(r *Recorder) { r.Invoke(0, Write, "k", nil) },
		"unknown f":           func(r *Recorder) { r.Invoke(0, "cas", "k", nil) },
		"unknown type":        func(r *Recorder) { r.Invoke(0, Read, "k", nil); r.Complete(0, "done", nil) },
		"negative process":    func(r *Recorder) { r.Invoke(-1, Read, "k", nil) },
		"used after info":     func(r *Recorder) { r.Invoke(0, Read, "k", nil); r.Complete(0, Info, nil); r.Invoke(0, Read, "k", nil) },
		"binary key":          func(r *Recorder) { r.Invoke(0, Read, "\xff", nil) },
		"binary value":        func(r *Recorder) { r.Invoke(0, Write, "k", ptr("\xff")) },
		"huge value":          func(r *Recorder) { r.Invoke(0, Write, "k", ptr(strings.Repeat("v", MaxLine))) },
	}
	for name, misuse := range tests {
		rec := NewRecorder(&bytes.Buffer{})
		misuse(rec)
		if err := rec.Close(); err == nil {
			t.Errorf("%s: Close reported nothing", name)
		}
	}
}

func TestRecorderRefusesAClockThatGoesBack(t *testing.T) {
	now := int64(10)
	rec := NewRecorderClock(&bytes.Buffer{}, func() int64 { now--; return now })
	rec.Invoke(0, Read, "k", nil)
	rec.Invoke(1, Read, "k", nil)
	if err := rec.Close(); err == nil || !strings.Contains(err.Error(), "monotonic") {
		t.Errorf("Close returned %v", err)
	}
}

type failingWriter struct{ err error }

func (f failingWriter) Write([]byte) (int, error) { return 0, f.err }

func TestRecorderReportsWriteErrors(t *testing.T) {
	full := errors.New("disk full")
	rec := NewRecorder(failingWriter{full})
	rec.Invoke(0, Read, "k", nil)
	if err := rec.Close(); !errors.Is(err, full) {
		t.Errorf("Close returned %v, want the write error", err)
	}
	if err := rec.Close(); !errors.Is(err, full) {
		t.Errorf("a second Close returned %v, want the same error", err)
	}
}

func TestRecorderAfterClose(t *testing.T) {
	rec := NewRecorder(&bytes.Buffer{})
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	rec.Invoke(0, Read, "k", nil)
	if rec.Err() == nil {
		t.Error("a line was lost after Close without an error")
	}
}

func BenchmarkRecorder(b *testing.B) {
	rec := NewRecorder(io.Discard)
	v := "v123456"
	for b.Loop() {
		rec.Invoke(0, Write, "k1", &v)
		rec.Complete(0, OK, nil)
	}
}

func BenchmarkReader(b *testing.B) {
	data := strings.Repeat(invokeWrite+strings.Replace(okWrite, "12050", "12045", 1), 1000)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := readAll(b, data); err != nil {
			b.Fatal(err)
		}
	}
}

// TestVersions: a version is recorded and read back, whatever else the field holds is
// no version, and no reason to refuse the history.
func TestVersions(t *testing.T) {
	var out bytes.Buffer
	rec := NewRecorderClock(&out, func() int64 { return 7 })
	v := "v"
	rec.Invoke(0, Write, "k", &v)
	rec.CompleteVersion(0, OK, nil, &Version{2, 1 << 40})
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	events, err := drain(NewReader(&out, "versions"))
	if err != nil || events[0].Version != nil || events[1].Version == nil || *events[1].Version != (Version{2, 1 << 40}) {
		t.Errorf("read back as %+v, %v", events, err)
	}
	for field, want := range map[string]*Version{
		`[3,4]`: {3, 4}, ` [ 3 , 4 ] `: {3, 4}, `[0,18446744073709551615]`: {0, 1<<64 - 1},
		`4`: nil, `"3.4"`: nil, `[3]`: nil, `[3,4,5]`: nil, `[3,-4]`: nil, `[3,4.5]`: nil, `[3,null]`: nil, `{"epoch":3}`: nil,
		`[3,18446744073709551616]`: nil, `[3,4],"version":[3,4]`: nil, `[3,4],"version":[3,5],"version":[3,6]`: nil,
	} {
		e, err := parseLine([]byte(`{"process":0,"type":"ok","f":"read","key":"k","value":null,"time":1,"version":` + field + `}`))
		if err != nil || (e.Version == nil) != (want == nil) || want != nil && *e.Version != *want {
			t.Errorf("the version %s is read as %v, %v", field, e.Version, err)
		}
	}
}
