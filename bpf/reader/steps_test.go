// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"dalio/protocol"
)

const (
	// points are those at which the program lets the process take steps, and
	// processSteps how many steps that takes in all: see steps_test.bpf.c.
	points       = 6
	processSteps = 7
)

// stepped is a program with the process's steps between its own.
type stepped struct {
	*readerObjects
	Until         *ebpf.Variable `ebpf:"until"`
	Taken         *ebpf.Variable `ebpf:"taken"`
	IndexOfSet    *ebpf.Variable `ebpf:"index_of_set"`
	Way           *ebpf.Variable `ebpf:"way"`
	Written       *ebpf.Variable `ebpf:"written"`
	NextView      *ebpf.Variable `ebpf:"next_view"`
	MembershipToo *ebpf.Variable `ebpf:"membership_too"`
}

// orders calls for every order of the two's steps: how many steps the process has
// taken when the program comes to each point.
func orders(visit func(until [points]uint8)) {
	var until [points]uint8
	var choose func(point int, from uint8)
	choose = func(point int, from uint8) {
		if point == points {
			visit(until)
			return
		}
		for n := from; n <= processSteps; n++ {
			until[point] = n
			choose(point+1, n)
		}
	}
	choose(0, 0)
}

// cellOf returns the bytes of a key's cell.
func (g *rig) cellOf(t *testing.T, key []byte) (memory []byte, way int) {
	t.Helper()
	hash := protocol.KeyHash(key)
	way, held := g.find(hash, key)
	if !held {
		t.Fatalf("%q is not in the table", key)
	}
	return g.set(hash)[headSize+way*(cellSize+g.room):][:cellSize+g.room], way
}

// change is a record that takes another one's place, and how that is written.
type change struct {
	before, after         []byte
	beforeWant, afterWant []byte
}

// prepare has the program answer a read before and after a change, of the record and
// perhaps of the epoch.
func (g *rig) prepare(t *testing.T, s *stepped, membership bool, frame []byte) (c change) {
	t.Helper()
	key := []byte("a key")
	g.put(t, string(key), strings.Repeat("a", 150), v(1))
	memory, way := g.cellOf(t, key)
	c.before, c.beforeWant = bytes.Clone(memory), g.expected(frame)
	next := v(2)
	if membership {
		g.model.Fence(2)
		g.model.Open(2)
		next = protocol.Version{Epoch: 2, Seq: 1}
	}
	g.put(t, string(key), strings.Repeat("b", 200), next)
	c.after, c.afterWant = bytes.Clone(memory), g.expected(frame)
	words := make([]uint64, len(c.after)/8)
	for i := range words {
		words[i] = binary.NativeEndian.Uint64(c.after[i*8:])
	}
	for variable, value := range map[*ebpf.Variable]any{s.Written: words, s.Way: uint32(way), s.MembershipToo: uint32(btoi(membership)),
		s.IndexOfSet: uint32(protocol.KeyHash(key) & g.mask), s.NextView: []byte{0, 0, 0, byte(g.model.Epoch), 0, 0, 0, byte(g.model.ID)}} {
		if err := variable.Set(value); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestEveryInterleaving: whatever steps of a change come between which steps of the
// program, an answer is the model's from before the change or from after it. Where an
// epoch ends in between, an answer in that epoch is from before, and one in the next
// from after.
func TestEveryInterleaving(t *testing.T) {
	for _, c := range []struct {
		what       string
		membership bool
		asked      protocol.Epoch
	}{
		{"a write", false, 1},
		{"an epoch ends", true, 1},
		{"an epoch begins", true, 2},
	} {
		t.Run(c.what, func(t *testing.T) {
			spec, err := loadSteps()
			if err != nil {
				t.Fatal(err)
			}
			r := &Reader{}
			s := &stepped{readerObjects: &r.objects}
			g := rigOf(t, r, spec, Options{Room: DefaultRoom}, s)
			m := read("a key", 1)
			m.Epoch = c.asked
			frame := protocol.NewFrame(&m, coordinator, self)
			change := g.prepare(t, s, c.membership, frame)
			memory, _ := g.cellOf(t, m.Key)
			before, after, passed := 0, 0, 0
			orders(func(until [points]uint8) {
				copy(memory, change.before)
				g.View(1, 16)
				for variable, value := range map[*ebpf.Variable]any{s.Until: until, s.Taken: uint32(0)} {
					if err := variable.Set(value); err != nil {
						t.Fatal(err)
					}
				}
				answer, _, err := g.Run(frame)
				switch {
				case err != nil:
					t.Fatal(err)
				case answer == nil:
					passed++
				case bytes.Equal(answer, change.beforeWant):
					before++
				case bytes.Equal(answer, change.afterWant):
					after++
				default:
					t.Fatalf("steps of the process before each of the program's: %v; the answer is\n% x, the model says\n% x before and\n% x after", until,
						answer, change.beforeWant, change.afterWant)
				}
				none := until == [points]uint8{} && c.asked == 1
				all := until[0] == processSteps && (c.asked == 2 || !c.membership)
				if answer == nil && (none || all) {
					t.Fatalf("steps %v: no answer, though nothing changed meanwhile", until)
				}
			})
			t.Logf("of %d orders %d were answered from before, %d from after", before+after+passed, before, after)
			if (c.asked == 1) != (before > 0) || (!c.membership || c.asked == 2) != (after > 0) || passed == 0 {
				t.Errorf("%d answers from before, %d from after, %d left to the process", before, after, passed)
			}
		})
	}
}
