// SPDX-License-Identifier: Apache-2.0

package event

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

func full() *Event {
	return &Event{By: "coordinator.0", N: 3, Time: 12, Event: "HandleReadReply", Epoch: 1, Members: 7, Serving: 3,
		Lane: "40001.3", Client: "10.0.0.9:40001", Replica: 17, Session: 1<<40 | 2<<24 | 3, Request: 1<<63 + 1, Nonce: 9, Key: 0xF00D, Hops: 2, Sent: 10,
		Value: "0badcafe", Version: Version{1, 5}, Writer: 1<<40 | 1<<24, Sends: "Read", Status: "OK", Targets: 5, To: 18, Drop: "gated",
		Slot: &Slot{Seq: 5, Acks: 3, Changed: true, Owner: 1 << 40, Taken: true}, Applied: true,
		Membership: &Membership{Coordinator: "standby1", Revision: 12, IDs: []uint32{16, 33}, InSync: []uint32{16}, At: "10.0.0.11:7411", Source: "10.0.0.12:7411", Began: 11, Ring: 7, Lease: 5}}
}

// TestLine compares what is written by hand with package json, and reads it back.
func TestLine(t *testing.T) {
	for _, e := range []*Event{full(), {By: "a", N: 1, Event: "HandleWrite", Time: 1}} {
		want, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		line := AppendLine(nil, e)
		if string(line) != string(want)+"\n" {
			t.Errorf("the line is\n%s and package json writes\n%s", line, want)
		}
		got, err := ParseLine(line)
		if err != nil || !reflect.DeepEqual(got, e) {
			t.Errorf("%s is read as %+v, %v", line, got, err)
		}
	}
	// A field that is added must be written.
	value := reflect.ValueOf(*full())
	for i := range value.NumField() {
		if value.Field(i).IsZero() {
			t.Errorf("the test has no %s", value.Type().Field(i).Name)
		}
	}
}

func TestBadLines(t *testing.T) {
	for line, want := range map[string]string{
		`{"by":"a","n":1,"event":"Handle"}`:                                 "no event",
		`{"by":"a","n":1,"event":"HandleRead","keys":1}`:                    "keys",
		`{"by":"a","event":"HandleRead"}`:                                   "number n",
		`{"n":1,"event":"HandleRead"}`:                                      "teller",
		`{"by":"a","n":1,"event":"HandleRead"} {}`:                          "more in the line",
		`{"by":"a","n":1,"event":"HandleRead","session":"1.2"}`:             "EPOCH.COUNT.SLOT",
		`{"by":"a","n":1,"event":"HandleRead","session":"1.2.99999999999"}`: "EPOCH.COUNT.SLOT",
		`{"by":"a","n":1,"event":"HandleRead","version":"1"}`:               "EPOCH.SEQ",
		`{"by":"a","n":1,"event":"HandleRead","key":"12"}`:                  "16 hexadecimal",
		`{"by":"a"`: "not an event",
	} {
		_, err := Read(strings.NewReader("{\"by\":\"a\",\"n\":1,\"event\":\"HandleRead\"}\n"+line+"\n"), "t.jsonl")
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "t.jsonl:2: ") {
			t.Errorf("%s: %v, want t.jsonl:2 and %q", line, err, want)
		}
	}
}

type buffer struct{ bytes.Buffer }

func (*buffer) Close() error { return nil }

func TestRecorder(t *testing.T) {
	var out buffer
	r := NewRecorder(&out, "replica", func() time.Duration { return 5 })
	r.Record(&Event{Event: "HandleRead"})
	r.Record(&Event{Event: "HandleWrite"})
	if err := r.Flush(); err != nil {
		t.Fatal(err)
	}
	events, err := Read(&out, "t")
	if err != nil || len(events) != 2 || events[1].N != 2 || events[1].By != "replica" || events[1].Time != 5 {
		t.Errorf("recorded %+v, %v", events, err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if last, err := Read(&out, "t"); err != nil || len(last) != 1 || last[0].Event != End || last[0].N != 3 {
		t.Errorf("the end is told by %+v, %v", last, err)
	}
	r.Record(&Event{Event: "HandleRead"})
	if r.Flush() == nil {
		t.Error("what is recorded after Close is lost in silence")
	}
	var none *Recorder
	none.Record(&Event{})
	if none.Flush() != nil || none.Close() != nil {
		t.Error("a nil recorder fails")
	}
}
