// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"

	"dalio/protocol"
)

var (
	self        = protocol.Address{IP: [4]byte{10, 0, 0, 2}, Port: protocol.Port, MAC: [6]byte{2, 0, 0, 0, 0, 2}}
	coordinator = protocol.Address{IP: [4]byte{10, 0, 0, 1}, Port: protocol.Port, MAC: [6]byte{2, 0, 0, 0, 0, 1}}
	selfAddr    = netip.AddrPortFrom(netip.AddrFrom4(self.IP), self.Port)
)

// rig is a replica of the model beside the program and its table.
type rig struct {
	*Reader
	model    protocol.Replica
	records  protocol.MemoryStore
	answered int
}

// newRig loads the program; a table of the smallest size unless told otherwise.
func newRig(t testing.TB, o Options) *rig {
	t.Helper()
	spec, err := loadReader()
	if err != nil {
		t.Fatal(err)
	}
	r := &Reader{}
	return rigOf(t, r, spec, o, &r.objects)
}

// rigOf loads a program into what has r.objects in it.
func rigOf(t testing.TB, r *Reader, spec *ebpf.CollectionSpec, o Options, objects any) *rig {
	t.Helper()
	o.Address, o.MAC = selfAddr, self.MAC
	if o.Keys == 0 {
		o.Keys = MinKeys
	}
	if err := r.load(spec, o, objects); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	g := &rig{Reader: r, records: protocol.MemoryStore{}}
	g.model = protocol.Replica{Store: g}
	g.assign(16, 1)
	return g
}

// Get and Put make the rig the model's store, in which what the table says is
// replaced together with the record.
func (g *rig) Get(key []byte) protocol.Record { return g.records.Get(key) }

func (g *rig) Put(key []byte, r protocol.Record) {
	g.records.Put(key, r)
	g.Table.Put(key, r)
}

// show tells the program what the model is a member of.
func (g *rig) show() {
	if g.model.Fenced {
		g.View(0, 0)
		return
	}
	g.View(g.model.Epoch, g.model.ID)
}

func (g *rig) assign(id protocol.ReplicaID, e protocol.Epoch) {
	if e < g.model.Epoch {
		return
	}
	clear(g.records)
	g.Begin(id)
	g.model.Assign(id, e, protocol.Version{})
	g.show()
}

func read(key string, request uint64) protocol.Message {
	k := []byte(key)
	return protocol.Message{Type: protocol.Read, Epoch: 1, Replica: 16, Session: 0x10001000003, Request: request,
		KeyHash: protocol.KeyHash(k), Sent: 99, Client: protocol.Address{IP: [4]byte{10, 0, 0, 9}, Port: 5, MAC: [6]byte{2, 9}}, Key: k}
}

func put(key, value string, v protocol.Version) protocol.Message {
	k := []byte(key)
	return protocol.Message{Type: protocol.Write, Op: protocol.OpPut, Epoch: 1, Replica: 16, Version: v, Session: 7, Writer: 7, Request: v.Seq,
		KeyHash: protocol.KeyHash(k), Digest: protocol.Digest(k, []byte(value)), Key: k, Value: []byte(value)}
}

func (g *rig) put(t testing.TB, key, value string, v protocol.Version) {
	t.Helper()
	m := put(key, value, v)
	m.Epoch, m.Replica = g.model.Epoch, g.model.ID
	if _, refused := g.model.Handle(m); refused != protocol.NotRefused {
		t.Fatalf("the model refuses a write: %v", refused)
	}
}

// expected returns the frame with which the model answers one, nil for none: like
// the coordinator, from the frame it is an answer to, and from the replica.
func (g *rig) expected(frame []byte) []byte {
	var m protocol.Message
	if m.Unmarshal(frame[protocol.FrameOverhead:]) != nil {
		return nil
	}
	answer, refused := g.model.Handle(m)
	if refused != protocol.NotRefused {
		return nil
	}
	to := protocol.Address{MAC: [6]byte(frame[6:]), IP: [4]byte(frame[26:]), Port: binary.BigEndian.Uint16(frame[34:])}
	out := protocol.NewFrame(&answer, self, to)
	out[15] = frame[15]            // type of service
	copy(out[18:22], frame[18:22]) // identification, fragment bits
	copy(out[24:26], []byte{0, 0}) // the checksum covers them
	putChecksum(out)
	return out
}

// putChecksum makes the checksum of a frame's IPv4 header right.
func putChecksum(frame []byte) {
	copy(frame[24:26], []byte{0, 0})
	var sum uint32
	for i := 14; i < 34; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(frame[i:]))
	}
	for sum > 0xFFFF {
		sum = sum>>16 + sum&0xFFFF
	}
	binary.BigEndian.PutUint16(frame[24:], ^uint16(sum))
}

// handle runs the program on a frame and compares: an answer must be the model's,
// and what is left to the process must be the frame as it came.
func (g *rig) handle(frame []byte) error {
	answer, passed, err := g.Run(frame)
	switch {
	case err != nil:
		return err
	case answer == nil && !bytes.Equal(passed, frame):
		return fmt.Errorf("the frame was changed and then left to the process:\n% x, before\n% x", passed, frame)
	case answer == nil:
		return nil
	}
	g.answered++
	if want := g.expected(frame); !bytes.Equal(answer, want) {
		return fmt.Errorf("answer\n% x, the model says\n% x", answer, want)
	}
	return nil
}

// mustAnswer fails the test if the program leaves a read to the process, or answers
// another one than the model.
func (g *rig) mustAnswer(t testing.TB, m protocol.Message) {
	t.Helper()
	before := g.answered
	if err := g.handle(protocol.NewFrame(&m, coordinator, self)); err != nil {
		t.Fatal(err)
	}
	if g.answered == before {
		t.Fatalf("the read of %q was left to the process: %v", m.Key, g.fates(t))
	}
}

// mustPass fails the test unless the program leaves a message to the process, for
// that reason.
func (g *rig) mustPass(t testing.TB, m protocol.Message, reason string) {
	t.Helper()
	g.mustPassFrame(t, protocol.NewFrame(&m, coordinator, self), reason)
}

func (g *rig) mustPassFrame(t testing.TB, frame []byte, reason string) {
	t.Helper()
	before, answered := g.fates(t), g.answered
	if err := g.handle(frame); err != nil {
		t.Fatal(err)
	}
	after := g.fates(t)
	if g.answered != answered || reason != "" && after[reason] != before[reason]+1 {
		t.Fatalf("answered %d more; the counters were %v and are %v, want one more %q", g.answered-answered, before, after, reason)
	}
}

func (g *rig) fates(t testing.TB) map[string]uint64 {
	t.Helper()
	answered, passed, err := g.Fates()
	if err != nil {
		t.Fatal(err)
	}
	passed["none"] = answered
	return passed
}
