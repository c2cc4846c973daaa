// SPDX-License-Identifier: Apache-2.0

// Package linear judges whether a history of a key-value store is
// linearizable: whether there is one order of its operations, respecting real
// time, in which every read returns the latest write.
//
//	report, err := linear.CheckFile(ctx, "history.jsonl", linear.Options{})
//	if err != nil { … }                       // the file is unreadable
//	if report.Verdict != linear.Linearizable { … } // also when undecided
//
// Keys are independent registers, so each is judged alone. A write or delete
// of unknown outcome may take effect at any later time; what certainly did not
// happen, and reads that returned nothing, say nothing. Equal times mean that
// the order is unknown.
//
// A key all of whose answers tell versions is decided by them while the history is
// read, in one pass, if their order explains what was seen (see versions.go).
//
// Else, a key whose written values are all different and that is never deleted is
// decided in O(n log n) by comparing the periods in which each value was
// certainly current (see zones.go). Any other key is given to Porcupine, whose
// search can take exponential time and memory: it stops at the context's end
// or at the memory limit, and the key is then undecided, never passed.
//
// A key that is not linearizable is reported with a core: a sub-history that
// is still not linearizable, and from which no operation can be removed.
package linear
