// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"dalio/protocol"
)

// Fuzzing is guided by the coverage of the model: the kernel tells nothing of the
// bytecode's. So each input takes the model somewhere new, and the bytecode must
// follow.

// busy returns a coordinator whose sessions are in all the states that a frame
// can find them in.
func busy() *protocol.Coordinator {
	c := shard(3)
	c.Epoch, c.NextSeq, c.Tick, c.Serving = 7, 60, 20, 0b011
	c.Known[14] = replica(14)
	for slot := range c.Sessions {
		switch slot % 8 {
		case 1: // Opened, nothing written yet.
			c.Sessions[slot] = protocol.SessionEntry{Owner: ownerOf(c, slot), Nonce: uint64(slot), Tick: 20}
		case 2:
			c.Sessions[slot] = lastWrite(c, slot, committedAcks)
		case 3:
			c.Sessions[slot] = lastWrite(c, slot, 0)
		case 4: // One acknowledgement short of a commit.
			c.Sessions[slot] = lastWrite(c, slot, 0b011)
		case 5:
			c.Sessions[slot] = lastOfSlot(slot, c)
		case 6:
			c.Sessions[slot] = ofEarlierEpoch(slot, c)
		case 7:
			c.Sessions[slot] = stuck(slot, c)
		}
	}
	return c
}

func ownerOf(c *protocol.Coordinator, slot int) protocol.SessionID {
	return protocol.MintSessionID(c.Epoch, 1, slot)
}

// lastWrite is a slot whose write has been acknowledged by the replicas of a set.
func lastWrite(c *protocol.Coordinator, slot int, acks uint16) protocol.SessionEntry {
	m := putOf(ownerOf(c, slot), 5)
	return protocol.SessionEntry{Owner: m.Session, Nonce: uint64(slot), Request: m.Request, Seq: 40 + uint64(slot),
		Acks: acks, Op: m.Op, KeyHash: m.KeyHash, Digest: m.Digest, Tick: 20}
}

func putOf(session protocol.SessionID, request uint64) protocol.Message {
	return writeRequest(session, request, "k", "v")
}

// fuzzed is a run of the bytecode beside the model, of frames that a fuzzer makes.
type fuzzed struct {
	world
	sent [][]byte
}

// begin puts both into the state that they start from.
func begin(dp *DataPlane) (*fuzzed, error) {
	start := busy()
	f := &fuzzed{world: world{dp: dp, start: start, model: clone(start)}}
	return f, dp.Restore(start)
}

// hand gives a frame to both, and returns in what they differ.
func (f *fuzzed) hand(frame []byte) (complaint string, err error) {
	// A program can't be run on a frame that is shorter.
	if len(frame) < minFrame || len(frame) > maxFrame {
		return "", nil
	}
	f.script = append(f.script, fmt.Sprintf("frame %x", frame))
	f.sent = append(f.sent, frame)
	got, err := f.dp.HandleFrame(frame)
	if err != nil {
		return "", err
	}
	if difference := compare(f.dp, f.model, frame, got); difference != "" {
		return action(frame) + ": " + difference, nil
	}
	return "", nil
}

// maxFrame is the largest frame of an Ethernet.
const maxFrame = 1514

// playFrame hands over one frame, twice: a duplicate is handled differently.
func playFrame(f *fuzzed, frame []byte) (complaint string, err error) {
	for range 2 {
		if complaint, err = f.hand(bytes.Clone(frame)); complaint != "" || err != nil {
			break
		}
	}
	return complaint, err
}

// maxSteps bounds a run of several frames.
const maxSteps = 24

// tape is what a fuzzer made, read byte by byte; it ends in zeros.
type tape []byte

func (s *tape) next() int {
	if len(*s) == 0 {
		return 0
	}
	b := (*s)[0]
	*s = (*s)[1:]
	return int(b)
}

// playSteps reads steps from the bytes. A step is three bytes: a kind, and two that
// choose; a frame's are followed by one that says what size its key gets, how many
// changes are made to it and whether it is sealed then, and by the changes.
func playSteps(f *fuzzed, steps []byte) (complaint string, err error) {
	t := tape(steps)
	for range maxSteps {
		if len(t) == 0 {
			break
		}
		if complaint, err = f.step(&t); complaint != "" || err != nil {
			break
		}
	}
	return complaint, err
}

func (f *fuzzed) step(t *tape) (complaint string, err error) {
	kind, a, b := t.next(), t.next(), t.next()
	switch kind % 8 {
	case 6:
		f.script = append(f.script, "tick")
		f.model.Tick++
		return "", f.dp.Tick()
	case 7:
		f.model.Serving = uint16(a) & f.model.Members
		f.script = append(f.script, fmt.Sprint("serving ", f.model.Serving))
		return "", f.dp.SetServing(f.model.Serving)
	}
	how := t.next()
	frame := f.frame(kind%8, a, b)
	if size := keySizes[how>>3%len(keySizes)]; size != asItIs && len(frame) >= protocol.FrameOverhead+protocol.HeaderSize {
		frame = rekey(frame, size)
	}
	frame = alter(t, frame, how%4)
	if how&4 != 0 {
		seal(frame)
	}
	return f.hand(frame)
}

// frame makes the frame that a correct sender would, as far as the choices let it.
func (f *fuzzed) frame(kind, a, b int) []byte {
	slot := a % testSlots
	e := &f.model.Sessions[slot]
	member := replica(b % 4)
	reply := protocol.Message{Epoch: f.model.Epoch, Replica: member.ID, Version: protocol.Version{Epoch: f.model.Epoch, Seq: e.Seq},
		Session: e.Owner, Writer: e.Owner, Request: e.Request, Op: e.Op, KeyHash: e.KeyHash, Digest: e.Digest, Client: client(a % 4)}
	switch kind {
	case 0:
		return protocol.NewFrame(&protocol.Message{Type: protocol.OpenRequest, Request: uint64(1 + a%48)}, client(b%4), self)
	case 1:
		m := putOf(e.Owner, e.Request+uint64(b%3))
		return protocol.NewFrame(&m, client(a%4), self)
	case 2:
		reply.Type = protocol.WriteAck
		return protocol.NewFrame(&reply, member.Address, self)
	case 3:
		m := readRequest(uint64(1+a), "k")
		m.Attempt = uint8(b)
		return protocol.NewFrame(&m, client(a%4), self)
	case 4:
		reply.Type, reply.Key, reply.Value = protocol.ReadReply, []byte("k"), []byte("v")
		reply.Hops = uint8(b >> 4)
		return protocol.NewFrame(&reply, member.Address, self)
	}
	if len(f.sent) == 0 {
		return nil
	}
	return bytes.Clone(f.sent[a%len(f.sent)])
}

// alter changes places of a frame: a byte that is there, or, past its end, its size.
func alter(t *tape, frame []byte, places int) []byte {
	for range places {
		place, value := t.next()<<8|t.next(), t.next()
		switch place %= max(len(frame)+64, 1); {
		case place < len(frame):
			frame[place] ^= byte(value)
		case value < 128 && value < len(frame):
			frame = frame[:len(frame)-value]
		default:
			frame = append(frame, make([]byte, value)...)
		}
	}
	return frame
}

const asItIs = -1

// keySizes are those that a fuzzer would not come upon: the least and the largest,
// and what is just beyond.
var keySizes = [...]int{asItIs, asItIs, asItIs, 0, 1, protocol.MaxKeySize - 1, protocol.MaxKeySize, protocol.MaxKeySize + 1}

// rekey gives the message in a frame a key of the size. Its value stays.
func rekey(frame []byte, size int) []byte {
	at := protocol.FrameOverhead + protocol.HeaderSize
	old := int(binary.BigEndian.Uint16(frame[at-24:]))
	out := append(bytes.Clone(frame[:at]), bytes.Repeat([]byte("k"), size)...)
	out = append(out, frame[min(at+old, len(frame)):]...)
	binary.BigEndian.PutUint16(out[at-24:], uint16(size))
	seal(out)
	return out
}

// seal makes the lengths in a frame those that it has, as far as its key's lets it:
// frames in which one is wrong do not get far.
func seal(frame []byte) {
	payload := len(frame) - protocol.FrameOverhead
	if payload < protocol.HeaderSize {
		return
	}
	be, message := binary.BigEndian, frame[protocol.FrameOverhead:]
	be.PutUint16(frame[16:], uint16(len(frame)-minFrame))
	be.PutUint16(frame[38:], uint16(payload+8))
	be.PutUint16(message[66:], uint16(payload-protocol.HeaderSize)-be.Uint16(message[64:]))
}

// fuzz runs what a fuzzer makes, and explains a difference as a regression case.
func fuzz(t *testing.T, dp *DataPlane, input []byte, play func(*fuzzed, []byte) (string, error)) {
	run, err := begin(dp)
	if err != nil {
		t.Fatal(err)
	}
	complaint, err := play(run, input)
	if err != nil {
		t.Fatal(err)
	}
	if complaint != "" {
		t.Error(complaint)
		explain(t, dp, &run.world)
	}
}

// FuzzFrame: any bytes as a frame.
func FuzzFrame(f *testing.F) {
	for _, frame := range frameSeeds() {
		f.Add(frame, false)
	}
	dp := load(f, "")
	f.Fuzz(func(t *testing.T, frame []byte, sealed bool) {
		if sealed {
			frame = bytes.Clone(frame)
			seal(frame)
		}
		fuzz(t, dp, frame, playFrame)
	})
}

// FuzzSteps: any bytes as steps, most of them frames that are nearly right.
func FuzzSteps(f *testing.F) {
	for _, steps := range stepSeeds {
		f.Add(steps)
	}
	dp := load(f, "")
	f.Fuzz(func(t *testing.T, steps []byte) { fuzz(t, dp, steps, playSteps) })
}

// frameSeeds has a frame of each type for each state of a session, and some that
// are not Dalio's.
func frameSeeds() [][]byte {
	f := &fuzzed{world: world{model: busy()}}
	arp := make([]byte, 60)
	binary.BigEndian.PutUint16(arp[12:], 0x0806)
	seeds := [][]byte{arp, make([]byte, minFrame)}
	for kind := range 5 {
		for slot := range 8 {
			seeds = append(seeds, f.frame(kind, slot, 0))
		}
	}
	return seeds
}

// stepSeeds: a session is opened, writes, is acknowledged and read; and again with
// a duplicate, a retry, a gated read and a changed byte.
var stepSeeds = [][]byte{
	{0, 1, 0, 0, 1, 1, 1, 0, 2, 1, 0, 0, 2, 1, 1, 0, 2, 1, 2, 0, 3, 1, 0, 0, 4, 1, 0, 0},
	{1, 2, 1, 0, 1, 2, 0, 0, 2, 2, 0, 0, 4, 2, 0, 0, 4, 2, 0x80, 0, 5, 0, 0, 0, 7, 0, 0, 4, 2, 0, 0},
	{6, 0, 0, 6, 0, 0, 6, 0, 0, 0, 6, 0, 0, 1, 3, 1, 1, 0, 45, 1, 2, 3, 2, 2, 0, 20, 1, 0, 64, 250},
	// A read of the longest key, and a write whose frame is cut.
	{3, 0, 0, 6 << 3, 1, 1, 1, 5, 255, 255, 1},
}

// TestFuzzingTellsABrokenDataPlane: without the gate, what fuzzing begins with is
// enough to find that out.
func TestFuzzingTellsABrokenDataPlane(t *testing.T) {
	for object, broken := range map[string]bool{"": false, withoutGate(t): true} {
		dp := load(t, object)
		for name, c := range map[string]struct {
			play  func(*fuzzed, []byte) (string, error)
			seeds [][]byte
		}{"frame": {playFrame, frameSeeds()}, "steps": {playSteps, stepSeeds}} {
			complaints := 0
			for _, seed := range c.seeds {
				run, err := begin(dp)
				if err != nil {
					t.Fatal(err)
				}
				complaint, err := c.play(run, seed)
				if err != nil {
					t.Fatal(err)
				}
				if complaint != "" {
					complaints++
				}
			}
			if (complaints > 0) != broken {
				t.Errorf("%s: %d complaints; the data plane is broken: %v", name, complaints, broken)
			}
		}
	}
}
