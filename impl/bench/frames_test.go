// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"dalio/protocol"
)

const (
	xdpDrop     = 1
	xdpTransmit = 3
)

// booth runs the program of the surroundings on single frames, with one lane's
// request open.
type booth struct {
	around *Surroundings
	keys   [][]byte
	key    int
	lane   int
}

// newBooth has lane 5 wait for the answer to its request 7, when version 40 of
// its key was known to be committed.
func newBooth(t *testing.T, awaits protocol.MessageType) *booth {
	t.Helper()
	return newBoothFor(t, awaits, Versions)
}

// newBoothFor is newBooth for what is answered by who knows less.
func newBoothFor(t *testing.T, awaits protocol.MessageType, knows Knowledge) *booth {
	t.Helper()
	site, err := NewSite(testSettings(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(site.Close)
	around, err := Surround(site, knows)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeOrFail(t, around.Close) })
	b := &booth{around: around, keys: makeKeys(site.Settings.Keys, site.Settings.KeySize), key: 9, lane: 5}
	b.open(t, awaits)
	work := Work{Writes: 500}
	if knows == Nothing {
		work.Writes = 0
	}
	if err := around.Change(work, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	return b
}

// open opens the lane's request.
func (b *booth) open(t *testing.T, awaits protocol.MessageType) {
	t.Helper()
	lane := surroundingsLane{Key: uint32(b.key), Session: 77, Request: 7, Floor: 40, Awaits: uint32(awaits)}
	lane.Address = toPeer(protocol.Member{Address: client(b.lane)}).Address
	if err := b.around.objects.Lanes.Put(uint32(b.lane), &lane); err != nil {
		t.Fatal(err)
	}
}

func (b *booth) value() []byte { return makeValue(b.key, b.around.site.Settings.ValueSize) }

// run runs the program on one frame.
func (b *booth) run(t *testing.T, frame []byte) (uint32, []byte) {
	t.Helper()
	out := make([]byte, 2048)
	run := &ebpf.RunOptions{Data: frame, DataOut: out}
	verdict, err := b.around.objects.Surroundings.Run(run)
	if err != nil {
		t.Fatal(err)
	}
	return verdict, run.DataOut
}

// answer is the right answer to the open request.
func (b *booth) answer(of protocol.MessageType) protocol.Message {
	m := protocol.Message{Type: of, Op: protocol.OpPut, Status: protocol.StatusOK, Epoch: epoch, Session: 77, Request: 7,
		Version: protocol.Version{Epoch: epoch, Seq: 41}, Writer: 77,
		KeyHash: protocol.KeyHash(b.keys[b.key]), Digest: protocol.Digest(b.keys[b.key], b.value())}
	if of == protocol.ReadResponse {
		m.Key, m.Value, m.Replica = b.keys[b.key], b.value(), 16
	}
	return m
}

// TestRightAnswers makes the next request of the right answer, well-formed to the byte.
func TestRightAnswers(t *testing.T) {
	for _, awaits := range []protocol.MessageType{protocol.ReadResponse, protocol.WriteResponse} {
		b := newBooth(t, awaits)
		kinds := map[protocol.MessageType]int{}
		for i := range 64 {
			m := b.answer(awaits)
			if i > 0 {
				var lane surroundingsLane
				if err := b.around.objects.Lanes.Lookup(uint32(b.lane), &lane); err != nil {
					t.Fatal(err)
				}
				b.key, awaits = int(lane.Key), protocol.MessageType(lane.Awaits)
				m = b.answer(awaits)
				m.Request, m.Version.Seq = lane.Request, uint64(41+i)
			}
			verdict, out := b.run(t, protocol.NewFrame(&m, self(), client(b.lane)))
			if verdict != xdpTransmit {
				c := mustCount(t, b.around)
				t.Fatalf("answer %d of type %v: verdict %d, faults %v", i, m.Type, verdict, c.FaultsByName())
			}
			b.checkRequest(t, out, m.Request+1)
			kinds[mustDecode(t, out).Type]++
		}
		c := mustCount(t, b.around)
		if c.Operations() != 64 || kinds[protocol.ReadRequest] == 0 || kinds[protocol.WriteRequest] == 0 {
			t.Errorf("%d operations counted of 64; next requests: %v", c.Operations(), kinds)
		}
	}
}

// checkRequest compares a request with what the protocol's own encoder makes.
func (b *booth) checkRequest(t *testing.T, frame []byte, request uint64) {
	t.Helper()
	m := mustDecode(t, frame)
	var key int
	for i := range b.keys {
		if bytes.Equal(b.keys[i], m.Key) {
			key = i
		}
	}
	want := protocol.Message{Type: protocol.ReadRequest, Session: 77, Request: request, Key: b.keys[key],
		KeyHash: protocol.KeyHash(b.keys[key])}
	if m.Type == protocol.WriteRequest {
		want.Type, want.Op, want.Value = protocol.WriteRequest, protocol.OpPut, makeValue(key, b.around.site.Settings.ValueSize)
		want.Digest = protocol.Digest(want.Key, want.Value)
	}
	b.compare(t, frame, protocol.NewFrame(&want, client(b.lane), self()))
}

// compare compares frames but for the bit that says not to fragment, and what
// the checksum has of it.
func (b *booth) compare(t *testing.T, got, want []byte) {
	t.Helper()
	const fragment, checksum = 20, 24
	if got[fragment] != 0x40 || !validChecksum(got[14:34]) {
		t.Errorf("bad IP header: %x", got[14:34])
	}
	got = bytes.Clone(got)
	got[fragment] = 0
	copy(got[checksum:], want[checksum:checksum+2])
	if !bytes.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
}

func validChecksum(header []byte) bool {
	var sum uint32
	for i := 0; i < len(header); i += 2 {
		sum += uint32(header[i])<<8 | uint32(header[i+1])
	}
	return (sum&0xFFFF + sum>>16) == 0xFFFF
}

// wrongAnswers are what makes an answer wrong.
var wrongAnswers = map[string]func(*protocol.Message, *protocol.Address){
	"busy":             func(m *protocol.Message, _ *protocol.Address) { m.Status = protocol.StatusBusy },
	"expired":          func(m *protocol.Message, _ *protocol.Address) { m.Status = protocol.StatusExpired },
	"other request":    func(m *protocol.Message, _ *protocol.Address) { m.Request-- },
	"other session":    func(m *protocol.Message, _ *protocol.Address) { m.Session++ },
	"other type":       func(m *protocol.Message, _ *protocol.Address) { m.Type = 10 - m.Type },
	"other key":        func(m *protocol.Message, _ *protocol.Address) { m.KeyHash++ },
	"other epoch":      func(m *protocol.Message, _ *protocol.Address) { m.Epoch++ },
	"address left in":  func(m *protocol.Message, _ *protocol.Address) { m.Client = client(1) },
	"older version":    func(m *protocol.Message, _ *protocol.Address) { m.Version.Seq = 39 },
	"surplus bytes":    func(m *protocol.Message, _ *protocol.Address) { m.Value = append(m.Value, 1) },
	"other port":       func(_ *protocol.Message, to *protocol.Address) { to.Port++ },
	"other host":       func(_ *protocol.Message, to *protocol.Address) { to.IP[3]++ },
	"no response":      func(m *protocol.Message, _ *protocol.Address) { m.Type = protocol.WriteAck },
	"no such replica":  func(m *protocol.Message, _ *protocol.Address) { m.Type, m.Replica = protocol.Read, 99 },
	"not to a replica": func(m *protocol.Message, _ *protocol.Address) { m.Type, m.Replica = protocol.Write, 16 },
}

// TestWrongAnswers counts none of them as an operation, and each as a fault.
func TestWrongAnswers(t *testing.T) {
	b, wrong := newBooth(t, protocol.ReadResponse), uint64(0)
	for name, change := range wrongAnswers {
		for _, awaits := range []protocol.MessageType{protocol.ReadResponse, protocol.WriteResponse} {
			b.open(t, awaits)
			m, to := b.answer(awaits), client(b.lane)
			change(&m, &to)
			verdict, _ := b.run(t, protocol.NewFrame(&m, self(), to))
			wrong++
			c := mustCount(t, b.around)
			if verdict != xdpDrop || c.Operations() != 0 || sumOf(c.FaultsByName()) != wrong {
				t.Errorf("%s, %v: verdict %d, %d operations, faults %v", name, awaits, verdict, c.Operations(), c.FaultsByName())
			}
		}
	}
}

// TestWrongReads has what only the answer to a read can get wrong.
func TestWrongReads(t *testing.T) {
	for name, change := range map[string]func(*protocol.Message){
		"digest":   func(m *protocol.Message) { m.Digest++ },
		"no value": func(m *protocol.Message) { m.Value = nil },
		"no key":   func(m *protocol.Message) { m.Key = nil },
		"absent":   func(m *protocol.Message) { m.Op, m.Value, m.Version = protocol.OpNone, nil, protocol.Version{} },
	} {
		b := newBooth(t, protocol.ReadResponse)
		m := b.answer(protocol.ReadResponse)
		change(&m)
		verdict, _ := b.run(t, protocol.NewFrame(&m, self(), client(b.lane)))
		if c := mustCount(t, b.around); verdict != xdpDrop || c.Operations() != 0 {
			t.Errorf("%s: verdict %d, %d operations", name, verdict, c.Operations())
		}
	}
}

// TestOutOfTurn refuses answers that would be right for another request.
func TestOutOfTurn(t *testing.T) {
	for _, awaits := range []protocol.MessageType{protocol.ReadResponse, protocol.WriteResponse} {
		b := newBooth(t, awaits)
		m := b.answer(protocol.ReadResponse + protocol.WriteResponse - awaits)
		if verdict, _ := b.run(t, protocol.NewFrame(&m, self(), client(b.lane))); verdict != xdpDrop {
			t.Errorf("awaiting %v: verdict %d of %v", awaits, verdict, m.Type)
		}
	}
	// A write must be newer than what was committed before, not only as new.
	b := newBooth(t, protocol.WriteResponse)
	m := b.answer(protocol.WriteResponse)
	m.Version.Seq = 40
	if verdict, _ := b.run(t, protocol.NewFrame(&m, self(), client(b.lane))); verdict != xdpDrop {
		t.Errorf("a write of a version that was there before: verdict %d", verdict)
	}
	// An earlier membership of replica 0, at its address.
	b = newBooth(t, protocol.ReadResponse)
	member := b.around.site.Settings.members()[0]
	read := protocol.Message{Type: protocol.Read, Epoch: epoch, Replica: member.ID + 16, Key: b.keys[b.key],
		KeyHash: protocol.KeyHash(b.keys[b.key])}
	if verdict, _ := b.run(t, protocol.NewFrame(&read, self(), member.Address)); verdict != xdpDrop {
		t.Errorf("a read addressed to another id: verdict %d", verdict)
	}
}

// TestVersionsAdvance judges an answer by the versions in all answers before it.
func TestVersionsAdvance(t *testing.T) {
	b := newBooth(t, protocol.WriteResponse)
	first := b.answer(protocol.WriteResponse)
	first.Version.Seq = 90
	b.run(t, protocol.NewFrame(&first, self(), client(b.lane)))
	// Have the lane ask for the same key again, after which 90 is its floor.
	second := *b
	for request := first.Request + 1; ; request++ {
		var lane surroundingsLane
		if err := b.around.objects.Lanes.Lookup(uint32(b.lane), &lane); err != nil {
			t.Fatal(err)
		}
		second.key = int(lane.Key)
		m := second.answer(protocol.MessageType(lane.Awaits))
		m.Request, m.Version.Seq = request, 89
		verdict, _ := b.run(t, protocol.NewFrame(&m, self(), client(b.lane)))
		if second.key == b.key {
			if verdict != xdpDrop {
				t.Errorf("version 89 after version 90: verdict %d", verdict)
			}
			return
		}
		if verdict != xdpTransmit {
			// The other keys' own versions stand at 89 once they were written.
			m.Version.Seq = request + 100
			if verdict, _ = b.run(t, protocol.NewFrame(&m, self(), client(b.lane))); verdict != xdpTransmit {
				t.Fatalf("request %d: verdict %d", request, verdict)
			}
		}
	}
}

// TestReplicas compares what the replicas answer with the reference model.
func TestReplicas(t *testing.T) {
	b := newBooth(t, protocol.ReadResponse)
	member := b.around.site.Settings.members()[1]
	replica := protocol.Replica{ID: member.ID, Epoch: epoch, Store: protocol.MemoryStore{}}
	message := func(of protocol.MessageType, seq uint64) protocol.Message {
		m := protocol.Message{Type: of, Epoch: epoch, Replica: member.ID, Session: 77, Request: 8, Client: client(b.lane),
			Key: b.keys[b.key], KeyHash: protocol.KeyHash(b.keys[b.key])}
		if of == protocol.Write {
			m.Op, m.Value, m.Digest = protocol.OpPut, b.value(), protocol.Digest(m.Key, b.value())
			m.Version, m.Writer = protocol.Version{Epoch: epoch, Seq: seq}, 77
		}
		return m
	}
	// Before any write, after one, after a newer and after an older one.
	for _, m := range []protocol.Message{
		message(protocol.Read, 0), message(protocol.Write, 50), message(protocol.Read, 0),
		message(protocol.Write, 60), message(protocol.Read, 0), message(protocol.Write, 55), message(protocol.Read, 0),
	} {
		want, refusal := replica.Handle(m)
		if refusal != protocol.NotRefused {
			t.Fatalf("the model refuses %v: %v", m.Type, refusal)
		}
		verdict, out := b.run(t, protocol.NewFrame(&m, self(), member.Address))
		if verdict != xdpTransmit {
			t.Fatalf("%v: verdict %d", m.Type, verdict)
		}
		b.compare(t, out, protocol.NewFrame(&want, member.Address, self()))
	}
}
