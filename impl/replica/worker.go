// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"net/netip"

	"dalio/impl/internal/datagram"
	"dalio/impl/internal/events"
	"dalio/impl/internal/failpoint"
	"dalio/protocol"
)

var (
	beforeApply = failpoint.New("replica.before-apply")
	afterApply  = failpoint.New("replica.after-apply")
	beforeSync  = failpoint.New("replica.before-sync")
	afterSync   = failpoint.New("replica.after-sync")
)

// worker takes batches of messages and answers them. Nothing in it is shared
// with other workers but the server.
type worker struct {
	*Server
	in    *datagram.Batch
	taken []arrival
	// answers leave at once, acks when the store has made the writes durable.
	// With a volatile store they are the same batch.
	answers, acks *datagram.Batch
}

// arrival is a message that was taken, and from where it came.
type arrival struct {
	protocol.Message
	from netip.AddrPort
}

func newWorker(s *Server) *worker {
	w := &worker{Server: s, in: datagram.NewBatch(s.options.Batch), answers: datagram.NewBatch(s.options.Batch)}
	w.acks = w.answers
	if s.syncer != nil {
		w.acks = datagram.NewBatch(s.options.Batch)
	}
	return w
}

func (w *worker) run() error {
	for {
		if err := w.conn.Read(w.in); isShutdown(err) {
			return nil
		} else if err != nil {
			return err
		}
		if err := w.answerBatch(); err != nil {
			return err
		}
	}
}

// answerBatch answers what came, under one membership.
func (w *worker) answerBatch() error {
	w.membership.RLock()
	defer w.membership.RUnlock()
	w.counters.batches.Add(1)
	w.answers.Reset()
	w.acks.Reset()
	if err := beforeApply.Hit(); err != nil {
		return err
	}
	for i := range w.in.Len() {
		w.take(w.in.Payload(i), w.in.Address(i))
	}
	w.handleAll()
	if err := afterApply.Hit(); err != nil {
		return err
	}
	return w.send()
}

// take takes one message that came, or counts that it is none.
func (w *worker) take(payload []byte, from netip.AddrPort) {
	a := arrival{from: from}
	if a.Unmarshal(payload) != nil {
		w.counters.malformed.Add(1)
		return
	}
	w.taken = append(w.taken, a)
}

// handleAll handles what was taken.
func (w *worker) handleAll() {
	w.prefetch()
	for i := range w.taken {
		w.handle(&w.taken[i].Message, w.taken[i].from)
	}
	w.taken = w.taken[:0]
}

// prefetch has what the messages are about come into the processor's caches. Handling
// one after the other would wait for the memory of each.
func (w *worker) prefetch() {
	if len(w.taken) < 2 {
		return
	}
	for look := range looks {
		for i := range w.taken {
			hash := w.taken[i].KeyHash
			lock := &w.stripes[hash%Stripes]
			lock.Lock()
			for _, p := range w.prefetchers {
				p.Prefetch(hash, look)
			}
			lock.Unlock()
		}
	}
}

// handle answers a message, or counts why it has no answer.
func (w *worker) handle(m *protocol.Message, from netip.AddrPort) {
	// A message whose hash is not its key's is refused before the store is
	// touched, so the hash it claims may choose the lock. The answer is encoded
	// under the lock because its value may be the store's own memory.
	lock := &w.stripes[m.KeyHash%Stripes]
	lock.Lock()
	answer, refusal := w.answer(*m)
	switch {
	case refusal != protocol.NotRefused:
		w.counters.refused[refusal].Add(1)
	case answer.Type == protocol.WriteAck:
		w.counters.writes.Add(1)
		w.acks.Add(&answer, from)
	case answer.Type == protocol.ProbeReply:
		w.counters.probes.Add(1)
		w.answers.Add(&answer, from)
	default:
		w.counters.reads.Add(1)
		w.answers.Add(&answer, from)
		w.path.Admit(m.Key, protocol.Record{Version: answer.Version, Writer: answer.Writer, Op: answer.Op, Digest: answer.Digest, Value: answer.Value})
	}
	lock.Unlock()
}

// answer has the protocol decide, and tells what it did. The lock of the key is held.
func (w *worker) answer(m protocol.Message) (protocol.Message, protocol.Refusal) {
	if w.options.Events == nil {
		return w.replica.Handle(m)
	}
	before := w.store.Get(m.Key).Version
	answer, refusal := w.replica.Handle(m)
	if refusal == protocol.NotRefused && m.Type != protocol.Probe {
		after := w.store.Get(m.Key).Version
		w.options.Events.Record(events.OfReplica(&m, &answer, before != after && after == m.Version))
	}
	return answer, refusal
}

// send sends the answers. Reads need not wait for the store: the gate holds back
// what is not acknowledged.
func (w *worker) send() error {
	// Of whatever somebody receives, it is told who sent it.
	if err := w.options.Events.Flush(); err != nil {
		return err
	}
	w.transmit(w.answers)
	if w.acks == w.answers || w.acks.Len() == 0 {
		return nil
	}
	err := beforeSync.Hit()
	if err == nil {
		err = w.sync()
	}
	if err == nil {
		err = afterSync.Hit()
	}
	if err != nil {
		return err
	}
	w.transmit(w.acks)
	return nil
}

func (w *worker) transmit(b *datagram.Batch) {
	if b.Len() == 0 {
		return
	}
	sent, err := w.conn.Write(b)
	if err != nil {
		w.counters.unsent.Add(uint64(b.Len() - sent))
		w.options.Logger.Debug("some answers were not sent; they will be asked for again", "error", err)
	}
}
