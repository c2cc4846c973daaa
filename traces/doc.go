// SPDX-License-Identifier: Apache-2.0

// Package traces defines the history of a run as its clients saw it: what was
// asked, when, and what came back. It records such histories, and reads them
// strictly, so that a judge never passes a history it misread.
//
// A history is JSON lines in time order. Each operation is an invoke line and,
// for the same process, one line that completes it:
//
//	{"process":3,"type":"invoke","f":"write","key":"k1","value":"v9","time":12045}
//	{"process":3,"type":"ok","f":"write","key":"k1","value":"v9","time":13310}
//
// The completing type is ok (it happened), fail (it certainly did not happen)
// or info (unknown: it may take effect at any later time). A process has one
// operation open at a time and is not used again after an info. Times are
// nanoseconds of one monotonic clock; equal times mean that the order is
// unknown. Keys are absent at the start. An operation that is still open when
// the history ends counts as info.
//
// An ok may also tell the version that the system gave the write, or that it said the
// value read had: "version":[1,18], an epoch and a number. It is evidence for a judge, and
// no part of what happened.
//
// To record, share one Recorder between all clients:
//
//	rec := traces.NewRecorder(file)
//	rec.Invoke(3, traces.Write, "k1", &value) // before the request is sent
//	rec.Complete(3, traces.OK, &value)        // after the reply has arrived
//	err := rec.Close()                        // every error surfaces here
//
// To read, call Next until io.EOF:
//
//	r := traces.NewReader(file, "history.jsonl")
//	event, err := r.Next()
//
// The package imports nothing of the module, so that the judge of a history
// shares no code with what produced it.
package traces
