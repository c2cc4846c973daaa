// SPDX-License-Identifier: Apache-2.0

package pairs

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"dalio/bpf"
	"dalio/protocol"
)

// differ says in what one outcome is not another: "" means in nothing. States are
// compared whole; of clocks and sessions both have the same.
func (o outcome) differ(from outcome) string {
	switch {
	case o.verdict != from.verdict || o.reason != from.reason:
		return fmt.Sprintf("%v (%v), not %v (%v)", o.verdict, o.reason, from.verdict, from.reason)
	case len(o.frames) != len(from.frames):
		return fmt.Sprintf("%d frames, not %d", len(o.frames), len(from.frames))
	}
	for i := range o.frames {
		if !bytes.Equal(o.frames[i], from.frames[i]) {
			return fmt.Sprintf("frame %d is %s", i, differentFrames(o.frames[i], from.frames[i]))
		}
	}
	return differentStates(o.state, from.state)
}

func differentFrames(a, b []byte) string {
	var m, n protocol.Message
	if m.Unmarshal(a[protocol.FrameOverhead:]) == nil && n.Unmarshal(b[protocol.FrameOverhead:]) == nil && !reflect.DeepEqual(m, n) {
		return differentFields(m, n)
	}
	return fmt.Sprintf("%x, not %x", a, b)
}

// differentFields lists the fields in which two structures are not the same.
func differentFields(a, b any) string {
	var all []string
	v, w := reflect.ValueOf(a), reflect.ValueOf(b)
	for i := range v.NumField() {
		if f, g := v.Field(i).Interface(), w.Field(i).Interface(); !reflect.DeepEqual(f, g) {
			all = append(all, fmt.Sprintf("%s %v, not %v", v.Type().Field(i).Name, f, g))
		}
	}
	return strings.Join(all, "; ")
}

func differentStates(a, b *protocol.Coordinator) string {
	for i := range a.Sessions {
		if a.Sessions[i] != b.Sessions[i] {
			return fmt.Sprintf("slot %d afterwards: %s", i, differentFields(a.Sessions[i], b.Sessions[i]))
		}
	}
	if a.NextSeq == b.NextSeq && a.Epoch == b.Epoch && a.Members == b.Members && a.Serving == b.Serving && a.Known == b.Known &&
		a.Answered == b.Answered && a.Held == b.Held && a.Tick == b.Tick && a.Now == b.Now && a.MinMembers == b.MinMembers && len(a.Sessions) == len(b.Sessions) {
		return ""
	}
	x, y := *a, *b
	x.Sessions, y.Sessions = nil, nil
	return "the state afterwards: " + differentFields(x, y)
}

func copyOf(c *protocol.Coordinator) *protocol.Coordinator {
	d := *c
	d.Sessions = slices.Clone(c.Sessions)
	return &d
}

// onModel has the reference model handle a frame in a state, which stays as it is.
func onModel(c *protocol.Coordinator, frame []byte) (outcome, string) {
	after := copyOf(c)
	out := after.HandleFrame(bytes.Clone(frame))
	o := outcome{verdict: out.Verdict, reason: out.Reason, frames: out.Clones, state: after}
	if out.Verdict == protocol.Transmit {
		o.frames = [][]byte{out.Frame}
	}
	return o, out.Action
}

// kernel is the bytecode, with the state that is in its maps.
type kernel struct {
	rig   *bpf.Rig
	holds *protocol.Coordinator
}

// put writes a state into the maps, as far as they hold another one.
func (k *kernel) put(c *protocol.Coordinator) error {
	if k.holds != nil && differentStates(k.holds, c) == "" {
		return nil
	}
	k.holds = nil
	if err := k.rig.Restore(c); err != nil {
		return err
	}
	k.holds = copyOf(c)
	return nil
}

// handle has the bytecode handle a frame in the state that its maps hold.
func (k *kernel) handle(frame []byte) (outcome, bpf.Handled, error) {
	h, err := k.rig.Handle(frame)
	if err != nil {
		return outcome{}, h, err
	}
	state, err := k.rig.State()
	if err != nil {
		return outcome{}, h, err
	}
	k.holds = state
	return outcome{verdict: h.Verdict, reason: h.Reason, frames: h.Frames, state: state}, h, nil
}
