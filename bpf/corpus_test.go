// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"dalio/protocol"
)

// A corpus is what a data plane is judged by that may be a mutant: always the same
// states and frames, with what the model makes of them.

const (
	// corpusSeed and corpusWalks say which random walks the corpus is made from.
	corpusSeed  = 6
	corpusWalks = 150
	// alike is how many frames the corpus takes of those that look alike.
	alike = 25
)

// occasion is a frame with the state before, and what must come of it.
type occasion struct {
	before, after *protocol.Coordinator
	frame         []byte
	want          protocol.Outcome
	counted       counterSet
	// panicked is what the model panicked with, nil if it did not.
	panicked any
}

// newOccasion asks the model.
func newOccasion(before *protocol.Coordinator, frame []byte) (o occasion) {
	o = occasion{before: before, after: clone(before), frame: frame}
	defer func() { o.panicked = recover() }()
	o.want = o.after.HandleFrame(bytes.Clone(frame))
	o.counted = countedFor(before, o.after, frame, o.want)
	return o
}

// walks returns the scripts of random walks: always the same ones.
func walks(t *testing.T, dp *DataPlane) (scripts []script) {
	t.Helper()
	walk := rapid.Custom(func(r *rapid.T) *world {
		w := newWorld(r, dp, anyState(r))
		actions := rapid.StateMachineActions(w)
		r.Repeat(actions)
		return w
	})
	for i := range corpusWalks {
		w := walk.Example(corpusSeed + i)
		start, err := json.Marshal(w.start)
		if err != nil {
			t.Fatal(err)
		}
		scripts = append(scripts, append(script{"start " + string(start)}, w.script...))
	}
	return scripts
}

// setting is a way in which a data plane may be loaded.
type setting struct {
	name    string
	options Options
}

func settings() []setting {
	usual := Options{Self: self, MaxSessions: testSlots, SessionTTL: testTTL, Lease: testLease, clockStands: 1}
	plain := usual
	usual.Self = elsewhere(self)
	noLease, small := usual, usual
	noLease.Lease = 0
	small.MaxSessions = 4
	return []setting{{"usual", usual}, {"no lease", noLease}, {"small", small}, realClock(), {"plain", plain}}
}

// adjust makes a state one of a coordinator with the setting's options.
func (s *setting) adjust(c *protocol.Coordinator) {
	if s.options.Self != self {
		move(c)
	}
	c.Lease = uint64(s.options.Lease)
	c.Sessions = c.Sessions[:s.options.MaxSessions]
}

// events plays a script on the model and returns an occasion for each of its frames.
func (s script) occasions(in *setting) (all []occasion, err error) {
	c := &protocol.Coordinator{}
	for _, line := range s {
		verb, rest, _ := strings.Cut(line, " ")
		switch verb {
		case "start":
			err = json.Unmarshal([]byte(rest), c)
			in.adjust(c)
		case "tick":
			c.Tick++
		case "frame":
			var frame []byte
			if frame, err = hex.DecodeString(rest); err == nil {
				e := newOccasion(c, disguise(frame))
				all, c = append(all, e), clone(e.after)
			}
		default:
			var value uint64
			if value, err = strconv.ParseUint(rest, 10, 64); err == nil {
				c = clone(c)
				controlModel(c, verb, value)
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// controlModel does to the model what control does.
func controlModel(c *protocol.Coordinator, what string, value uint64) {
	switch what {
	case "serving":
		c.Serving = uint16(value)
	case "members":
		c.Members, c.Serving = uint16(value), c.Serving&uint16(value)
	case "minimum":
		c.MinMembers = int(value)
	case "epoch":
		c.Epoch = protocol.Epoch(value)
	case "now":
		c.Now = value
	}
}

// look says what an occasion looks like: of many that look alike the corpus takes few.
func (o *occasion) look() string {
	var in, out protocol.Message
	look := fmt.Sprint(o.want.Verdict, o.want.Reason, o.want.Action, o.counted.Activities)
	if len(o.frame) > protocol.FrameOverhead && in.Unmarshal(o.frame[protocol.FrameOverhead:]) == nil {
		look += fmt.Sprint(in.Type, min(in.Op, protocol.OpDelete), in.Hops >= protocol.MaxHops)
	}
	if o.want.Verdict != protocol.Pass && len(o.want.Frame) > protocol.FrameOverhead && out.Unmarshal(o.want.Frame[protocol.FrameOverhead:]) == nil {
		look += fmt.Sprint(out.Type, out.Status, out.Version.Epoch == o.before.Epoch)
	}
	return look
}

// choose takes of the events that look alike as many as the corpus wants.
func choose(all []occasion) (some []occasion) {
	seen := map[string]int{}
	for _, e := range all {
		look := e.look()
		if seen[look]++; seen[look] <= alike {
			some = append(some, e)
		}
	}
	return some
}

// malformed returns, for one frame of each kind, those that differ from it in one
// field, and some of those that differ in one bit, or end too early or too late.
func malformed() []occasion {
	f := &fuzzed{world: world{model: busy()}}
	f.model.Now, f.model.Answered = 1500, [protocol.MaxMembers]uint64{900, 800, 700}
	var frames [][]byte
	for kind := range 5 {
		for _, slot := range []int{1, 3, 4} {
			frames = append(frames, f.frame(kind, slot, 0))
		}
	}
	for _, kind := range []protocol.MessageType{protocol.Probe, protocol.ProbeReply} {
		m := protocol.Message{Type: kind, Epoch: f.model.Epoch, Replica: replica(1).ID, Sent: 1200}
		frames = append(frames, protocol.NewFrame(&m, replica(1).Address, self))
	}
	move(f.model)
	var all, bits []occasion
	for _, frame := range frames {
		frame = disguise(frame)
		changes(frame, places, func(changed []byte) { all = append(all, newOccasion(f.model, bytes.Clone(changed))) })
		for _, size := range keySizes {
			if size != asItIs {
				all = append(all, newOccasion(f.model, rekey(bytes.Clone(frame), size)))
			}
		}
		for bit := range 8 * (protocol.FrameOverhead + protocol.HeaderSize) {
			flipped := bytes.Clone(frame)
			flipped[bit/8] ^= 1 << (bit % 8)
			bits = append(bits, newOccasion(f.model, flipped))
		}
		for size := minFrame; size <= len(frame)+2; size++ {
			cut := append(bytes.Clone(frame[:min(size, len(frame))]), make([]byte, max(0, size-len(frame)))...)
			bits = append(bits, newOccasion(f.model, cut))
			cut = bytes.Clone(cut)
			seal(cut)
			bits = append(bits, newOccasion(f.model, cut))
		}
	}
	return append(all, choose(bits)...)
}

// corpus is what programs are judged by, in each setting.
type corpus struct {
	scripts   []script
	occasions map[string][]occasion
}

// newCorpus makes it, always the same.
func newCorpus(t *testing.T) *corpus {
	t.Helper()
	c := &corpus{scripts: walks(t, load(t, "")), occasions: map[string][]occasion{}}
	for _, s := range settings() {
		if s.options.Self == self || !s.stands() {
			continue // There other things are played.
		}
		var all []occasion
		for _, script := range c.scripts {
			some, err := script.occasions(&s)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, some...)
		}
		all = append(choose(all), cornersIn(&s)...)
		if s.name == "usual" {
			all = append(all, malformed()...)
		}
		c.occasions[s.name] = all
	}
	return c
}

// stands says whether the clock is the test's.
func (s *setting) stands() bool { return s.options.clockStands != 0 }

// TestCorpus: the data plane passes what its mutants are judged by.
func TestCorpus(t *testing.T) {
	j := newJury(t, newCorpus(t))
	for _, s := range settings() {
		if by, complaint := j.hear(j.benches[s.name]); by != "" {
			t.Errorf("%s, %s: %s", s.name, by, complaint)
		}
		t.Logf("%s: %d occasions", s.name, len(j.corpus.occasions[s.name]))
	}
}
