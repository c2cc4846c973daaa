// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dalio/protocol"
)

// raceTime is how long both processors are kept busy in all.
var raceTime = flag.Duration("races", 12*time.Second, "how long TestBothProcessors goes on")

const (
	raceMembers = 3
	raceSlots   = 4
	// raceFrames is how many frames each lane makes in one round.
	raceFrames = 100_000
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
}

// promises checks what must hold in whatever order the frames were handled: one
// version for a request, one answer to its commit, no release before that, and
// numbers without gaps that grow in each slot. It returns complaints, not too many.
func (l *logs) promises(end *protocol.Coordinator) (complaints []string) {
	complain := func(format string, arguments ...any) {
		if len(complaints) < 10 {
			complaints = append(complaints, fmt.Sprintf(format, arguments...))
		}
	}
	versions := make([]version, end.NextSeq+1)
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
		if in.Kind == kindAck {
			v.answers++
			v.answered = in.Time
		}
	})
	last := [256]version{}
	for seq, v := range versions {
		if seq == 0 {
			continue
		}
		before := last[v.slot]
		pending := end.Sessions[v.slot].Seq == uint64(seq) && end.Sessions[v.slot].Pending()
		switch {
		case v.request == 0:
			complain("version %d was given to nobody", seq)
		case v.request <= before.request:
			complain("slot %d: version %d is of request %d, after request %d", v.slot, seq, v.request, before.request)
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

func (l *logs) each(visit func(lane, i int, in *trafficInput, out *trafficOutput)) {
	for lane := range l.in {
		for i := range l.in[lane] {
			visit(lane, i, &l.in[lane][i], &l.out[lane][i])
		}
	}
}

// judge returns what is wrong with a round.
func (l *logs) judge(begin, end *protocol.Coordinator) []string {
	complaints := l.promises(end)
	model := clone(begin)
	for slot := range raceSlots {
		if complaint := l.order(model, slot, begin.Sessions[slot], end.Sessions[slot]); complaint != "" {
			complaints = append(complaints, complaint)
		}
	}
	return complaints
}

// TestBothProcessors has both processors handle frames about the same sessions
// at the same time, in native XDP, and looks for an order of the model's steps
// that explains what came out.
func TestBothProcessors(t *testing.T) {
	tr := newTraffic(t, load(t, ""), 1)
	tr.place(make([]int, raceMembers))
	frames := 0
	for begun := time.Now(); frames == 0 || time.Since(begun) < *raceTime; {
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
	for _, reason := range []string{"late_ack", "stale_ack", "acknowledged", "stale_request"} {
		if counters.Drops[reason] == 0 {
			t.Errorf("no frame was dropped as %s", reason)
		}
	}
	t.Logf("%d frames\nactivities %v\ndrops %v", frames, counters.Activities, counters.Drops)
}

// TestBothProcessorsOnSeveralDevices is the part of TestBothProcessors that needs
// no order among a lane's frames, which different wires do not keep.
func TestBothProcessorsOnSeveralDevices(t *testing.T) {
	tr := newTraffic(t, loadFor(t, "", true), raceMembers+2)
	tr.place([]int{1, 2, 3})
	// A client whose device is not known yet gets no answers.
	restore(tr, tr.dp, shard(raceMembers))
	tr.mix(0, 0, 0, 256, 0)
	tr.plan.FirstSlot, tr.plan.SlotCount = 0, raceSlots
	tr.run(10, 1)
	for seed := range uint64(5) {
		l, _, end := tr.raceRound(raceFrames, seed)
		if complaints := l.promises(end); len(complaints) != 0 {
			t.Fatal(strings.Join(complaints, "\n"))
		}
	}
	expectCounted(t, tr.dp, "commits", "released", "hops", "redriven", "redirected", "learned")
}

// TestRacesAreNoticed builds the data plane without what keeps two processors
// apart, and expects that TestBothProcessors would complain.
func TestRacesAreNoticed(t *testing.T) {
	for name, change := range map[string][3]string{
		"without the session lock": {"client.h",
			"bpf_spin_lock(&e->lock);\n\t\tactivity = decide_write(p, e, &word, &adopted);\n\t\tsettled_epoch = SETTLED_EPOCH(e);\n\t\tsettled_seq = e->settled_seq;\n\t\tbpf_spin_unlock(&e->lock);",
			"activity = decide_write(p, e, &word, &adopted);"},
		"with a plain store for the compare-and-swap": {"replica.h",
			"if (__sync_val_compare_and_swap(&e->word, word, next) == word)\n\t\t\tbreak;",
			"WRITE_ONCE(e->word, next);\n\t\tbreak;"},
	} {
		t.Run(name, func(t *testing.T) {
			dp := load(t, buildWith(t, change[0], change[1], change[2]))
			tr := newTraffic(t, dp, 1)
			tr.place(make([]int, raceMembers))
			for seed := range uint64(20) {
				l, begin, end := tr.raceRound(raceFrames, seed)
				if complaints := l.judge(begin, end); len(complaints) != 0 {
					t.Logf("noticed after %d frames:\n%s", (int(seed)+1)*trafficLanes*raceFrames, strings.Join(complaints[:min(3, len(complaints))], "\n"))
					return
				}
			}
			t.Errorf("%d frames, and nothing was noticed", 20*trafficLanes*raceFrames)
		})
	}
}

// buildWith compiles the data plane with one passage of a header changed.
func buildWith(t *testing.T, header, passage, change string) string {
	t.Helper()
	dir := t.TempDir()
	files, err := filepath.Glob("*.[ch]")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if file == header {
			if strings.Count(string(text), passage) != 1 {
				t.Fatalf("%s no longer has, just once, %q", header, passage)
			}
			text = []byte(strings.Replace(string(text), passage, change, 1))
		}
		if err := os.WriteFile(filepath.Join(dir, file), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	object := filepath.Join(dir, "changed.o")
	arguments := append(generatorFlags(t), "-O2", "-g", "-target", "bpfel", "-c", filepath.Join(dir, "coordinator.bpf.c"), "-o", object)
	if out, err := exec.Command("clang-19", arguments...).CombinedOutput(); err != nil {
		t.Fatalf("build the changed data plane: %v\n%s", err, out)
	}
	return object
}
