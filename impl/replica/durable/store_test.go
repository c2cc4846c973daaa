// SPDX-License-Identifier: Apache-2.0

package durable_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"dalio/impl/replica"
	"dalio/impl/replica/durable"
	"dalio/protocol"
)

const dir = "replica"

// fatal is what testing.T and rapid.T have in common.
type fatal interface {
	Helper()
	Fatalf(string, ...any)
}

func open(t fatal, fs vfs.FS) *durable.Store {
	t.Helper()
	s, err := durable.Open(dir, durable.Options{FS: fs})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return s
}

func at(seq uint64) protocol.Version { return protocol.Version{Epoch: 1, Seq: seq} }

func record(seq uint64, value string) protocol.Record {
	r := protocol.Record{Version: at(seq), Writer: protocol.MintSessionID(1, 1, 7), Request: seq, Op: protocol.OpPut, Digest: uint32(seq), Value: []byte(value)}
	if value == "" {
		r.Op, r.Value = protocol.OpDelete, nil
	}
	return r
}

// session is the session record of a record's writer.
func session(key []byte, r protocol.Record) protocol.SessionRecord {
	return protocol.SessionRecord{Session: r.Writer, Request: r.Request, Version: r.Version, Op: r.Op, KeyHash: protocol.KeyHash(key), Digest: r.Digest}
}

// contents is all that a store holds, in text.
func contents(s replica.Store, floor protocol.Version) map[string]string {
	all := map[string]string{}
	for i := range replica.Stripes {
		s.Each(i, func(key string, r protocol.Record, earlier bool) bool {
			all[key] = fmt.Sprintf("%v earlier=%v visible=%v", r, earlier, s.Get([]byte(key)))
			return true
		})
		s.Recent(i, func(key string, r protocol.Record) bool {
			if floor.Less(r.Version) {
				all["recent "+key] = fmt.Sprint(r)
			}
			return true
		})
		if records, bytes := s.Size(i); records > 0 {
			all[fmt.Sprint("size of ", i)] = fmt.Sprint(records, bytes)
		}
	}
	return all
}

// TestStoreIsTheMemoryStore does the same to a durable store and to one in memory,
// and opens the durable one again now and then: there is never a difference.
func TestStoreIsTheMemoryStore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		files := vfs.NewCrashableMem()
		s, memory := open(t, files), replica.NewMirror(nil)
		state := replica.Membership{ID: 16, LastID: 16, Epoch: 1}
		both := []replica.Store{s, memory}
		begin := func() {
			for _, store := range both {
				if err := store.Begin(state.ID); err != nil {
					t.Fatalf("begin: %v", err)
				}
			}
			both[0].(*durable.Store).Keep(state)
		}
		begin()
		keys := rapid.StringMatching(`[a-e]`)
		for seq := range uint64(rapid.IntRange(1, 60).Draw(t, "steps")) {
			key := []byte(keys.Draw(t, "key"))
			r := record(seq+1, rapid.SampledFrom([]string{"", "a", "a longer value"}).Draw(t, "value"))
			stripe := replica.StripeOf(key)
			switch rapid.SampledFrom([]string{"put", "put", "merge", "merge none", "begin", "settle", "open"}).Draw(t, "step") {
			case "put":
				for _, store := range both {
					store.Put(key, r)
				}
			case "merge", "merge none":
				if rapid.Bool().Draw(t, "none") {
					r = protocol.Record{}
				}
				if a, b := s.Merge(stripe, key, r), memory.Merge(stripe, key, r); a != b {
					t.Fatalf("merge: changed %v, in memory %v", a, b)
				}
			case "begin":
				state.ID += protocol.MaxMembers
				state.LastID = state.ID
				begin()
			case "settle":
				state.Floor = at(rapid.Uint64Range(state.Floor.Seq, seq+1).Draw(t, "floor"))
				state.Floor.Epoch = 1
				state.Collect = state.Floor
				s.Keep(state)
				for i := range replica.Stripes {
					for _, store := range both {
						store.Settle(i, state.Floor)
						store.Collect(i, state.Collect)
					}
				}
			case "open":
				if err := s.Close(); err != nil {
					t.Fatalf("close: %v", err)
				}
				files = files.CrashClone(vfs.CrashCloneCfg{})
				s = open(t, files)
				both[0] = s
				if kept, _ := s.Kept(); kept != state {
					t.Fatalf("kept %+v, want %+v", kept, state)
				}
			}
			if a, b := contents(s, state.Floor), contents(memory, state.Floor); !maps.Equal(a, b) {
				t.Fatalf("the durable store has\n%v\nand the one in memory\n%v", a, b)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
	})
}

// crashes writes, acknowledges and crashes with some of what was not synced on the
// disk, many times. It returns how many acknowledged writes were lost, and fails
// the test if the disk holds what the memory never held.
func crashes(t *testing.T, early bool) (lost int) {
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 60 {
		files := vfs.NewCrashableMem()
		s := open(t, files)
		s.Keep(replica.Membership{Shard: "s", ID: 16, LastID: 16, Epoch: 3})
		_ = s.Begin(16)
		held := []map[string]string{}
		note := func() { held = append(held, contents(s, protocol.Version{})) }
		note()
		acknowledged := 0
		for seq := uint64(1); seq <= uint64(5+random.IntN(40)); seq++ {
			key := []byte(fmt.Sprint("k", random.IntN(6)))
			s.Put(key, record(seq, fmt.Sprint("v", seq)))
			s.KeepSession(session(key, record(seq, "v")))
			note()
			if random.IntN(4) == 0 {
				if !early {
					if err := s.Sync(); err != nil {
						t.Fatal(err)
					}
				}
				acknowledged = len(held) - 1
			}
		}
		after := files.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50 * (round % 3), RNG: random})
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		again := open(t, after)
		found, is := contents(again, protocol.Version{}), -1
		for i := range held {
			if maps.Equal(found, held[i]) {
				is = i
			}
		}
		kept, sessions := again.Kept()
		switch {
		case is >= 0 && is < acknowledged, is < 0 && early:
			lost++
		case is < 0:
			t.Fatalf("round %d: the disk holds what the memory never held: %v", round, found)
		case acknowledged > 0 && (kept.Epoch != 3 || kept.ID != 16 || len(sessions) != 1 || sessions[0].Request < uint64(acknowledged)):
			t.Fatalf("round %d: after write %d it kept %+v and %+v", round, acknowledged, kept, sessions)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return lost
}

func TestPowerLossLosesNothingAcknowledged(t *testing.T) {
	if lost := crashes(t, false); lost > 0 {
		t.Errorf("acknowledged writes were lost in %d of the crashes", lost)
	}
}

// TestEarlyAcknowledgementsAreLost acknowledges before the sync: the test above
// would notice.
func TestEarlyAcknowledgementsAreLost(t *testing.T) {
	if lost := crashes(t, true); lost == 0 {
		t.Error("no crash lost a write that was acknowledged before it was durable")
	}
}

// TestWriterOfARecordIsKnown cuts the log between a record and the session record
// of its write, which a recovery from this disk commits: a retry must find it, also
// when the record has been replaced.
func TestWriterOfARecordIsKnown(t *testing.T) {
	files := vfs.NewCrashableMem()
	s := open(t, files)
	crash := func() {
		t.Helper()
		if err := s.Sync(); err != nil {
			t.Fatal(err)
		}
		after := files.CrashClone(vfs.CrashCloneCfg{})
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		files = after
		s = open(t, files)
	}
	knows := func(what string, want ...protocol.SessionRecord) {
		t.Helper()
		if _, found := s.Kept(); !slices.Equal(found, want) {
			t.Errorf("%s: it knows %+v, want %+v", what, found, want)
		}
	}
	begin := func(id protocol.ReplicaID) {
		_ = s.Begin(id)
		s.ForgetSessions()
		s.Keep(replica.Membership{ID: id, LastID: id, Epoch: 1})
	}
	key, first, other := []byte("k"), record(1, "v"), record(2, "w")
	other.Writer = protocol.MintSessionID(1, 1, 8)
	begin(16)
	s.Put(key, first)
	crash()
	knows("after a record without its session record", session(key, first))
	s.Put(key, other)
	s.KeepSession(session(key, other))
	crash()
	_, found := s.Kept()
	if len(found) != 2 {
		t.Errorf("when the record has been replaced it knows %+v", found)
	}
	begin(32)
	crash()
	knows("under another membership")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestPowerLossLeavesTheFolder makes a folder with others above it.
func TestPowerLossLeavesTheFolder(t *testing.T) {
	const deep = "shard/data/replica0"
	files := vfs.NewCrashableMem()
	for start := range uint64(2) {
		s, err := durable.Open(deep, durable.Options{FS: files})
		if err != nil {
			t.Fatal(err)
		}
		if d := s.Disk(); d.Starts != start+1 {
			t.Errorf("start %d: the disk is %+v", start, d)
		}
		files = files.CrashClone(vfs.CrashCloneCfg{})
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
