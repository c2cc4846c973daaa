// SPDX-License-Identifier: Apache-2.0

package replica_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"dalio/bpf/reader"
	"dalio/impl/replica"
	"dalio/impl/replica/control"
	"dalio/protocol"
)

// fast is a node whose reads are answered by the program, too, which is run on
// frames without a device.
type fast struct {
	*node
	path *reader.Reader
}

func newFast(t *testing.T, store replica.Store) *fast {
	t.Helper()
	path, err := reader.Load(reader.Options{Address: netip.MustParseAddrPort("10.0.0.2:7411"), MAC: [6]byte{2, 0, 0, 0, 0, 2}, Keys: reader.MinKeys})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := path.Close(); err != nil {
			t.Error(err)
		}
	})
	return &fast{newNode(t, store, path), path}
}

func (f *fast) read(key string) protocol.Message {
	m := read(key)
	m.Epoch, m.Replica = f.epoch, f.id
	return m
}

// ask has the program handle a message, and returns its answer if it has one.
func (f *fast) ask(m protocol.Message) (answer protocol.Message, answered bool) {
	f.t.Helper()
	from := protocol.Address{IP: [4]byte{10, 0, 0, 1}, Port: 7411, MAC: [6]byte{2, 0, 0, 0, 0, 1}}
	to := protocol.Address{IP: [4]byte{10, 0, 0, 2}, Port: 7411, MAC: [6]byte{2, 0, 0, 0, 0, 2}}
	frame, _, err := f.path.Run(protocol.NewFrame(&m, from, to))
	if err == nil && frame != nil {
		err = answer.Unmarshal(frame[protocol.FrameOverhead:])
	}
	f.must(err)
	return answer, frame != nil
}

// expect has the program answer a read, or leave it to the server; an answer must be
// the server's.
func (f *fast) expect(when, key string, answered bool) {
	f.t.Helper()
	m := f.read(key)
	got, is := f.ask(m)
	if is != answered {
		f.t.Fatalf("%s: %q is answered by the program: %v, want %v", when, key, is, answered)
	}
	if !answered {
		return
	}
	f.send(m)
	if want := f.receive(); !bytes.Equal(got.Append(nil), want.Append(nil)) {
		f.t.Fatalf("%s: %q is answered with\n%+v, the server says\n%+v", when, key, got, want)
	}
}

// none expects that the program answers nothing for a member.
func (f *fast) none(when string, id protocol.ReplicaID, e protocol.Epoch, key string) {
	f.t.Helper()
	m := read(key)
	m.Epoch, m.Replica = e, id
	if got, is := f.ask(m); is {
		f.t.Fatalf("%s: the program answers replica %d of epoch %d with %+v", when, id, e, got)
	}
}

// TestReadPathFollowsTheServer: at each point of a member's life the program answers
// as the server would, or not at all, and knows of a change before anybody is told.
func TestReadPathFollowsTheServer(t *testing.T) {
	f := newFast(t, nil)
	f.must(f.assign(16, 1))
	f.expect("nothing written", "k", false)
	f.put("k", "v", 1)
	f.expect("written", "k", true)
	f.put("k", "w", 2)
	f.expect("written again", "k", true)
	f.put("k", "late", 1)
	f.expect("a late write", "k", true)
	f.put("k", strings.Repeat("long", 100), 3)
	f.expect("too long", "k", false)
	f.put("k", "short", 4)
	f.expect("short again", "k", true)
	gone := write("k", "", 5)
	gone.Op, gone.Epoch, gone.Replica, gone.Version.Epoch = protocol.OpDelete, 1, 16, 1
	f.send(gone)
	f.receive()
	f.expect("deleted", "k", false)
	settled := protocol.Version{Epoch: 1, Seq: 5}
	f.must(f.api.Settle(t.Context(), control.Settlement{Epoch: 1, Floor: settled, Collect: settled}))
	f.expect("collected", "k", false)
	f.put("k", "v", 6)
	f.expect("written after that", "k", true)

	f.must(f.fence(2))
	f.none("fenced", 16, 1, "k")
	f.none("fenced", 16, 2, "k")
	f.must(f.api.Install(t.Context(), 2, func(yield func(*protocol.Message) bool) {
		m := write("k", "recovered", 9)
		m.Version.Epoch = 1
		yield(&m)
	}))
	f.none("recovering", 16, 2, "k")
	f.must(f.api.Open(t.Context(), 2))
	f.epoch = 2
	f.none("open", 16, 1, "k")
	f.expect("open", "k", true)
	f.must(f.api.Expel(t.Context(), 16))
	f.none("expelled", 16, 2, "k")

	source := newNode(t, nil)
	source.must(source.assign(17, 2))
	source.put("k", "of the source", 3)
	f.must(f.assign(32, 2))
	f.expect("a new member", "k", false)
	if p := f.catchUp(source, 0); p.State != control.Done {
		t.Fatalf("%+v", p)
	}
	f.expect("caught up", "k", true)
	if k := f.status().Counters.Kernel; k == nil || k.Answered == 0 || k.Passed["absent"] == 0 || k.Passed["closed"] == 0 {
		t.Errorf("it tells of its read path: %v", k)
	}
	f.must(f.end())
	f.none("ended", 32, 2, "k")
}

// TestReadPathTakesUpWhatIsRead: a key that found no room, or came from a disk, is in
// the table after the server was asked for it.
func TestReadPathTakesUpWhatIsRead(t *testing.T) {
	f := newFast(t, nil)
	f.must(f.assign(16, 1))
	var keys []string
	for i := 0; len(keys) < 9; i++ {
		if key := fmt.Sprint("k", i); protocol.KeyHash([]byte(key))%256 == 7 {
			keys = append(keys, key)
			f.put(key, "of "+key, uint64(len(keys)))
		}
	}
	f.expect("no room", keys[8], false)
	f.get(keys[8])
	f.expect("it was read", keys[8], true)

	dir := t.TempDir()
	store := openDisk(t, dir)
	n := newNode(t, store)
	n.must(n.assign(16, 1))
	n.put("k", "v", 1)
	n.must(n.end())
	n.must(store.Close())
	store = openDisk(t, dir)
	f = newFast(t, store)
	t.Cleanup(func() { f.must(errors.Join(f.end(), store.Close())) })
	f.none("back from the disk", 16, 1, "k")
	f.must(f.fence(2))
	f.must(f.api.Open(t.Context(), 2))
	f.id, f.epoch = 16, 2
	f.expect("open, not read yet", "k", false)
	f.get("k")
	f.expect("open and read", "k", true)
	f.must(f.assign(32, 2))
	f.expect("the disk's record proves nothing", "k", false)
}
