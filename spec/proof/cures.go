// SPDX-License-Identifier: Apache-2.0

package main

// dalioBreaks tells for each cure where the invariant is lost without it. There may be
// more such places; what is told here is nearest to what the cure is for. AckSet
// counts here by adding some replica or other that has not acknowledged: the
// theory knows no cardinalities.
var dalioBreaks = map[string]broken{
	"Gate":             {"HandleReadReply.release", "Released"},
	"GateReplies":      {"HandleReadRequest.pass", "Reads"},
	"AllMembers":       {"HandleWriteAck.commit", "CommittedEverywhere"},
	"AckSet":           {"HandleWriteAck.count", "Acks"},
	"AckOwnVersion":    {"HandleWriteAck.commit", "CommittedEverywhere"},
	"ClearOwnVersion":  {"HandleWriteAck.commit", "CommittedEverywhere"},
	"AnswerCommitted":  {"HandleWriteAck.count", "Answered"},
	"MarkFirst":        {"HandleWriteRequest.sequenceLate", "PendingInTable"},
	"OneEntry":         {"HandleWriteRequest.recordOnly", "PendingInTable"},
	"OwnEntry":         {"HandleWriteRequest.sequence", "PendingInTable"},
	"EnterAll":         {"HandleWriteRequest.sequenceOnly", "PendingInTable"},
	"VersionCompare":   {"HandleWrite.apply", "CommittedEverywhere"},
	"Tombstones":       {"HandleWrite.apply", "CommittedEverywhere"},
	"CollectSettled":   {"CollectTombstones", "Mark"},
	"StaleBelowMark":   {"HandleWrite.apply", "CommittedEverywhere"},
	"Dedup":            {"HandleWriteRequest.sequence", "OneVersion"},
	"IgnoreOld":        {"HandleWriteRequest.sequence", "OneVersion"},
	"FreshSessions":    {"HandleOpenRequest.take", "LastRequest"},
	"ReclaimIdle":      {"HandleOpenRequest.take", "PendingInTable"},
	"KeepWord":         {"HandleOpenRequest.take", "TableKnows"},
	"NeverAbort":       {"AbortPending", "PendingInTable"},
	"KeepUnheld":       {"AbortPending", "PendingInTable"},
	"BusyIsUnknown":    {"HandleWriteResponse.failed", "RegisterFail effect"},
	"ExpiredIsUnknown": {"HandleWriteResponse.failed", "RegisterFail effect"},
}

// shardBreaks is the same of membership and failover.
var shardBreaks = map[string]broken{
	"CompareAndSwap":    {"TakeEpoch.again", "OneCoordinator"},
	"Confirm":           {"ShrinkConfig", "Serving"},
	"MaskLast":          {"ShrinkMask", "Mask"},
	"FreshIds":          {"Assign", "New"},
	"ServeInSync":       {"GrowServe", "Serving"},
	"CatchUpFirst":      {"EnterSync", "CommittedHeld"},
	"ForgetId":          {"Crash", "CommittedHeld"},
	"PersistFirst":      {"LosePower", "CommittedHeld"},
	"AckEpoch":          {"HandleWriteAck", "CommittedHeld"},
	"FenceFirst":        {"Collect", "FromEntered"},
	"RecoverInSync":     {"Collect", "RecoveredFrom"},
	"Reconcile":         {"Install", "Installed"},
	"InstallFirst":      {"CutMembers", "Reconciled"},
	"RecoverFirst":      {"OpenKernel", "CommittedHeld"},
	"FloorBelowPending": {"Settle", "FloorSound"},
	"Discard":           {"Assign", "JoiningFresh"},
	"Replace":           {"ApplySnapshot", "SameCopied"},
	"DropSurplus":       {"ApplySnapshot", "SameCopied"},
	"KeepNew":           {"ApplySnapshot", "CaughtUp"},
}
