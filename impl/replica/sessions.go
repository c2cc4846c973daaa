// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"sync"

	"dalio/protocol"
)

// sessionTable holds the session records by slot. It is safe for concurrent use.
type sessionTable struct {
	mu      sync.Mutex
	records []protocol.SessionRecord
	// keeper, if set, keeps the records on disk.
	keeper Keeper
}

// Record keeps the record if it is newer than that of its slot. The table grows
// with the slots it sees, of which the coordinator's table bounds the number.
func (t *sessionTable) Record(r protocol.SessionRecord) {
	slot := r.Session.Slot()
	t.mu.Lock()
	defer t.mu.Unlock()
	if slot >= len(t.records) {
		size := max(64, len(t.records))
		for size <= slot {
			size *= 2
		}
		t.records = append(t.records, make([]protocol.SessionRecord, size-len(t.records))...)
	}
	if r.Newer(t.records[slot]) {
		t.records[slot] = r
		if t.keeper != nil {
			t.keeper.KeepSession(r)
		}
	}
}

func (t *sessionTable) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.records = nil
	if t.keeper != nil {
		t.keeper.ForgetSessions()
	}
}

// all returns a copy of the records there are.
func (t *sessionTable) all() []protocol.SessionRecord {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []protocol.SessionRecord
	for _, r := range t.records {
		if r.Session != 0 {
			all = append(all, r)
		}
	}
	return all
}

// count returns how many records there are.
func (t *sessionTable) count() (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.records {
		if t.records[i].Session != 0 {
			n++
		}
	}
	return n
}

// recordMessage is a session record as it is sent to others, and sessionRecord
// what it was.
func recordMessage(r protocol.SessionRecord) protocol.Message {
	return protocol.Message{Type: protocol.WriteAck, Session: r.Session, Writer: r.Session, Request: r.Request,
		Version: r.Version, Op: r.Op, KeyHash: r.KeyHash, Digest: r.Digest}
}

func sessionRecord(m *protocol.Message) protocol.SessionRecord { return protocol.RecordOf(m) }

// writeMessage is a record as it is sent to others, and recordOf what it was. Who
// takes over a record takes over its writer's session record, too: the record may
// be of a write that is not committed yet, and that a recovery from this replica
// alone would commit, so a retry must find it.
func writeMessage(key string, r protocol.Record) protocol.Message {
	k := []byte(key)
	return protocol.Message{Type: protocol.Write, Op: r.Op, Version: r.Version, Writer: r.Writer, Session: r.Writer, Request: r.Request, Digest: r.Digest,
		KeyHash: protocol.KeyHash(k), Key: k, Value: r.Value}
}

func recordOf(m *protocol.Message) protocol.Record {
	return protocol.Record{Version: m.Version, Writer: m.Writer, Request: m.Request, Op: m.Op, Digest: m.Digest, Value: m.Value}
}
