// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"bytes"
	"encoding/binary"
	"slices"
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
	// counts is the counter that each run must add one to.
	counts func(*counterSet) uint64
	// leased has the clock be read, as where another coordinator could take over.
	leased bool
	// copied has the frame be a copy of a multicast, and the clone program run on it.
	copied bool
}

const benchSlot = 3

func counted(name string) func(*counterSet) uint64 {
	i := slices.Index(activityNames[:], name)
	return func(c *counterSet) uint64 { return c.Activities[i] }
}

func dropped(why protocol.Reason) func(*counterSet) uint64 {
	return func(c *counterSet) uint64 { return c.Drops[why] }
}

// handlerCases has each handler's ways that leave a frame so long as it was, as the
// kernel's repetitions need it.
func handlerCases() []handlerCase {
	session := protocol.MintSessionID(1, 1, benchSlot)
	version := protocol.Version{Epoch: 1, Seq: 7}
	word := func(acks uint64) uint64 { return 7<<protocol.MaxMembers | acks }
	toSelf := func(m protocol.Message, from protocol.Address) []byte { return protocol.NewFrame(&m, from, self) }

	ack := protocol.Message{Type: protocol.WriteAck, Epoch: 1, Replica: replica(1).ID, Version: version,
		Session: session, Writer: session, Request: 5, Client: client(0)}
	old, ofNobody, late := ack, ack, ack
	old.Epoch, old.Version.Epoch = 0, 0
	ofNobody.Replica += protocol.MaxMembers
	late.Version.Seq--
	reply := readRequest(5, "0123456789abcdef")
	reply.Type, reply.Op, reply.Epoch, reply.Replica = protocol.ReadReply, protocol.OpPut, 1, replica(1).ID
	reply.Version, reply.Writer, reply.Client = version, session, client(0)
	reply.Value = make([]byte, 64)
	// A gated reply loses its value, which happens once to a frame: a tombstone
	// has none.
	tombstone := reply
	tombstone.Op, tombstone.Value = protocol.OpDelete, nil
	read := toSelf(readRequest(5, "0123456789abcdef"), client(0))
	write := writeRequest(session, 5, "0123456789abcdef", string(make([]byte, 64)))
	stale := write
	stale.Request--
	open := protocol.Message{Type: protocol.OpenRequest, Request: 5}
	probe := protocol.Message{Type: protocol.Probe}
	multicast := write
	multicast.Type, multicast.Epoch, multicast.Version, multicast.Writer, multicast.Client = protocol.Write, 1, version, session, client(0)
	foreign, short := bytes.Clone(read), bytes.Clone(read)
	foreign[33]++ // The last byte of the IP address that it is for.
	short[39]--   // UDP's length.
	settled := word(committedAcks)
	return []handlerCase{
		{"HandleReadRequest/forwarded", read, settled, 0, xdpTransmit, counted("forwarded"), false, false},
		{"HandleReadRequest/forwarded, lease", read, settled, 0, xdpTransmit, counted("forwarded"), true, false},
		{"HandleReadReply/released", toSelf(reply, replica(1).Address), settled, 0, xdpTransmit, counted("released"), false, false},
		{"HandleReadReply/released, lease", toSelf(reply, replica(1).Address), settled, 0, xdpTransmit, counted("released"), true, false},
		{"HandleReadReply/gated", toSelf(tombstone, replica(1).Address), word(2), 0, xdpTransmit, counted("gated"), false, false},
		{"HandleWriteRequest/sequenced", toSelf(write, client(0)), 0, 1, xdpRedirect, counted("sequenced"), false, false},
		{"HandleWriteRequest/retried", toSelf(write, client(0)), word(2), 0, xdpRedirect, counted("retried"), false, false},
		{"clone, one copy of a write", toSelf(multicast, client(0)), word(0), 0, xdpPass, counted("clones"), false, true},
		{"HandleWriteRequest/stale", toSelf(stale, client(0)), settled, 0, xdpDrop, dropped(protocol.StaleRequest), false, false},
		{"HandleWriteAck/acknowledged", toSelf(ack, replica(1).Address), word(1), 0, xdpDrop, dropped(protocol.Acknowledged), false, false},
		{"HandleWriteAck/commit", toSelf(ack, replica(1).Address), word(5), 0, xdpTransmit, counted("commits"), false, false},
		{"HandleWriteAck/late", toSelf(ack, replica(1).Address), settled, 0, xdpDrop, dropped(protocol.LateAck), false, false},
		{"HandleWriteAck/of another write", toSelf(late, replica(1).Address), word(1), 0, xdpDrop, dropped(protocol.StaleAck), false, false},
		{"HandleWriteAck/of another epoch", toSelf(old, replica(1).Address), word(1), 0, xdpDrop, dropped(protocol.StaleEpoch), false, false},
		{"HandleWriteAck/of nobody", toSelf(ofNobody, replica(1).Address), word(1), 0, xdpDrop, dropped(protocol.UnknownReplica), false, false},
		{"HandleOpenRequest/opened", toSelf(open, client(0)), 0, 1, xdpTransmit, counted("opened"), false, false},
		{"probe, answered", toSelf(probe, client(0)), 0, 0, xdpTransmit, counted("probed"), false, false},
		{"frame of a wrong length", short, 0, 0, xdpDrop, dropped(protocol.BadLength), false, false},
		{"frame for another host", foreign, 0, 0, xdpPass, counted("passed"), false, false},
	}
}

// BenchmarkHandlers measures each handler as the kernel repeats it, without its
// preparation, in nanoseconds and as a multiple of an empty program.
func BenchmarkHandlers(b *testing.B) {
	for _, c := range handlerCases() {
		b.Run(c.name, func(b *testing.B) {
			m := newMeter(b, []handlerCase{c})
			m.measure(b, b.N)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(m.empty, "ns-empty")
			b.ReportMetric(m.costs()[0].Nanoseconds, "ns-net")
			b.ReportMetric(m.costs()[0].Times, "x-empty")
		})
	}
}

// loadEntries loads the test entries with the state that the case wants.
func loadEntries(t testing.TB, c handlerCase) *entryObjects {
	t.Helper()
	spec, err := loadEntriesSpec(Options{SessionTTL: testTTL})
	if err != nil {
		t.Fatal(err)
	}
	return loadEntriesOf(t, spec, c)
}

// loadEntriesOf does so from an object that may have been changed.
func loadEntriesOf(t testing.TB, spec *ebpf.CollectionSpec, c handlerCase) *entryObjects {
	t.Helper()
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
	setMembership(t, &entries, shard(3))
	if err := entries.EgressIfindex.Set(uint32(9)); err != nil {
		t.Fatal(err)
	}
	if err := entries.place(c); err != nil {
		t.Fatal(err)
	}
	return &entries
}

// place puts the case's frame and session where its runs find them. The other
// sessions are as nobody has opened them.
func (e *entryObjects) place(c handlerCase) error {
	session := protocol.MintSessionID(1, 1, benchSlot)
	request := writeRequest(session, 5, "0123456789abcdef", string(make([]byte, 64)))
	for slot := range uint32(testSlots) {
		var value sessionEntry
		if slot == benchSlot {
			value.set(protocol.SessionEntry{Owner: session, Request: 5, Seq: 7, Op: protocol.OpPut,
				KeyHash: request.KeyHash, Digest: request.Digest})
		}
		if err := e.Sessions.Put(slot, &value); err != nil {
			return err
		}
	}
	return e.Template.Set(template(c))
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

// loadEntriesSpec reads the test object and configures it as load does, with the
// tests' address and size.
func loadEntriesSpec(o Options) (*ebpf.CollectionSpec, error) {
	spec, err := loadEntry()
	if err != nil {
		return nil, err
	}
	o.Self, o.MaxSessions = self, testSlots
	return spec, configure(spec, o)
}
