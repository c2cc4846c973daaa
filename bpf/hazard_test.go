// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bytes"
	"fmt"
	"testing"

	"dalio/protocol"
)

// hazard is a run in which a coordinator without one of its cures goes wrong, with
// the number that spec/README.md uses. Each must pass on the model and on the
// bytecode, and fail on the bytecode without the cure.
type hazard struct {
	name string
	run  func(*stage)
}

// stage is a coordinator, the model or else the bytecode, with four replicas known,
// of which the first three are members, and what the run has found wrong with it.
type stage struct {
	dp         *DataPlane
	model      *protocol.Coordinator
	complaints []string
}

// The sessions of a stage are open, and have the slots 0 to 3.
func session(slot int) protocol.SessionID { return protocol.MintSessionID(2, 1, slot) }

// play plays a run on the model, or on the data plane if there is one.
func play(t *testing.T, dp *DataPlane, run func(*stage)) []string {
	t.Helper()
	c := shard(4)
	c.Epoch, c.Members, c.Serving, c.Tick = 2, 0b0111, 0b0111, 100
	for slot := range 4 {
		c.Sessions[slot] = protocol.SessionEntry{Owner: session(slot), Nonce: uint64(100 + slot), Tick: c.Tick}
	}
	s := &stage{dp: dp, model: c}
	if dp != nil {
		restore(t, dp, c)
		s.model = nil
		if err := control(dp, nil, "now", 0); err != nil {
			t.Fatal(err)
		}
	}
	run(s)
	return s.complaints
}

func (s *stage) complain(format string, arguments ...any) {
	s.complaints = append(s.complaints, fmt.Sprintf(format, arguments...))
}

// give hands over a message. What comes out is a zero message if it is dropped.
func (s *stage) give(m protocol.Message, from protocol.Address) (out protocol.Message, o protocol.Outcome) {
	frame := protocol.NewFrame(&m, from, self)
	if s.dp == nil {
		o = s.model.HandleFrame(bytes.Clone(frame))
	} else {
		var err error
		if o, err = s.dp.HandleFrame(frame); err != nil {
			s.complain("%v: %v", m.Type, err)
			return out, o
		}
	}
	if o.Verdict != protocol.Drop {
		if err := out.Unmarshal(o.Frame[protocol.FrameOverhead:]); err != nil {
			s.complain("%v: the answer can't be read: %v", m.Type, err)
		}
	}
	return out, o
}

// set does what the control plane does.
func (s *stage) set(what string, value uint64) {
	if s.dp != nil {
		if err := control(s.dp, nil, what, value); err != nil {
			s.complain("%s: %v", what, err)
		}
		return
	}
	switch what {
	case "members":
		s.model.Members, s.model.Serving = uint16(value), s.model.Serving&uint16(value)
	case "serving":
		s.model.Serving = uint16(value)
	case "minimum":
		s.model.MinMembers = int(value)
	case "epoch":
		s.model.Epoch = protocol.Epoch(value)
	case "now":
		s.model.Now = value
	default:
		s.complain("nothing can be done about %s", what)
	}
}

func (s *stage) tick(n int) {
	for range n {
		if s.dp == nil {
			s.model.Tick++
		} else if err := s.dp.Tick(); err != nil {
			s.complain("tick: %v", err)
		}
	}
}

// write has a session put a value, and complains if that is not multicast.
func (s *stage) write(slot int, request uint64, value string) protocol.Message {
	out, o := s.give(writeRequest(session(slot), request, "k", value), client(slot))
	if out.Type != protocol.Write {
		s.complain("write %d of session %d: %v %v (%v), want it sent to the members", request, slot, out.Type, out.Status, o.Reason)
	}
	return out
}

func ackOf(write protocol.Message, i int) protocol.Message {
	write.Type, write.Replica, write.Key, write.Value = protocol.WriteAck, replica(i).ID, nil, nil
	return write
}

// acknowledge has members acknowledge a write that still waits for others.
func (s *stage) acknowledge(write protocol.Message, members ...int) {
	for _, i := range members {
		if out, _ := s.give(ackOf(write, i), replica(i).Address); out.Type != 0 {
			s.complain("version %v is answered with %v after the acknowledgement of %d", write.Version, out.Status, i)
		}
	}
}

// commit has a member acknowledge a write as the last.
func (s *stage) commit(write protocol.Message, i int) {
	out, o := s.give(ackOf(write, i), replica(i).Address)
	if out.Type != protocol.WriteResponse || out.Status != protocol.StatusOK || out.Version != write.Version {
		s.complain("version %v: %v %v (%v) after the last acknowledgement", write.Version, out.Type, out.Status, o.Reason)
	}
}

// reply is a member's answer to a read, with the value of a write.
func reply(write protocol.Message, i int) protocol.Message {
	m := readRequest(9, "k")
	m.Type, m.Op, m.Epoch, m.Replica, m.Client = protocol.ReadReply, write.Op, 2, replica(i).ID, client(3)
	m.Version, m.Writer, m.Digest, m.Value = write.Version, write.Writer, write.Digest, write.Value
	return m
}

// read has a member answer a read, and complains if that is released or not as told.
func (s *stage) read(what string, m protocol.Message, released bool) {
	i := m.Replica.Index()
	if out, o := s.give(m, replica(i).Address); (out.Type == protocol.ReadResponse) != released {
		s.complain("%s: version %v from replica %d becomes a %v (%v); released should be %v", what, m.Version, i, out.Type, o.Reason, released)
	}
}

// retry has a session repeat a write, and complains about another answer.
func (s *stage) retry(what string, m protocol.Message, kind protocol.MessageType, status protocol.Status, v protocol.Version) {
	out, o := s.give(m, client(m.Session.Slot()))
	if out.Type != kind || out.Status != status || out.Version != v {
		s.complain("%s: %v %v, version %v (%v); want %v %v, version %v", what, out.Type, out.Status, out.Version, o.Reason, kind, status, v)
	}
}

// TestHazards plays each hazard on the model and on the bytecode.
func TestHazards(t *testing.T) {
	dp := load(t, "")
	for _, h := range hazards() {
		t.Run(h.name, func(t *testing.T) {
			for what, on := range map[string]*DataPlane{"model": nil, "bytecode": dp} {
				for _, complaint := range play(t, on, h.run) {
					t.Errorf("the %s: %s", what, complaint)
				}
			}
		})
	}
}

// TestHazardsWithoutTheirCures plays each hazard on the bytecode without its cure:
// one that nothing would miss is none.
func TestHazardsWithoutTheirCures(t *testing.T) {
	for _, h := range hazards() {
		t.Run(h.name, func(t *testing.T) {
			of := curesNoticedBy(t, "bpf.TestHazards/"+h.name)
			if len(of) == 0 {
				t.Fatal("no cure of the data plane names it as the test that notices")
			}
			for _, c := range of {
				broken := play(t, load(t, buildWith(t, c)), h.run)
				if len(broken) == 0 {
					t.Errorf("without %q nothing goes wrong", c.Name)
					continue
				}
				t.Logf("without %q: %s", c.Name, broken[0])
			}
		})
	}
}
