// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"

	"dalio/bpf"
	"dalio/protocol"
)

const (
	// episodeLength is how many packets an episode has.
	episodeLength = 4096
	// look is after how many packets the tables are compared though the model did
	// not change, and lookAround after how many all the rest is.
	look, lookAround = 16, 1024
)

// player plays episodes on one data plane.
type player struct {
	mill  *bpf.Treadmill
	model *protocol.Coordinator
	maker maker
	// before has the model's sessions before the last packet.
	before []protocol.SessionEntry
	epoch  protocol.Epoch // while none is open, the last one
	seen   [meetings]uint64
}

func newPlayer(object string) (*player, error) {
	mill, err := bpf.LoadTreadmill(bpf.Options{Self: self, MaxSessions: slots, SessionTTL: ttl, Lease: lease, Object: object})
	if err != nil {
		return nil, fmt.Errorf("fuzzing packets needs root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON: %w", err)
	}
	return &player{mill: mill, before: make([]protocol.SessionEntry, slots), maker: maker{buf: make([]byte, 0, maxFrame)}}, nil
}

func (e *player) close() error { return e.mill.Close() }

var errDiffers = errors.New("the bytecode is not the model")

// play plays an episode, and returns how many packets it had. The script, if there is
// one, gets what leads to a difference.
func (e *player) play(seed, number uint64, script *script) (packets uint64, err error) {
	r := rand.New(rand.NewPCG(seed, number))
	e.model = anyState(r)
	e.maker.r, e.maker.model, e.maker.sent = r, e.model, 0
	if err := e.mill.Restore(e.model); err != nil {
		return 0, err
	}
	script.begin(e.model)
	for packets < episodeLength {
		if err := e.control(r, script); err != nil {
			return packets, err
		}
		packet := e.maker.next()
		packets++
		script.frame(packet)
		difference, err := e.packet(packet, packets)
		if err != nil {
			return packets, err
		}
		if difference != "" {
			return packets, fmt.Errorf("%w: packet %x: %s", errDiffers, packet, difference)
		}
	}
	return packets, nil
}

// packet hands both a packet, and says in what they differ.
func (e *player) packet(packet []byte, number uint64) (string, error) {
	got, err := e.mill.Handle(packet)
	if err != nil {
		return "", err
	}
	answered, held, last := e.model.Answered, e.model.Held, e.model.NextSeq
	copy(e.before, e.model.Sessions)
	want := e.model.HandleFrame(packet)
	meet(&e.seen, &want, last, e.model.NextSeq)
	switch {
	case got.Verdict != want.Verdict || got.Reason != want.Reason || got.Action != want.Action || got.Targets != want.Targets:
		return fmt.Sprintf("the bytecode says %v (%v) in %q to %016b, the model %v (%v) in %q to %016b",
			got.Verdict, got.Reason, got.Action, got.Targets, want.Verdict, want.Reason, want.Action, want.Targets), nil
	case !bytes.Equal(got.Frame, want.Frame):
		return fmt.Sprintf("the outputs differ:\nbytecode %x\nmodel    %x", got.Frame, want.Frame), nil
	case number%lookAround == 0:
		return e.mill.DiffersAnywhere(e.model)
	case number%look == 0 || answered != e.model.Answered || held != e.model.Held || last != e.model.NextSeq || !slices.Equal(e.before, e.model.Sessions):
		return e.mill.Differs(e.model)
	}
	return "", nil
}

// control does now and then what a control plane does.
func (e *player) control(r *rand.Rand, script *script) (err error) {
	c, what := e.model, r.IntN(1024)
	if c.Epoch == 0 && what < 64 {
		// The next epoch opens, or the same once more.
		c.Epoch = e.epoch + protocol.Epoch(r.IntN(2))
		script.begin(c)
		return e.mill.Restore(c)
	}
	switch what {
	case 0, 1, 2, 3, 4, 5, 6, 7:
		c.Tick++
		script.say("tick", 0)
		return e.mill.Tick()
	case 8, 9, 10, 11, 12, 13, 14, 15:
		c.Now += r.Uint64N(lease / 2)
		script.say("now", c.Now)
		return e.mill.SetNow(c.Now)
	case 16, 17:
		c.Serving = uint16(r.Uint32()) & c.Members
		script.say("serving", uint64(c.Serving))
		return e.mill.SetServing(c.Serving)
	case 18:
		c.MinMembers = r.IntN(5)
		script.say("minimum", uint64(c.MinMembers))
		return e.mill.SetMinMembers(c.MinMembers)
	case 19:
		// Who is known stays; members are taken out or back in.
		for c.Members = 0; c.Members == 0 && r.IntN(8) != 0; {
			c.Members = uint16(r.Uint32()|r.Uint32()) & 0b1111
		}
		for i := range c.Known {
			if c.Members>>i&1 != 0 {
				c.Known[i] = replica(i)
			}
		}
		c.Serving &= c.Members
		script.begin(c)
		return e.mill.Restore(c)
	case 20:
		e.epoch, c.Epoch = c.Epoch, 0
		script.begin(c)
		return e.mill.Restore(c)
	}
	return nil
}

// script is what led to a difference, in the form of bpf/testdata/regressions. A
// state begins it, and what was before does not matter then.
type script struct {
	bytes.Buffer
	frames int
}

func (s *script) begin(c *protocol.Coordinator) {
	if s == nil {
		return
	}
	state, err := json.Marshal(c)
	if err != nil {
		panic(err) // It has numbers and arrays only.
	}
	fmt.Fprintf(s, "start %s\n", state)
}

func (s *script) frame(frame []byte) {
	if s != nil {
		s.frames++
		fmt.Fprintf(s, "frame %x\n", frame)
	}
}

func (s *script) say(what string, value uint64) {
	switch {
	case s == nil:
	case what == "tick":
		fmt.Fprintln(s, what)
	default:
		fmt.Fprintln(s, what, value)
	}
}

// write leaves the script in a folder, from the last state that began anything.
func (s *script) write(dir string) (string, error) {
	text := s.Bytes()
	if i := bytes.LastIndex(text, []byte("start ")); i > 0 {
		text = text[i:]
	}
	path := filepath.Join(dir, "difference.txt")
	return path, os.WriteFile(path, text, 0o644)
}
