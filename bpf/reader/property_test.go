// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"testing"

	"pgregory.net/rapid"

	"dalio/protocol"
)

// walk takes a replica of the model and the program through the same actions. Its
// methods are the actions.
type walk struct {
	*rig
	keys []string
	// generation is that of the last id.
	generation int
	seq        uint64
}

func (w *walk) key(t *rapid.T) string { return rapid.SampledFrom(w.keys).Draw(t, "key") }

func (w *walk) message(t *rapid.T) protocol.Message {
	m := read(w.key(t), rapid.Uint64().Draw(t, "request"))
	m.Epoch, m.Replica = w.model.Epoch, w.model.ID
	return m
}

// HandleWrite puts or deletes some keys, sometimes late, sometimes more than a cell holds.
func (w *walk) HandleWrite(t *rapid.T) {
	for range rapid.IntRange(1, 6).Draw(t, "writes") {
		w.write(t)
	}
}

func (w *walk) write(t *rapid.T) {
	w.seq++
	key, size := w.key(t), rapid.SampledFrom([]int{0, 1, 7, 8, 30, 100, 300, 1000}).Draw(t, "size")
	m := put(key, string(rapid.SliceOfN(rapid.Byte(), size, size).Draw(t, "value")),
		protocol.Version{Epoch: w.model.Epoch, Seq: rapid.Uint64Range(max(1, w.seq-min(w.seq, 5)), w.seq).Draw(t, "seq")})
	m.Epoch, m.Replica, m.Writer = w.model.Epoch, w.model.ID, protocol.SessionID(rapid.Uint64().Draw(t, "writer"))
	if rapid.IntRange(0, 4).Draw(t, "delete") == 0 {
		m.Op, m.Value = protocol.OpDelete, nil
		m.Digest = protocol.Digest(m.Key, nil)
	}
	w.model.Handle(m)
}

// HandleRead compares the answers, to a read that may be for somebody else or
// damaged.
func (w *walk) HandleRead(t *rapid.T) {
	m := w.message(t)
	m.Attempt, m.Hops = rapid.Byte().Draw(t, "attempt"), rapid.Byte().Draw(t, "hops")
	m.Status = protocol.Status(rapid.Byte().Draw(t, "status"))
	switch rapid.IntRange(0, 12).Draw(t, "wrong") {
	case 0:
		m.Epoch += protocol.Epoch(rapid.Uint32Range(0, 2).Draw(t, "epoch") - 1)
	case 1:
		m.Replica ^= protocol.ReplicaID(rapid.SampledFrom([]uint32{1, 16, 48}).Draw(t, "id"))
	case 2:
		m.KeyHash ^= 1 << rapid.IntRange(0, 63).Draw(t, "bit")
	case 3:
		m.Key = []byte(w.key(t)) // Of another hash, most of the time.
	case 4:
		m.Type = protocol.MessageType(rapid.Byte().Draw(t, "type"))
	}
	frame := protocol.NewFrame(&m, coordinator, self)
	frame[15], frame[18], frame[20] = rapid.Byte().Draw(t, "tos"), rapid.Byte().Draw(t, "identification"), rapid.SampledFrom([]byte{0, 0x40}).Draw(t, "fragments")
	putChecksum(frame)
	if err := w.handle(frame); err != nil {
		t.Fatal(err)
	}
}

// Admit is what the process does when it has answered a read.
func (w *walk) Admit(t *rapid.T) {
	key := []byte(w.key(t))
	w.Table.Admit(key, w.records.Get(key))
}

// rarely says whether to do what ends a state that much was done to come to.
func rarely(t *rapid.T) bool { return rapid.IntRange(0, 7).Draw(t, "do it") == 0 }

// Assign, Fence, Open, Expel and Settle change the membership.
func (w *walk) Assign(t *rapid.T) {
	if rarely(t) || w.model.ID == 0 {
		w.join(t)
	}
}

func (w *walk) join(t *rapid.T) {
	w.generation++
	w.assign(protocol.ReplicaID(w.generation<<4|rapid.IntRange(0, 3).Draw(t, "index")), w.model.Epoch+protocol.Epoch(rapid.IntRange(0, 1).Draw(t, "later")))
}

func (w *walk) Fence(t *rapid.T) {
	if !rarely(t) {
		return
	}
	w.model.Fence(w.model.Epoch + protocol.Epoch(rapid.IntRange(0, 1).Draw(t, "later")))
	w.show()
}

func (w *walk) Open(*rapid.T) {
	w.model.Open(w.model.Epoch)
	w.show()
}

func (w *walk) Expel(t *rapid.T) {
	if rarely(t) {
		w.model.Expel(w.model.ID)
		w.show()
	}
}

func (w *walk) Settle(t *rapid.T) {
	v := protocol.Version{Epoch: w.model.Epoch, Seq: w.seq}
	w.model.Settle(w.model.Epoch, v, v)
}

// Check compares the answers of all keys.
func (w *walk) Check(t *rapid.T) {
	for _, key := range w.keys {
		m := read(key, 1)
		m.Epoch, m.Replica = w.model.Epoch, w.model.ID
		if err := w.handle(protocol.NewFrame(&m, coordinator, self)); err != nil {
			t.Fatalf("key %q: %v", key, err)
		}
	}
}

// TestConformance: on random states whatever the program answers is what the model
// answers, byte for byte, and what it does not answer is untouched.
func TestConformance(t *testing.T) {
	g := newRig(t, Options{})
	// More keys of one set than it has cells, others of all lengths, and prefixes.
	keys := append(sameSet(ways+3), "a", "ab", "abcdefg", "abcdefgh", "abcdefghi", "abcdefghijklmnop", string(make([]byte, protocol.MaxKeySize)))
	generation := 1
	rapid.Check(t, func(t *rapid.T) {
		w := &walk{rig: g, keys: keys, generation: generation, seq: 1}
		w.join(t)
		t.Repeat(rapid.StateMachineActions(w))
		generation = w.generation
	})
	t.Logf("%d answers compared", g.answered)
	if g.answered < 1000 {
		t.Errorf("only %d reads were answered by the program", g.answered)
	}
}
