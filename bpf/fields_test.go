// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"dalio/protocol"
)

// These tests leave nothing to chance: each kind of frame finds each situation, as a
// correct sender makes it and with each of its fields changed.

// situations are those that a frame can find the coordinator in, beside what is in
// the session table of each.
func situations() map[string]*protocol.Coordinator {
	with := func(change func(*protocol.Coordinator)) *protocol.Coordinator {
		c := busy()
		change(c)
		return c
	}
	return map[string]*protocol.Coordinator{
		"busy":             busy(),
		"closed":           with(func(c *protocol.Coordinator) { c.Epoch = 0 }),
		"nobody there":     with(func(c *protocol.Coordinator) { c.Members, c.Serving = 0, 0 }),
		"too few":          with(func(c *protocol.Coordinator) { c.MinMembers = 4 }),
		"a member removed": with(func(c *protocol.Coordinator) { c.Members, c.Serving = 0b011, 0b011 }),
		"no numbers left":  with(func(c *protocol.Coordinator) { c.NextSeq = protocol.MaxSeq }),
		"taken back": with(func(c *protocol.Coordinator) {
			c.Sessions[5] = lastWrite(c, 5, 0)
			c.Sessions[5].Owner = protocol.MintSessionID(c.Epoch-1, 1, 5)
		}),
		"lease over":     with(func(c *protocol.Coordinator) { c.Now, c.Answered[0] = 3*testLease, 3*testLease }),
		"one is overdue": with(func(c *protocol.Coordinator) { c.Now, c.Answered = 3*testLease, lastHeard(0, 3*testLease) }),
		"held till just now": with(func(c *protocol.Coordinator) {
			c.Now, c.Answered, c.Held = 3*testLease, lastHeard(0, 3*testLease), 3*testLease
		}),
		"one joins, silent": with(func(c *protocol.Coordinator) { c.Now, c.Answered = 3*testLease, lastHeard(2, 3*testLease) }),
	}
}

// lastHeard has everybody heard at a time but one.
func lastHeard(silent int, at uint64) (answered [protocol.MaxMembers]uint64) {
	for i := range answered {
		if i != silent {
			answered[i] = at
		}
	}
	return answered
}

// plainFrames has a frame of each type, known or not, for each state of a session.
func plainFrames(c *protocol.Coordinator) [][]byte {
	f := &fuzzed{world: world{model: c}}
	frames := [][]byte{make([]byte, minFrame), make([]byte, protocol.FrameOverhead)}
	for slot := range 8 {
		for kind := range 5 {
			frames = append(frames, f.frame(kind, slot, 0), f.frame(kind, slot, 1))
		}
		again := f.frame(1, slot, 0)
		next := mustDecode(fatal{}, again)
		next.Op, next.Value = protocol.OpDelete, nil
		frames = append(frames, protocol.NewFrame(&next, client(slot%4), self))
	}
	for kind := range protocol.MessageType(protocol.ProbeReply + 2) {
		m := protocol.Message{Type: kind, Epoch: c.Epoch, Replica: replica(1).ID, Request: 5, Sent: c.Now}
		frames = append(frames, protocol.NewFrame(&m, replica(1).Address, self))
	}
	return frames
}

// fatal takes complaints about frames that a test made itself.
type fatal struct{}

func (fatal) Fatalf(format string, _ ...any) { panic(format) }

// changes yields the frame with each of the places changed, and with each length.
func changes(frame []byte, places []place, yield func([]byte)) {
	yield(frame)
	for _, p := range places {
		if len(frame) < p.offset+p.width {
			continue
		}
		var wide [8]byte
		copy(wide[8-p.width:], frame[p.offset:])
		old := binary.BigEndian.Uint64(wide[:])
		near := []uint64{old + 1, old - 1, ^old}
		if p.width == 8 {
			// Another session of the slot, of this epoch and of others.
			near = append(near, old+1<<24, old-1<<40, old+1<<40)
		}
		for _, value := range append(near, p.values...) {
			changed := bytes.Clone(frame)
			binary.BigEndian.PutUint64(wide[:], value)
			copy(changed[p.offset:p.offset+p.width], wide[8-p.width:])
			yield(changed)
			if p.offset < protocol.FrameOverhead && len(frame) > protocol.FrameOverhead {
				yield(changed[:protocol.FrameOverhead+1])
			}
		}
	}
	for _, size := range []int{protocol.FrameOverhead - 1, protocol.FrameOverhead, protocol.FrameOverhead + protocol.HeaderSize - 1, len(frame) - 1} {
		if size < len(frame) && size >= minFrame {
			yield(frame[:size])
		}
	}
	yield(append(bytes.Clone(frame), 0))
	if len(frame) < protocol.FrameOverhead+protocol.HeaderSize {
		return
	}
	short := bytes.Clone(frame[:protocol.FrameOverhead+8])
	be := binary.BigEndian
	be.PutUint16(short[16:], uint16(len(short)-minFrame))
	be.PutUint16(short[38:], uint16(len(short)-protocol.FrameOverhead+8))
	yield(short)
	for _, size := range []int{0, 1, protocol.MaxKeySize, protocol.MaxKeySize + 1, 256} {
		yield(rekey(frame, size))
	}
	// Nothing but a value.
	keyless := append(rekey(frame, 0), 'v')
	seal(keyless)
	yield(keyless)
}

// everyField has each frame meet the coordinator in a situation, and returns how many
// frames that were. Only the busy one meets those with any field changed, the others
// those on which the meaning of a message hangs.
func everyField(t *testing.T, name string, dp *DataPlane, start *protocol.Coordinator, examine func(*protocol.Coordinator, []byte) (string, error)) (frames int) {
	t.Helper()
	model := clone(start)
	restore(t, dp, model)
	changed := telling
	if name == "busy" {
		changed = places
	}
	for _, plain := range plainFrames(start) {
		changes(plain, changed, func(frame []byte) {
			frames++
			complaint, err := examine(model, frame)
			if err != nil || complaint != "" {
				t.Fatalf("%s: %s: %s (%v)\nframe %x", name, action(frame), complaint, err, frame)
			}
			if !reflect.DeepEqual(model, start) {
				model = clone(start)
				restore(t, dp, model)
			}
		})
	}
	return frames
}

func TestEveryField(t *testing.T) {
	dp := load(t, "")
	frames := 0
	for name, start := range situations() {
		frames += everyField(t, name, dp, start, func(model *protocol.Coordinator, frame []byte) (string, error) {
			got, err := dp.HandleFrame(frame)
			if err != nil {
				return "", err
			}
			return compare(dp, model, frame, got), nil
		})
	}
	t.Logf("%d frames", frames)
}

func TestEveryFieldOnSeveralDevices(t *testing.T) {
	dp := loadFor(t, "", true)
	c := newCrossroads(t, dp, 4)
	for name, start := range situations() {
		everyField(t, name, dp, start, func(model *protocol.Coordinator, frame []byte) (complaint string, err error) {
			_, complaint, err = c.examine(model, frame, len(frame)%len(c.wires))
			return complaint, err
		})
	}
}

// TestEveryFieldWithoutALease: the same for a coordinator that nobody can take over from.
func TestEveryFieldWithoutALease(t *testing.T) {
	for _, several := range []bool{false, true} {
		dp := loadWith(t, Options{SeveralDevices: several})
		examine := func(model *protocol.Coordinator, frame []byte) (string, error) {
			got, err := dp.HandleFrame(frame)
			if err != nil {
				return "", err
			}
			return compare(dp, model, frame, got), nil
		}
		if several {
			c := newCrossroads(t, dp, 4)
			examine = func(model *protocol.Coordinator, frame []byte) (complaint string, err error) {
				_, complaint, err = c.examine(model, frame, len(frame)%len(c.wires))
				return complaint, err
			}
		}
		all := situations()
		for _, name := range []string{"busy", "a member removed"} {
			all[name].Lease = 0
			everyField(t, name, dp, all[name], examine)
		}
	}
}

// TestEveryFieldByTheClock: the same by the kernel's clock. What it stamped must be
// of the time of the run; everything else must be what the model says of that time. Half
// of the frames meet a look at the clock that is later than the last tick, and half, if
// they are a replica's, answer what was sent after that tick.
func TestEveryFieldByTheClock(t *testing.T) {
	const lease = time.Minute // Shorter than the machine is up, longer than the test.
	for _, several := range []bool{false, true} {
		dp := loadWith(t, Options{SeveralDevices: several, Lease: lease, clockStands: 0})
		frames, ingress, examine := 0, 0, func(model *protocol.Coordinator, frame []byte, want *protocol.Outcome) {}
		if several {
			c := newCrossroads(t, dp, 4)
			ingress = c.wires[0].coordinator
			examine = func(_ *protocol.Coordinator, frame []byte, want *protocol.Outcome) { c.complete(frame, 0, want) }
		}
		all := situations()
		for _, name := range []string{"busy", "a member removed", "one is overdue"} {
			start := all[name]
			start.Lease, start.Now, start.Answered = uint64(lease), 0, lastHeard(-1, uint64(Now()))
			if name == "one is overdue" {
				start.Answered[1] = 0
			}
			everyField(t, name, dp, start, func(model *protocol.Coordinator, frame []byte) (string, error) {
				before, tick := uint64(Now()), uint64(lastTick())
				look := uint64(0)
				if frames++; frames%2 == 0 {
					look = before
				} else {
					frame = sentAt(frame, before-1) // Not at that time, which a stamp is known by.
				}
				if err := dp.objects.Moment.Set(look); err != nil {
					return "", err
				}
				got, _, err := dp.handleFrom(ingress, frame)
				if err != nil {
					return "", err
				}
				model.Now = before
				want := model.HandleFrame(bytes.Clone(frame))
				examine(model, frame, &want)
				model.Now = 0
				if err := errors.Join(takeStamp(dp, got.Frame, want.Frame, before, tick), takeLook(dp, model, before)); err != nil {
					return err.Error(), nil
				}
				return differ(dp, model, got, want), nil
			})
		}
	}
}

// sentField is where a frame has the time at which its message was sent.
const sentField = protocol.FrameOverhead + 56

// sentAt makes a replica's message the answer to one that was sent at a time.
func sentAt(frame []byte, at uint64) []byte {
	var m protocol.Message
	if len(frame) < sentField+8 || m.Unmarshal(frame[protocol.FrameOverhead:]) != nil ||
		m.Type != protocol.WriteAck && m.Type != protocol.ReadReply && m.Type != protocol.ProbeReply {
		return frame
	}
	frame = bytes.Clone(frame)
	binary.BigEndian.PutUint64(frame[sentField:], at)
	return frame
}

// takeStamp puts the model's stamp, which is of now, in place of the kernel's, if that is
// of a tick since the one given, or of a look at the clock.
func takeStamp(dp *DataPlane, got, want []byte, now, tick uint64) error {
	if len(got) < sentField+8 || len(want) < sentField+8 || binary.BigEndian.Uint64(want[sentField:]) != now {
		return nil
	}
	var look uint64
	if err := dp.objects.Moment.Get(&look); err != nil {
		return err
	}
	if stamp, last := binary.BigEndian.Uint64(got[sentField:]), uint64(lastTick()); stamp != look && stamp > last || stamp < max(tick, look) {
		return fmt.Errorf("a message to a replica is stamped with %d, not with a tick between %d and %d, or with the look at %d", stamp, tick, last, look)
	}
	binary.BigEndian.PutUint64(got[sentField:], now)
	return nil
}

// takeLook puts the kernel's time in place of the model's, which is now, where a look at
// the clock has found the lease holding.
func takeLook(dp *DataPlane, model *protocol.Coordinator, now uint64) error {
	if model.Held != now {
		return nil
	}
	var held, moment uint64
	if err := errors.Join(dp.objects.Held.Get(&held), dp.objects.Moment.Get(&moment)); err != nil {
		return err
	}
	if held < now || held > moment || moment > uint64(Now()) {
		return fmt.Errorf("the lease held at %d, and what is sent is stamped with %d at least: not from %d to now", held, moment, now)
	}
	model.Held = held
	return nil
}

// TestSmallTable: with fewer slots than a nonce may choose from, each is looked at once.
func TestSmallTable(t *testing.T) {
	for _, several := range []bool{false, true} {
		dp := loadWith(t, Options{MaxSessions: protocol.OpenWindow / 2, Lease: testLease, clockStands: 1, SeveralDevices: several})
		c := shard(3)
		c.Sessions = c.Sessions[:protocol.OpenWindow/2]
		restore(t, dp, c)
		examine := func(frame []byte) (string, error) {
			got, err := dp.HandleFrame(frame)
			if err != nil {
				return "", err
			}
			return compare(dp, c, frame, got), nil
		}
		if several {
			x := newCrossroads(t, dp, 2)
			examine = func(frame []byte) (complaint string, err error) {
				_, complaint, err = x.examine(c, frame, 0)
				return complaint, err
			}
		}
		for nonce := range uint64(2 * protocol.OpenWindow) {
			m := protocol.Message{Type: protocol.OpenRequest, Request: nonce + 1}
			if complaint, err := examine(protocol.NewFrame(&m, client(0), self)); err != nil || complaint != "" {
				t.Fatalf("nonce %d: %s (%v)", nonce, complaint, err)
			}
		}
	}
}
