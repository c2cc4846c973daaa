// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"dalio/traces/event"
)

// render writes the module TraceData, which TraceDalio.tla says how to read.
func (w *world) render(out io.Writer, chunks []*chunk) error {
	clients, keys, values, last := 1, 1, 1, uint64(1)
	fmt.Fprint(out, "---- MODULE TraceData ----\nEXTENDS State, Sequences, TLC\n")
	var names []string
	for i, c := range chunks {
		r := &renderer{w: w, o: &c.of}
		name := fmt.Sprint("Chunk", i+1)
		names = append(names, name)
		text := r.chunk(c)
		if _, err := fmt.Fprintf(out, "%s ==\n%s\n", name, text); err != nil {
			return err
		}
		clients, keys = max(clients, len(c.of.clientNumber)), max(keys, len(c.of.keyNumber))
		values, last = max(values, len(c.of.valueNumber)), max(last, c.end.nextSeq)
	}
	_, err := fmt.Fprintf(out, `Chunks == <<%s>>
TraceClients == 1..%d
TraceKeys == 1..%d
TraceValues == 1..%d
TraceReplicas == %s
TraceServing == %s
TraceSlots == 1..%d
TraceEpoch == %d
TraceLastSeq == %d
====
`, strings.Join(names, ", "), clients, keys, values, set(w.replicas(w.members)), set(w.replicas(w.serving)), max(1, len(w.slots)), w.epoch, last+1)
	return err
}

func set[T any](of []T) string {
	var all []string
	for _, x := range of {
		all = append(all, fmt.Sprint(x))
	}
	return "{" + strings.Join(all, ", ") + "}"
}

func tuple(of ...any) string {
	var all []string
	for _, x := range of {
		all = append(all, fmt.Sprint(x))
	}
	return "<<" + strings.Join(all, ", ") + ">>"
}

func truth(b bool) string {
	if b {
		return "TRUE"
	}
	return "FALSE"
}

// renderer writes what is of one chunk.
type renderer struct {
	w *world
	o *scope
}

func (r *renderer) chunk(c *chunk) string {
	var b strings.Builder
	b.WriteString("[events |-> <<\n")
	for i, s := range c.steps {
		if i > 0 {
			b.WriteString(",\n")
		}
		b.WriteString(r.step(s, c.fates[i]))
	}
	// Rendered last, the states may name what no step does.
	fmt.Fprintf(&b, ">>,\nstart |-> %s,\nend |-> %s]", r.state(c.start), r.state(c.end))
	return b.String()
}

func (r *renderer) session(s event.Session) string {
	return tuple(s.Epoch(), s.Count(), r.slot(s.Slot()))
}

func (r *renderer) sessionOr(s event.Session, none string) string {
	if s == 0 {
		return none
	}
	return r.session(s)
}

func (r *renderer) slot(s uint32) int { return number(r.w.slots, s) }

func version(v event.Version) string { return tuple(v.Epoch, v.Seq) }

func (r *renderer) step(s *step, f fate) string {
	var keep []uint32
	for _, m := range f.keep {
		if m.kind == "Read" || m.kind == "Write" {
			keep = append(keep, m.replica)
		} else {
			keep = append(keep, 0)
		}
	}
	return tuple(number(r.w.tellers, s.By), s.N, set(keep), truth(f.last), strconv.Quote(s.action), r.about(s), r.sent(s), r.seen(s))
}

// about returns what the action is about; TraceDalio.tla has the order.
func (r *renderer) about(s *step) string {
	c, n := r.o.client(s.call.client), s.call.request
	switch s.action {
	case "HandleOpenRequest":
		return tuple(c, n, r.session(s.Session))
	case "HandleWriteRequest":
		return tuple(c, r.session(s.Session), n, r.o.key(s.Key), r.o.value(s.Key, s.Value))
	case "HandleWriteAck":
		return tuple(s.Replica, c, r.session(s.Session), n, version(s.Version))
	case "HandleReadRequest":
		return tuple(c, n, r.o.key(s.Key))
	case "HandleReadReply":
		return tuple(s.Replica, c, n, r.o.key(s.Key), s.Hops, version(s.Version), r.o.value(s.Key, s.Value), r.sessionOr(s.Writer, "<<>>"))
	case "HandleWrite":
		return tuple(s.Replica, c, r.session(s.Session), n, version(s.Version), r.o.key(s.Key), r.o.value(s.Key, s.Value), truth(s.Applied))
	case "HandleRead":
		return tuple(s.Replica, c, n, r.o.key(s.Key), s.Hops, version(s.Version), r.o.value(s.Key, s.Value), r.sessionOr(s.Writer, "<<>>"))
	case "InvokeRead":
		return tuple(c, n, r.o.key(s.Key))
	case "InvokeWrite":
		return tuple(c, n, r.o.key(s.Key), r.o.value(s.Key, s.Value), r.sessionOr(s.Session, "<<>>"))
	case "HandleOpenResponse":
		nonce := call{}
		if s.receives != nil {
			nonce = s.receives.caller
		}
		return tuple(c, tuple(r.o.client(nonce.client), nonce.request), r.session(s.Session))
	case "HandleWriteResponse":
		return tuple(c, n, r.session(s.Session), strconv.Quote(s.Status))
	case "HandleReadResponse":
		return tuple(c, n, r.o.value(s.key, s.Value))
	case "Retry", "Abandon":
		return tuple(c, n)
	}
	return "<<>>"
}

func (r *renderer) sent(s *step) string {
	switch {
	case s.action == ignored || s.Sends == "":
		return "<<>>"
	case s.Status != "" && s.Lane == "":
		return tuple(strconv.Quote(s.Sends), strconv.Quote(s.Status))
	case s.Sends == "Read":
		return tuple(`"Read"`, set([]uint32{s.To}))
	case s.Sends == "Write":
		return tuple(`"Write"`, set(r.w.replicas(s.Targets)))
	}
	return tuple(strconv.Quote(s.Sends))
}

func (r *renderer) seen(s *step) string {
	if s.action == ignored || s.Slot == nil {
		return "<<>>"
	}
	e := entry{seq: s.Slot.Seq, acks: s.Slot.Acks}
	return tuple(r.slot(slotOf(s.Event)), e.seq, r.acks(e), truth(e.done()), r.sessionOr(s.Slot.Owner, "<<>>"))
}

func (r *renderer) acks(e entry) string {
	if e.seq != 0 && e.acks == committed {
		return set(r.w.replicas(r.w.members))
	}
	return set(r.w.replicas(e.acks))
}

func (r *renderer) state(s *state) string {
	told := make([]any, len(r.w.tellers))
	for by, number := range r.w.tellers {
		told[number-1] = s.told[by]
	}
	return fmt.Sprintf("[told |-> %s, messages |-> %s,\nnextSeq |-> %d, entries |-> %s, minted |-> %s,\nstore |-> %s,\n%s]",
		tuple(told...), r.messages(s), s.nextSeq, r.entries(s), r.minted(s), r.store(s), r.clients(s))
}

func (r *renderer) entries(s *state) string {
	all := make([]any, len(r.w.slots))
	for slot, n := range r.w.slots {
		e := s.entries[slot]
		nonce, key, value := "None", "None", "None"
		if e.nonce != (call{}) {
			nonce = tuple(r.o.client(e.nonce.client), e.nonce.request)
		}
		if e.key != 0 {
			key, value = fmt.Sprint(r.o.key(e.key)), r.content(e.key, e.value)
		}
		all[n-1] = fmt.Sprintf("[owner |-> %s, nonce |-> %s, request |-> %d, key |-> %s, value |-> %s, seq |-> %d, acks |-> %s, done |-> %s]",
			r.sessionOr(e.owner, "None"), nonce, e.request, key, value, e.seq, r.acks(e), truth(e.done()))
	}
	return tuple(all...)
}

// content returns a value in a state of the specification.
func (r *renderer) content(k event.Hash, v string) string {
	if v == "" {
		return "Absent"
	}
	return fmt.Sprint(r.o.value(k, v))
}

func (r *renderer) minted(s *state) string {
	all := make([]any, len(r.w.slots))
	for slot, n := range r.w.slots {
		all[n-1] = s.entries[slot].minted
	}
	return tuple(all...)
}

func (r *renderer) store(s *state) string {
	var replicas []string
	for _, id := range r.w.replicas(r.w.members) {
		var records []any
		for _, key := range inOrder(r.o.keyNumber, r.o.keys) {
			rec := s.store[held{id, key}]
			records = append(records, fmt.Sprintf("[version |-> %s, value |-> %s, writer |-> %s]",
				version(rec.version), r.content(key, rec.value), r.sessionOr(rec.writer, "None")))
		}
		replicas = append(replicas, fmt.Sprintf("(%d :> %s)", id, tuple(records...)))
	}
	return strings.Join(replicas, " @@ ")
}

func (r *renderer) clients(s *state) string {
	var sessions, requests, calls []any
	for _, number := range inOrder(r.o.clientNumber, r.o.clients) {
		c, ok := s.clients[number]
		if !ok {
			c.status, c.op = "idle", "none"
		}
		key, value := "None", "None"
		if c.key != 0 {
			key = fmt.Sprint(r.o.key(c.key))
		}
		if c.op == "write" || c.op == "read" && c.status == "ok" {
			value = r.content(c.key, c.value)
		}
		sessions = append(sessions, r.sessionOr(c.session, "None"))
		requests = append(requests, c.request)
		calls = append(calls, fmt.Sprintf("[status |-> %q, op |-> %q, key |-> %s, value |-> %s]", c.status, c.op, key, value))
	}
	return fmt.Sprintf("sessions |-> %s, requests |-> %s,\ncalls |-> %s", tuple(sessions...), tuple(requests...), tuple(calls...))
}

func (r *renderer) messages(s *state) string {
	var all []string
	for m := range s.messages {
		if r.o.messages[m] {
			all = append(all, r.message(m))
		}
	}
	slices.Sort(all) // The same trace is the same text.
	return set(all)
}

func (r *renderer) message(m message) string {
	c := "None"
	if m.caller.client != 0 {
		c = fmt.Sprint(r.o.client(m.caller.client))
	}
	fields := map[string]string{"type": strconv.Quote(m.kind), "client": c, "epoch": fmt.Sprint(r.w.epoch), "replica": fmt.Sprint(m.replica),
		"session": r.sessionOr(m.session, "None"), "request": fmt.Sprint(m.caller.request), "key": fmt.Sprint(r.o.key(m.key)),
		"hops": fmt.Sprint(m.hops), "version": version(m.version), "value": r.content(m.key, m.value), "writer": r.sessionOr(m.writer, "None"),
		"status": strconv.Quote(m.status), "nonce": tuple(c, m.caller.request)}
	var all []string
	for _, name := range messageFields[m.kind] {
		all = append(all, name+" |-> "+fields[name])
	}
	return "[" + strings.Join(all, ", ") + "]"
}

// messageFields are those of each type of message, as in State.tla.
var messageFields = map[string][]string{
	"OpenRequest":   {"type", "client", "nonce"},
	"OpenResponse":  {"type", "client", "nonce", "status", "session"},
	"ReadRequest":   {"type", "client", "request", "key"},
	"Read":          {"type", "epoch", "replica", "client", "request", "key", "hops"},
	"ReadReply":     {"type", "epoch", "replica", "client", "request", "key", "hops", "version", "value", "writer"},
	"ReadResponse":  {"type", "client", "request", "status", "value"},
	"WriteRequest":  {"type", "client", "session", "request", "key", "value"},
	"Write":         {"type", "epoch", "replica", "client", "session", "request", "version", "key", "value"},
	"WriteAck":      {"type", "epoch", "replica", "client", "session", "request", "version"},
	"WriteResponse": {"type", "client", "session", "request", "status"},
}
