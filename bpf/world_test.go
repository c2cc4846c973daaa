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

	toCoordinator, toClient [][]byte
	toReplica               []protocol.Message
	past                    [][]byte

	// judge is asked about each frame of a correct sender, unless it is nil.
	judge *judge
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
	w := &world{dp: dp, start: start}
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
		}
	}
	if err := dp.Restore(start); err != nil {
		t.Fatal(err)
	}
	return w
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
	set := rapid.Uint16().Draw(t, "serving") & w.start.Members
	if err := w.dp.SetServing(set); err != nil {
		t.Fatal(err)
	}
	if w.model != nil {
		w.model.Serving = set
	}
	w.script = append(w.script, fmt.Sprint("serving ", set))
}
