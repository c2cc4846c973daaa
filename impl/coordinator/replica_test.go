// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"testing"

	"dalio/impl/fabric"
	"dalio/impl/internal/datagram"
	"dalio/impl/replica/control"
	"dalio/protocol"
)

// testReplica is a volatile replica that is the model, with the control API, as
// far as a control plane needs it.
type testReplica struct {
	node    *fabric.Node
	address netip.AddrPort

	mu       sync.Mutex
	model    protocol.Replica
	store    protocol.MemoryStore
	table    protocol.SessionTable
	instance int
	catchUp  control.Progress
	// deaf replicas answer nothing.
	deaf   bool
	udp    *net.UDPConn
	server *http.Server
	done   sync.WaitGroup
}

func newTestReplica(t *testing.T, node *fabric.Node) *testReplica {
	t.Helper()
	r := &testReplica{node: node, address: netip.AddrPortFrom(node.Addr, protocol.Port)}
	r.start(t)
	return r
}

// start runs the replica, which has forgotten everything.
func (r *testReplica) start(t *testing.T) {
	t.Helper()
	r.mu.Lock()
	r.store, r.table = protocol.MemoryStore{}, protocol.SessionTable{}
	r.model = protocol.Replica{Store: r.store, Sessions: r.table}
	r.catchUp, r.deaf = control.Progress{State: control.None}, false
	r.instance++
	r.mu.Unlock()
	var listener net.Listener
	err := r.node.Do(func() (err error) {
		listener, err = net.Listen("tcp4", r.address.String())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.udp, err = r.node.ListenUDP(protocol.Port); err != nil {
		t.Fatal(err)
	}
	r.server = &http.Server{Handler: r.handler()}
	r.done.Go(func() { _ = r.server.Serve(listener) })
	r.done.Go(r.serve)
}

// kill ends the replica as a crash does.
func (r *testReplica) kill() {
	_ = r.server.Close()
	_ = r.udp.Close()
	r.done.Wait()
}

func (r *testReplica) serve() {
	conn := datagram.NewConn(r.udp)
	in, out := datagram.NewBatch(64), datagram.NewBatch(64)
	for conn.Read(in) == nil {
		out.Reset()
		r.mu.Lock()
		for i := range in.Len() {
			var m protocol.Message
			if r.deaf || m.Unmarshal(in.Payload(i)) != nil {
				continue
			}
			if answer, refusal := r.model.Handle(m); refusal == protocol.NotRefused {
				out.Add(&answer, in.Address(i))
			}
		}
		r.mu.Unlock()
		_, _ = conn.Write(out)
	}
}

func (r *testReplica) set(deaf bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deaf = deaf
}

// handler serves the control API. A request is refused with an error's text.
func (r *testReplica) handler() http.Handler {
	mux := http.NewServeMux()
	on := func(path string, do func(*http.Request, http.ResponseWriter) bool) {
		mux.HandleFunc(path, func(w http.ResponseWriter, q *http.Request) {
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.deaf || !do(q, w) {
				w.WriteHeader(http.StatusConflict)
				_ = json.NewEncoder(w).Encode(control.Error{Message: "refused", ID: r.model.ID, Epoch: r.model.Epoch})
			}
		})
	}
	on(control.StatusPath, func(_ *http.Request, w http.ResponseWriter) bool {
		return json.NewEncoder(w).Encode(control.Status{Instance: strconv.Itoa(r.instance), ID: r.model.ID, Epoch: r.model.Epoch,
			Open: !r.model.Fenced, Records: len(r.store), Sessions: len(r.table), Floor: r.model.Floor, Collect: r.model.Collect,
			CatchUp: r.catchUp}) == nil
	})
	on(control.AssignPath, func(q *http.Request, _ http.ResponseWriter) bool {
		var a control.Assignment
		if json.NewDecoder(q.Body).Decode(&a) != nil || a.ID>>4 < r.model.ID>>4 || a.Epoch < r.model.Epoch {
			return false
		}
		if a.ID == r.model.ID {
			return true
		}
		clear(r.store)
		clear(r.table)
		r.catchUp = control.Progress{State: control.None}
		return r.model.Assign(a.ID, a.Epoch, a.Collect)
	})
	on(control.FencePath, func(q *http.Request, w http.ResponseWriter) bool {
		var f control.Fence
		return json.NewDecoder(q.Body).Decode(&f) == nil && r.model.Fence(f.Epoch) &&
			json.NewEncoder(w).Encode(control.Fenced{ID: r.model.ID, Floor: r.model.Floor}) == nil
	})
	on(control.OpenPath, func(q *http.Request, _ http.ResponseWriter) bool {
		var o control.Opening
		return json.NewDecoder(q.Body).Decode(&o) == nil && r.model.Open(o.Epoch)
	})
	on(control.SettlePath, func(q *http.Request, _ http.ResponseWriter) bool {
		var s control.Settlement
		return json.NewDecoder(q.Body).Decode(&s) == nil && r.model.Settle(s.Epoch, s.Floor, s.Collect)
	})
	on(control.ExpelPath, func(q *http.Request, _ http.ResponseWriter) bool {
		var e control.Expulsion
		if json.NewDecoder(q.Body).Decode(&e) != nil {
			return false
		}
		r.model.Expel(e.ID)
		return true
	})
	on(control.RecentPath, func(_ *http.Request, w http.ResponseWriter) bool { return r.write(w, r.model.Floor) })
	on(control.RangePath, func(_ *http.Request, w http.ResponseWriter) bool { return r.write(w, protocol.Version{}) })
	on(control.InstallPath, func(q *http.Request, _ http.ResponseWriter) bool {
		epoch, err := strconv.Atoi(q.URL.Query().Get("epoch"))
		return err == nil && r.model.Fenced && r.model.Epoch == protocol.Epoch(epoch) && r.read(control.NewReader(q.Body))
	})
	mux.HandleFunc(control.CatchUpPath, r.beginCatchUp)
	return mux
}

// write writes the records above a version, and the session records.
func (r *testReplica) write(w http.ResponseWriter, above protocol.Version) bool {
	out := control.NewWriter(w)
	for key, rec := range r.store {
		if above.Less(rec.Version) {
			_ = out.Write(&protocol.Message{Type: protocol.Write, Op: rec.Op, Version: rec.Version, Writer: rec.Writer, Session: rec.Writer,
				KeyHash: protocol.KeyHash([]byte(key)), Digest: rec.Digest, Key: []byte(key), Value: rec.Value})
		}
	}
	for _, s := range r.table {
		_ = out.Write(&protocol.Message{Type: protocol.WriteAck, Session: s.Session, Writer: s.Session, Request: s.Request,
			Version: s.Version, Op: s.Op, KeyHash: s.KeyHash, Digest: s.Digest})
	}
	return out.Close() == nil
}

// read takes what another one wrote: the newest wins.
func (r *testReplica) read(in *control.Reader) bool {
	var m protocol.Message
	for {
		if err := in.Read(&m); err != nil {
			return err.Error() == "EOF"
		}
		r.take(&m)
	}
}

func (r *testReplica) take(m *protocol.Message) {
	if m.Type == protocol.WriteAck {
		r.table.Record(protocol.RecordOf(m))
	} else if r.store.Get(m.Key).Version.Less(m.Version) {
		r.store.Put(m.Key, protocol.Record{Version: m.Version, Writer: m.Writer, Op: m.Op, Digest: m.Digest, Value: m.Value})
	}
}

// beginCatchUp copies everything that the source holds, in the background.
func (r *testReplica) beginCatchUp(w http.ResponseWriter, q *http.Request) {
	var c control.CatchUp
	if err := json.NewDecoder(q.Body).Decode(&c); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.ID != r.model.ID || c.Epoch != r.model.Epoch {
		w.WriteHeader(http.StatusConflict)
		return
	}
	if r.catchUp.Source == c.Source && r.catchUp.State != control.Failed {
		return
	}
	r.catchUp = control.Progress{State: control.Running, Source: c.Source, Total: 1}
	r.done.Go(func() {
		source := control.NewClient(c.Source, control.Options{Dial: dialOn(r.node)})
		defer source.Close()
		var all []protocol.Message
		err := source.Range(context.Background(), c.Epoch, 0, 0, func(m *protocol.Message) error {
			kept := *m
			kept.Key, kept.Value = append([]byte(nil), m.Key...), append([]byte(nil), m.Value...)
			all = append(all, kept)
			return nil
		})
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.catchUp.Source != c.Source || r.model.ID != c.ID {
			return
		}
		if err != nil {
			r.catchUp.State, r.catchUp.Error = control.Failed, err.Error()
			return
		}
		for i := range all {
			r.take(&all[i])
		}
		r.catchUp.State, r.catchUp.Done = control.Done, 1
	})
}

func (r *testReplica) id() protocol.ReplicaID {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.model.ID
}
