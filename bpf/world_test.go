// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"fmt"
	"math/bits"
	"slices"

	"pgregory.net/rapid"

	"dalio/protocol"
)

// world is a shard in which only the coordinator is bytecode: replicas and
// clients are those of package protocol, and the network is a few bags from
// which the test takes messages in any order, again and again, or never.
//
// Its exported methods are the actions that rapid chooses from; those that the
// specification has bear its names.
type world struct {
	dp *DataPlane
	// model is compared with the bytecode after each frame, unless it is nil.
	model *protocol.Coordinator
	// start is the state at the beginning, and script what came after it.
	start  *protocol.Coordinator
	script []string

	replicas [protocol.MaxMembers]*protocol.Replica
	lanes    [4]lane
	requests uint64
	members  uint16
	closed   bool
	now      uint64

	toCoordinator, toClient [][]byte
	toReplica               []protocol.Message
	past                    [][]byte

	// judge is asked about each frame of a correct sender, unless it is nil.
	judge *judge
	// witness is told what became of each frame, unless it is nil, and may complain.
	witness func(frame []byte, got protocol.Outcome) string
	// crossroads is nil for a coordinator with one device.
	crossroads *crossroads
}

// lane is one session of a client with its own address.
type lane struct {
	session *protocol.Session
	open    bool
}

const (
	maxBag = 48
	keys   = 3
)

// newWorld puts the state into the data plane.
func newWorld(t *rapid.T, dp *DataPlane, start *protocol.Coordinator) *world {
	w := &world{dp: dp, start: start, members: start.Members}
	for i, known := range start.Known {
		w.replicas[i] = &protocol.Replica{ID: known.ID, Epoch: start.Epoch, Store: protocol.MemoryStore{}}
	}
	// Some sessions are open already, or opening them would be most of a run.
	for i := range w.lanes {
		w.lanes[i].session = &protocol.Session{}
		if slot := 3 * i; rapid.IntRange(0, 3).Draw(t, "opened") != 3 {
			id := protocol.MintSessionID(start.Epoch&0xFFFFFF, 1, slot)
			start.Sessions[slot] = protocol.SessionEntry{Owner: id, Nonce: uint64(slot), Tick: start.Tick}
			w.lanes[i].session.ID = id
			if rapid.IntRange(0, 3).Draw(t, "recovered") == 3 {
				start.Sessions[slot], w.lanes[i].session.ID = recovered(t, start, slot)
			}
		}
	}
	if err := dp.Restore(start); err != nil {
		t.Fatal(err)
	}
	return w
}

// recovered returns what a new epoch finds in a slot, and a session of an earlier
// one: that which wrote last, or a later one of which nothing is known.
func recovered(t *rapid.T, c *protocol.Coordinator, slot int) (e protocol.SessionEntry, s protocol.SessionID) {
	before := (c.Epoch - 1) & 0xFFFFFF
	if rapid.Bool().Draw(t, "wrote") {
		m := writeRequest(0, 0, "a", "v1")
		e = protocol.SessionEntry{Owner: protocol.MintSessionID(before, 3, slot), Request: 1, Op: m.Op, KeyHash: m.KeyHash,
			Digest: m.Digest, Settled: protocol.Version{Epoch: before, Seq: 77}, Tick: c.Tick}
	}
	return e, protocol.MintSessionID(before, uint16(rapid.IntRange(3, 4).Draw(t, "count")), slot)
}

// pick draws one of the items, counted from the last: rapid shrinks towards 0,
// and what came last depends least on the steps that shrinking leaves out.
func pick[T any](t *rapid.T, from []T, label string) (int, T) {
	if len(from) == 0 {
		t.Skip("nothing there")
	}
	i := len(from) - 1 - rapid.IntRange(0, len(from)-1).Draw(t, label)
	return i, from[i]
}

// add puts something into a bag. A full bag loses its oldest.
func add[T any](bag *[]T, item T) {
	*bag = append(*bag, item)
	if len(*bag) > maxBag {
		*bag = (*bag)[1:]
	}
}

// take chooses one of the items that fit. In one case of four it stays in the
// bag, and comes once more.
func take[T any](t *rapid.T, bag *[]T, fits func(T) bool) T {
	var places []int
	for i, item := range *bag {
		if fits(item) {
			places = append(places, i)
		}
	}
	_, place := pick(t, places, "message")
	item := (*bag)[place]
	if rapid.IntRange(0, 3).Draw(t, "duplicate") != 3 {
		*bag = slices.Delete(*bag, place, place+1)
	}
	return item
}

func frameType(frame []byte) protocol.MessageType {
	return protocol.MessageType(frame[protocol.FrameOverhead+3])
}

// deliver hands a frame of the type, as some sender made it, to the coordinator.
func (w *world) deliver(t *rapid.T, kind protocol.MessageType) {
	frame := take(t, &w.toCoordinator, func(f []byte) bool { return frameType(f) == kind })
	add(&w.past, frame)
	w.route(t, w.handle(t, frame))
}

// route puts what the coordinator sent where it goes. An answer to a forged
// address reaches nobody.
func (w *world) route(t *rapid.T, out protocol.Outcome) {
	switch out.Verdict {
	case protocol.Multicast:
		m := mustDecode(t, out.Frame)
		for set := out.Targets; set != 0; set &= set - 1 {
			m.Replica = w.replicas[bits.TrailingZeros16(set)].ID
			add(&w.toReplica, m)
		}
	case protocol.Transmit:
		switch m := mustDecode(t, out.Frame); {
		case m.Type == protocol.Read || m.Type == protocol.Write:
			add(&w.toReplica, m)
		case out.Frame[33] >= 100 && int(out.Frame[33]) < 100+len(w.lanes):
			add(&w.toClient, out.Frame)
		}
	}
}

// HandleOpenRequest and the four after it are the coordinator's actions.
func (w *world) HandleOpenRequest(t *rapid.T)  { w.deliver(t, protocol.OpenRequest) }
func (w *world) HandleWriteRequest(t *rapid.T) { w.deliver(t, protocol.WriteRequest) }
func (w *world) HandleWriteAck(t *rapid.T)     { w.deliver(t, protocol.WriteAck) }
func (w *world) HandleReadRequest(t *rapid.T)  { w.deliver(t, protocol.ReadRequest) }
func (w *world) HandleReadReply(t *rapid.T)    { w.deliver(t, protocol.ReadReply) }

// HandleWrite and HandleRead are the replicas' actions.
func (w *world) HandleWrite(t *rapid.T) { w.answer(t, protocol.Write) }
func (w *world) HandleRead(t *rapid.T)  { w.answer(t, protocol.Read) }

// ProbeReplica has a replica asked by the control plane, and TellProbe has the
// coordinator get the answer. ProbeCoordinator asks the coordinator itself.
func (w *world) ProbeReplica(t *rapid.T) {
	i := rapid.IntRange(0, 3).Draw(t, "replica")
	m := protocol.Message{Type: protocol.Probe, Replica: w.replicas[i].ID, Sent: w.now}
	answer, _ := w.replicas[i].Handle(m)
	add(&w.toCoordinator, protocol.NewFrame(&answer, w.start.Known[i].Address, self))
}

func (w *world) TellProbe(t *rapid.T) { w.deliver(t, protocol.ProbeReply) }

func (w *world) ProbeCoordinator(t *rapid.T) {
	w.send(0, protocol.Message{Type: protocol.Probe, Request: w.requests, Sent: 5})
	w.deliver(t, protocol.Probe)
}

func (w *world) answer(t *rapid.T, kind protocol.MessageType) {
	m := take(t, &w.toReplica, func(m protocol.Message) bool { return m.Type == kind })
	index := m.Replica.Index()
	answer, refused := w.replicas[index].Handle(m)
	if refused == protocol.NotRefused {
		add(&w.toCoordinator, protocol.NewFrame(&answer, w.start.Known[index].Address, self))
	}
}

func (w *world) send(i int, m protocol.Message) {
	add(&w.toCoordinator, protocol.NewFrame(&m, client(i), self))
}

// choose draws one of the lanes that have a request open, or of the others. An
// action must skip before it draws: rapid takes a late skip for a wasted step.
func (w *world) choose(t *rapid.T, open bool) (int, *lane) {
	var fit []int
	for i := range w.lanes {
		if w.lanes[i].open == open {
			fit = append(fit, i)
		}
	}
	_, i := pick(t, fit, "lane")
	return i, &w.lanes[i]
}

// invoke readies a lane for a request, and draws the key.
func (w *world) invoke(t *rapid.T) (int, *lane, []byte) {
	i, l := w.choose(t, false)
	if l.session.Closed {
		l.session = &protocol.Session{}
	}
	l.open = true
	w.requests++
	return i, l, []byte{'a' + byte(rapid.IntRange(0, keys-1).Draw(t, "key"))}
}

// nonce is from a small range, so that sessions compete for slots.
func nonce(t *rapid.T) uint64 { return rapid.Uint64Range(1, 3*testSlots).Draw(t, "nonce") }

// InvokeRead and the others after it are the clients' actions.
func (w *world) InvokeRead(t *rapid.T) {
	i, l, key := w.invoke(t)
	w.send(i, l.session.InvokeRead(w.requests, key))
}

func (w *world) InvokeWrite(t *rapid.T) {
	i, l, key := w.invoke(t)
	if rapid.IntRange(0, 4).Draw(t, "delete") == 0 {
		w.send(i, l.session.InvokeWrite(w.requests, nonce(t), protocol.OpDelete, key, nil))
		return
	}
	w.send(i, l.session.InvokeWrite(w.requests, nonce(t), protocol.OpPut, key, fmt.Append(nil, "v", w.requests)))
}

func (w *world) Retry(t *rapid.T) {
	i, l := w.choose(t, true)
	w.send(i, l.session.Retry(nonce(t)))
}

// Abandon is rare, or no write would ever get far.
func (w *world) Abandon(t *rapid.T) {
	_, l := w.choose(t, true)
	if rapid.IntRange(0, 15).Draw(t, "abandon") != 15 {
		return
	}
	l.session.Abandon()
	l.open = false
}

// receive takes an answer to the client whose address it bears.
func (w *world) receive(t *rapid.T, kind protocol.MessageType) (int, *lane, protocol.Message) {
	frame := take(t, &w.toClient, func(f []byte) bool { return frameType(f) == kind })
	i := int(frame[33]) - 100
	return i, &w.lanes[i], mustDecode(t, frame)
}

func (w *world) HandleOpenResponse(t *rapid.T) {
	i, l, m := w.receive(t, protocol.OpenResponse)
	if next, send := l.session.HandleOpenResponse(m); send {
		w.send(i, next)
	}
}

func (w *world) HandleWriteResponse(t *rapid.T) {
	_, l, m := w.receive(t, protocol.WriteResponse)
	if l.session.HandleWriteResponse(m) != protocol.Waiting {
		l.open = false
	}
}

func (w *world) HandleReadResponse(t *rapid.T) {
	_, l, m := w.receive(t, protocol.ReadResponse)
	if l.session.HandleReadResponse(m) {
		l.open = false
	}
}

// AdvanceTick is the control plane's.
func (w *world) AdvanceTick(t *rapid.T) {
	if err := w.dp.Tick(); err != nil {
		t.Fatal(err)
	}
	if w.model != nil {
		w.model.Tick++
	}
	w.script = append(w.script, "tick")
}

// ChangeServing is the control plane's too. It is rare, because it waits for
// programs that may be running.
func (w *world) ChangeServing(t *rapid.T) {
	if rapid.IntRange(0, 31).Draw(t, "change") != 31 {
		return
	}
	w.control(t, "serving", uint64(rapid.Uint16().Draw(t, "serving")&w.members))
}

// ChangeMembers takes members out or back in, and changes how many there must be.
func (w *world) ChangeMembers(t *rapid.T) {
	if rapid.IntRange(0, 15).Draw(t, "change") != 15 {
		return
	}
	w.members = rapid.Uint16().Draw(t, "members") & w.start.Members
	w.control(t, "members", uint64(w.members))
	w.control(t, "minimum", rapid.Uint64Range(0, 4).Draw(t, "minimum"))
	if w.judge != nil {
		w.judge.members = w.members
	}
}

// ChangeEpoch closes the epoch, or opens one, with all that is in the table.
func (w *world) ChangeEpoch(t *rapid.T) {
	if !w.closed && rapid.IntRange(0, 31).Draw(t, "change") != 31 {
		return
	}
	w.closed = !w.closed && rapid.Bool().Draw(t, "close")
	epoch := uint64(0)
	if !w.closed {
		epoch = uint64(w.start.Epoch) + rapid.Uint64Range(0, 1).Draw(t, "later")
	}
	w.control(t, "epoch", uint64(uint32(epoch)))
	for _, r := range w.replicas {
		r.Epoch = protocol.Epoch(epoch)
	}
}

// PassTime moves the clock of the lease.
func (w *world) PassTime(t *rapid.T) {
	w.now += rapid.Uint64Range(0, testLease/2).Draw(t, "time")
	w.control(t, "now", w.now)
}

// control does one thing that the control plane does, to the bytecode and the model.
func (w *world) control(t *rapid.T, what string, value uint64) {
	if err := control(w.dp, w.model, what, value); err != nil {
		t.Fatal(err)
	}
	w.script = append(w.script, fmt.Sprint(what, " ", value))
}

// control changes the data plane and, if there is one, the model.
func control(dp *DataPlane, model *protocol.Coordinator, what string, value uint64) error {
	if model == nil {
		model = &protocol.Coordinator{}
	}
	switch what {
	case "serving":
		model.Serving = uint16(value)
		return dp.SetServing(uint16(value))
	case "members":
		model.Members, model.Serving = uint16(value), model.Serving&uint16(value)
		return dp.publish(func(m *membership) error {
			m.Members = uint16(value)
			m.setServing(m.Serving & m.Members)
			m.setMinMembers(int(m.MinMembers))
			return nil
		})
	case "minimum":
		model.MinMembers = int(value)
		return dp.SetMinMembers(int(value))
	case "epoch":
		model.Epoch = protocol.Epoch(value)
		return dp.publish(func(m *membership) error { m.Epoch = uint32(value); return nil })
	case "now":
		model.Now = value
		return dp.objects.ClockNow.Set(value)
	}
	return fmt.Errorf("%q is nothing that a control plane does", what)
}
