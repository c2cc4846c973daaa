// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/cilium/ebpf"

	"dalio/protocol"
)

// handlerCase is one way through a handler: a frame, and the session slot as the
// frame finds it at each run.
type handlerCase struct {
	name  string
	frame []byte
	// word of the session before each run; 0: its last write, committed.
	word uint64
	// step is added to the request id at each run.
	step uint16
	want uint32
}

const benchSlot = 3

func handlerCases() []handlerCase {
	session := protocol.MintSessionID(1, 1, benchSlot)
	version := protocol.Version{Epoch: 1, Seq: 7}
	word := func(acks uint64) uint64 { return 7<<protocol.MaxMembers | acks }
	toSelf := func(m protocol.Message, from protocol.Address) []byte { return protocol.NewFrame(&m, from, self) }

	ack := protocol.Message{Type: protocol.WriteAck, Epoch: 1, Replica: replica(1).ID, Version: version,
		Session: session, Writer: session, Request: 5, Client: client(0)}
	reply := readRequest(5, "0123456789abcdef")
	reply.Type, reply.Op, reply.Epoch, reply.Replica = protocol.ReadReply, protocol.OpPut, 1, replica(1).ID
	reply.Version, reply.Writer, reply.Client = version, session, client(0)
	reply.Value = make([]byte, 64)
	// A gated reply loses its value, which happens once to a frame: a tombstone
	// has none.
	tombstone := reply
	tombstone.Op, tombstone.Value = protocol.OpDelete, nil
	write := writeRequest(session, 5, "0123456789abcdef", string(make([]byte, 64)))
	return []handlerCase{
		{"ReadRequest", toSelf(readRequest(5, "0123456789abcdef"), client(0)), word(committedAcks), 0, xdpTransmit},
		{"ReadReply/released", toSelf(reply, replica(1).Address), word(committedAcks), 0, xdpTransmit},
		{"ReadReply/gated", toSelf(tombstone, replica(1).Address), word(2), 0, xdpTransmit},
		{"WriteRequest/new", toSelf(write, client(0)), 0, 1, xdpRedirect},
		{"WriteRequest/retry", toSelf(write, client(0)), word(2), 0, xdpRedirect},
		{"WriteAck/acknowledged", toSelf(ack, replica(1).Address), word(1), 0, xdpDrop},
		{"WriteAck/commit", toSelf(ack, replica(1).Address), word(5), 0, xdpTransmit},
	}
}

// BenchmarkHandlers measures each handler as the kernel repeats it, without its
// preparation, in nanoseconds and as a multiple of an empty program.
func BenchmarkHandlers(b *testing.B) {
	for _, c := range handlerCases() {
		b.Run(c.name, func(b *testing.B) {
			entries := loadEntries(b, c)
			const repeat = 100_000
			measure := func(p *ebpf.Program, want uint32) float64 {
				verdict, each, err := p.Benchmark(c.frame, repeat, nil)
				if err != nil || verdict != want {
					b.Fatalf("%v: verdict %d, want %d: %v", p, verdict, want, err)
				}
				return float64(each)
			}
			// The least of many samples is what other work on the machine
			// disturbed least.
			empty, prepared, whole := math.Inf(1), math.Inf(1), math.Inf(1)
			for range b.N {
				empty = min(empty, measure(entries.Empty, xdpPass))
				prepared = min(prepared, measure(entries.PrepareOnly, xdpPass))
				whole = min(whole, measure(entries.PrepareAndCoordinate, c.want))
			}
			net := whole - prepared
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(empty, "ns-empty")
			b.ReportMetric(net, "ns-net")
			b.ReportMetric((net+empty)/empty, "x-empty")
		})
	}
}

// loadEntries loads the test entries with the state that the case wants.
func loadEntries(t testing.TB, c handlerCase) *entryObjects {
	t.Helper()
	spec, err := loadEntriesSpec()
	if err != nil {
		t.Fatal(err)
	}
	var entries entryObjects
	if err := spec.LoadAndAssign(&entries, nil); err != nil {
		t.Fatal(ExplainLoad(err))
	}
	t.Cleanup(func() {
		for name, program := range map[string]*ebpf.Program{"clone_entry": entries.CloneEntry, "clone_astray": entries.CloneAstray} {
			if stats, err := program.Stats(); err == nil {
				runs[name] += stats.RunCount
			}
		}
		entries.Close()
	})

	model := shard(3)
	session := protocol.MintSessionID(1, 1, benchSlot)
	request := writeRequest(session, 5, "0123456789abcdef", string(make([]byte, 64)))
	entry := protocol.SessionEntry{Owner: session, Request: 5, Seq: 7, Op: protocol.OpPut,
		KeyHash: request.KeyHash, Digest: request.Digest}
	var value sessionEntry
	value.set(entry)
	if err := entries.Sessions.Put(uint32(benchSlot), &value); err != nil {
		t.Fatal(err)
	}
	setMembership(t, &entries, model)
	for v, value := range map[*ebpf.Variable]any{
		entries.EgressIfindex: uint32(9),
		entries.Template:      template(c),
	} {
		if err := v.Set(value); err != nil {
			t.Fatal(err)
		}
	}
	return &entries
}

func setMembership(t testing.TB, entries *entryObjects, c *protocol.Coordinator) {
	t.Helper()
	var memberships [2]membership
	for i := range memberships {
		memberships[i].Epoch, memberships[i].Members = uint32(c.Epoch), c.Members
		memberships[i].setKnown(c.Known)
		memberships[i].setServing(c.Serving)
	}
	if err := entries.Memberships.Set(memberships); err != nil {
		t.Fatal(err)
	}
}

// template lays the frame out as struct template in entries_test.bpf.c wants it.
func template(c handlerCase) []byte {
	out := make([]byte, 0, 152)
	out = append(out, c.frame[protocol.FrameOverhead:][:protocol.HeaderSize]...)
	out = append(out, c.frame[14:34]...)
	out = append(out, c.frame[34:42]...)
	out = append(out, c.frame[0:14]...)
	out = binary.NativeEndian.AppendUint16(out, c.step)
	out = binary.NativeEndian.AppendUint32(out, benchSlot)
	return binary.NativeEndian.AppendUint64(out, c.word)
}

// loadEntriesSpec reads the test object and configures it as load does.
func loadEntriesSpec() (*ebpf.CollectionSpec, error) {
	spec, err := loadEntry()
	if err != nil {
		return nil, err
	}
	return spec, configure(spec, Options{Self: self, MaxSessions: testSlots, SessionTTL: testTTL})
}
