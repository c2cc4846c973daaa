// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"flag"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"dalio/protocol"
)

// raceTime is for how long, at least, both processors are kept busy with one device,
// and for how long with several.
var raceTime = flag.Duration("races", 0, "for how long, at least, TestBothProcessors goes on with one device, and with several")

const (
	raceMembers = 3
	raceSlots   = 4
	// raceFrames is how many frames each lane makes in one round.
	raceFrames = 100_000
	// raceLeast is how many frames are made at least with one device, or several.
	raceLeast = 1_000_000
)

// raceRound has both lanes make frames about the same few sessions, from a fresh
// table, and returns the logs and the table at the end.
func (tr *traffic) raceRound(frames int, seed uint64) (l *logs, begin, end *protocol.Coordinator) {
	tr.Helper()
	begin = shard(raceMembers)
	for slot := range raceSlots {
		begin.Sessions[slot].Owner = protocol.MintSessionID(1, 1, slot)
	}
	restore(tr, tr.dp, begin)
	tr.mix(70, 110, 68, 8, 110)
	tr.plan.FirstSlot, tr.plan.SlotCount = 0, raceSlots
	l = tr.run(frames, seed)
	end, err := tr.dp.State()
	if err != nil {
		tr.Fatal(err)
	}
	return l, begin, end
}

// version is a write, as its number identifies it.
type version struct {
	slot    uint8
	request uint64
	// answers is how often its commit was answered; answered is when the last
	// acknowledgement before that was made.
	answers  int
	answered uint64
	// The number was given at some moment from after to before.
	after, before uint64
}

// promises checks what must hold in whatever order the frames were handled: one
// version for a request, one answer to its commit, no release before that, and
// numbers without gaps that grow in time and in each slot. It returns complaints,
// not too many.
func (l *logs) promises(end *protocol.Coordinator) (complaints []string) {
	complain := func(format string, arguments ...any) {
		if len(complaints) < 10 {
			complaints = append(complaints, fmt.Sprintf(format, arguments...))
		}
	}
	versions := make([]version, end.NextSeq+1)
	for i := range versions {
		versions[i].after, versions[i].before = ^uint64(0), ^uint64(0)
	}
	requests := map[version]uint64{}
	l.each(func(lane, i int, in *trafficInput, out *trafficOutput) {
		if out.Wrong != 0 {
			complain("lane %d, frame %d: %d of %d frames are not for their receiver or mix writes: %+v => %+v", lane, i, out.Wrong, out.Count, *in, *out)
		}
		if out.Count == 0 || in.Kind == kindRead || out.Seq == 0 || out.Type == uint8(protocol.ReadResponse) {
			return
		}
		if out.Seq > end.NextSeq {
			complain("lane %d, frame %d: version %d was never given: %+v => %+v", lane, i, out.Seq, *in, *out)
			return
		}
		write := version{slot: in.Slot, request: out.Request}
		if other, known := requests[write]; known && other != out.Seq {
			complain("request %d of slot %d has the versions %d and %d", out.Request, in.Slot, other, out.Seq)
		}
		requests[write] = out.Seq
		v := &versions[out.Seq]
		if v.request != 0 && (v.request != out.Request || v.slot != in.Slot) {
			complain("version %d is of request %d of slot %d, and of request %d of slot %d", out.Seq, v.request, v.slot, out.Request, in.Slot)
		}
		v.request, v.slot = out.Request, in.Slot
		v.before = min(v.before, out.Time)
		switch in.Kind {
		case kindAck:
			v.answers++
			v.answered = in.Time
		case kindWrite:
			v.after = min(v.after, in.Time)
		}
	})
	last, latest := [256]version{}, uint64(0)
	for seq, v := range versions {
		if seq == 0 {
			continue
		}
		before := last[v.slot]
		latest = max(latest, v.after)
		pending := end.Sessions[v.slot].Seq == uint64(seq) && end.Sessions[v.slot].Pending()
		switch {
		case v.request == 0:
			complain("version %d was given to nobody", seq)
		case v.request <= before.request:
			complain("slot %d: version %d is of request %d, after request %d", v.slot, seq, v.request, before.request)
		case v.before < latest:
			complain("version %d was given at %d at the latest, and one before it not before %d", seq, v.before, latest)
		case pending && v.answers != 0, !pending && v.answers != 1:
			complain("the commit of version %d was answered %d times; pending in the end: %v", seq, v.answers, pending)
		}
		last[v.slot] = v
	}
	l.each(func(lane, i int, in *trafficInput, out *trafficOutput) {
		if out.Type == uint8(protocol.ReadResponse) && in.Kind == kindReply && out.Seq != 0 && out.Seq <= end.NextSeq {
			if v := &versions[out.Seq]; v.answers == 0 || v.answered > out.Time {
				complain("lane %d, frame %d: version %d was released before it was committed", lane, i, out.Seq)
			}
		}
	})
	return complaints
}

// judge returns what is wrong with a round.
func (l *logs) judge(begin, end *protocol.Coordinator) []string {
	complaints := l.promises(end)
	var orders [raceSlots]string
	var done sync.WaitGroup
	for slot := range orders {
		done.Go(func() { orders[slot] = l.order(clone(begin), slot, begin.Sessions[slot], end.Sessions[slot]) })
	}
	done.Wait()
	for _, complaint := range orders {
		if complaint != "" {
			complaints = append(complaints, complaint)
		}
	}
	return complaints
}

// newRace returns the surroundings of a data plane with members to whom it is known
// by which devices the clients are reached.
func newRace(t *testing.T, object string, several bool) *traffic {
	t.Helper()
	dp := loadFor(t, object, several)
	if !several {
		tr := newTraffic(t, dp, 1)
		tr.place(make([]int, raceMembers))
		return tr
	}
	tr := newTraffic(t, dp, raceMembers+2)
	tr.place([]int{1, 2, 3})
	// A client whose device is not known yet gets no answers.
	restore(tr, dp, shard(raceMembers))
	tr.mix(0, 0, 0, 256, 0)
	tr.plan.FirstSlot, tr.plan.SlotCount = 0, raceSlots
	tr.run(10, 1)
	return tr
}

// TestBothProcessors has both processors handle frames about the same sessions
// at the same time, in native XDP, and looks for an order of the model's steps
// that explains what came out.
func TestBothProcessors(t *testing.T) {
	for _, several := range []bool{false, true} {
		t.Run(deviceCount(several), func(t *testing.T) {
			tr := newRace(t, "", several)
			frames, begun := 0, time.Now()
			for frames < raceLeast || time.Since(begun) < *raceTime {
				l, begin, end := tr.raceRound(raceFrames, uint64(frames))
				frames += trafficLanes * raceFrames
				if complaints := l.judge(begin, end); len(complaints) != 0 {
					t.Fatalf("after %d frames:\n%s", frames, strings.Join(complaints, "\n"))
				}
			}
			counters, err := tr.dp.Counters()
			if err != nil {
				t.Fatal(err)
			}
			expectCounted(t, tr.dp, "sequenced", "retried", "repeated", "commits", "released", "gated", "hops", "redriven", "write_busy")
			if several {
				expectCounted(t, tr.dp, "redirected", "learned")
			}
			for _, reason := range []string{"late_ack", "stale_ack", "acknowledged", "stale_request"} {
				if counters.Drops[reason] == 0 {
					t.Errorf("no frame was dropped as %s", reason)
				}
			}
			tr.expectBothProcessors()
			t.Logf("%d frames in %v\nactivities %v\ndrops %v", frames, time.Since(begun).Round(time.Millisecond), counters.Activities, counters.Drops)
		})
	}
}
