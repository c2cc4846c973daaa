// SPDX-License-Identifier: Apache-2.0

package pairs

import (
	"path"
	"slices"
	"strings"
)

// branches are all that the handlers have, as the bytecode's counters tell them: what
// they were given, what was done, and why the frame was dropped if it was.
var branches = []string{
	"Frame: drop bad_length", "Frame: drop bad_version", "Frame: passed",
	"OpenRequest: drop bad_request", "OpenRequest: drop closed",
	"OpenRequest: open_busy", "OpenRequest: opened", "OpenRequest: reopened",
	"Other: drop bad_type", "Other: drop closed",
	"Probe: drop bad_request", "Probe: drop closed", "Probe: probed",
	"ProbeReply: drop closed", "ProbeReply: drop future_epoch", "ProbeReply: drop stale_epoch",
	"ProbeReply: drop unknown_replica", "ProbeReply: probe_replies",
	"ReadReply: commits, covered, drop lease_expired", "ReadReply: commits, covered, overdue",
	"ReadReply: commits, covered, released", "ReadReply: drop bad_reply", "ReadReply: drop bad_session",
	"ReadReply: drop closed", "ReadReply: drop future_epoch", "ReadReply: drop lease_expired",
	"ReadReply: drop not_serving", "ReadReply: drop stale_epoch", "ReadReply: drop unknown_replica",
	"ReadReply: drop unknown_version", "ReadReply: gated, hops", "ReadReply: gated, redriven",
	"ReadReply: overdue", "ReadReply: released",
	"ReadRequest: drop bad_request", "ReadRequest: drop closed", "ReadRequest: forwarded", "ReadRequest: read_busy",
	"WriteAck: commits", "WriteAck: commits, drop unclaimed", "WriteAck: drop acknowledged",
	"WriteAck: drop bad_reply", "WriteAck: drop bad_session", "WriteAck: drop closed",
	"WriteAck: drop future_epoch", "WriteAck: drop late_ack", "WriteAck: drop stale_ack",
	"WriteAck: drop stale_epoch", "WriteAck: drop unknown_replica",
	"WriteRequest: adopted, sequenced", "WriteRequest: adopted, too_few", "WriteRequest: adopted, write_busy",
	"WriteRequest: commits, covered", "WriteRequest: drop bad_request", "WriteRequest: drop closed",
	"WriteRequest: drop future_epoch", "WriteRequest: drop stale_request", "WriteRequest: expired",
	"WriteRequest: refused", "WriteRequest: repeated", "WriteRequest: retried", "WriteRequest: sequenced",
	"WriteRequest: too_few", "WriteRequest: write_busy",
}

// elsewhere are the reasons that no pair can give, and why. Package bpf has tests of
// its own for each.
var elsewhere = map[string]string{
	"gated":     "a write is settled on another processor between the gate and the re-drive",
	"contended": "other processors keep changing the entry",
	"internal":  "a helper of the kernel fails, or a frame comes in by a device that is not ours",
}

// The kinds that most excuses are for.
const (
	writes  = "WriteRequest: "
	acks    = "WriteAck: "
	replies = "ReadReply: "
)

// excuses say which cells of the matrix can't be full, and why. The first that fits
// a branch and a condition is given.
var excuses = []struct {
	branches   []string // patterns
	conditions []string
	why        string
}{
	{[]string{"* drop closed"}, []string{nobody, few, silent, deaf, healthy}, "an epoch is open"},
	{[]string{"* drop closed"}, []string{covered}, "without members nothing is covered"},

	{[]string{"OpenRequest: open_busy"}, []string{someFree}, "a free slot is taken"},
	{[]string{"OpenRequest: opened"}, []string{full}, "no slot may be taken"},

	{[]string{"ReadRequest: forwarded"}, []string{nobody, deaf}, "there is nobody to ask"},
	{[]string{"ReadRequest: read_busy"}, []string{healthy}, "there is somebody to ask"},

	{[]string{writes + "*sequenced"}, []string{nobody, few}, "no write is sequenced with too few members"},
	{[]string{writes + "*too_few"}, []string{silent, deaf, healthy}, "there are members enough"},
	{[]string{writes + "adopted, write_busy"}, []string{few}, "TOO_FEW comes first"},
	{[]string{writes + "commits, covered", writes + "retried"}, []string{nobody}, "it takes members"},
	{[]string{writes + "adopted*"}, []string{noEntry}, "there is no slot to adopt it in"},
	{[]string{writes + "adopted*"}, []string{fresh, partly, covered}, "a pending write keeps its slot"},
	{[]string{writes + "sequenced", writes + "too_few"}, []string{noEntry, free}, "the session has no slot: it is adopted, or expired"},
	{[]string{writes + "sequenced", writes + "too_few"}, []string{fresh, partly, covered}, "a pending write keeps others out: BUSY"},
	{[]string{writes + "write_busy"}, []string{noEntry, free}, "the session has no slot: it is adopted, or expired"},
	{[]string{writes + "repeated"}, []string{noEntry, free, unwritten}, "nothing was written"},
	{[]string{writes + "repeated"}, []string{fresh, partly, covered}, "the write is not done"},
	{[]string{writes + "retried"}, []string{noEntry, free, unwritten, recovered, committed}, "no write is pending"},
	{[]string{writes + "retried"}, []string{covered}, "the write is committed then"},
	{[]string{writes + "commits, covered"}, []string{noEntry, free, unwritten, recovered, fresh, partly, committed}, "no write is covered"},
	{[]string{writes + "refused", writes + "drop stale_request"}, []string{noEntry, free, unwritten}, "there is no request to compare with"},

	{[]string{acks + "commits*"}, []string{nobody}, "it takes members"},
	{[]string{acks + "drop acknowledged", acks + "commits*"}, []string{noEntry, free, unwritten, recovered, committed}, "no write is pending"},
	{[]string{acks + "drop acknowledged"}, []string{covered}, "the write is committed then"},
	{[]string{acks + "drop late_ack"}, []string{noEntry, free, unwritten, recovered, fresh, partly, covered}, "no write is committed"},
	{[]string{acks + "drop bad_session", replies + "drop bad_session"},
		[]string{free, unwritten, recovered, fresh, partly, covered, committed}, "there is such a slot"},

	{[]string{replies + "*released", replies + "gated*", replies + "drop bad_session", replies + "drop unknown_version",
		replies + "*overdue", replies + "*drop lease_expired"}, []string{nobody, deaf}, "it takes a member that serves"},
	{[]string{replies + "*overdue", replies + "*drop lease_expired"}, []string{few, healthy}, "no member is overdue"},
	{[]string{replies + "drop unknown_version"}, []string{noEntry}, "there is no such slot"},
	{[]string{replies + "gated*"}, []string{noEntry, free, unwritten, recovered, committed}, "no write is pending"},
	{[]string{replies + "gated*"}, []string{covered}, "the write is committed then"},
	{[]string{replies + "commits*"}, []string{noEntry, free, unwritten, recovered, fresh, partly, committed}, "no write is covered"},
}

// excused returns why a cell can't be full, or "".
func excused(c cell) string {
	kind, _, _ := strings.Cut(c.branch, ":")
	if c.condition == closed && kind != "Frame" && !strings.HasSuffix(c.branch, " drop closed") {
		return "nothing is handled"
	}
	for _, e := range excuses {
		fits := func(pattern string) bool {
			ok, err := path.Match(pattern, c.branch)
			if err != nil {
				panic(err)
			}
			return ok
		}
		if slices.Contains(e.conditions, c.condition) && slices.ContainsFunc(e.branches, fits) {
			return e.why
		}
	}
	return ""
}
