// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"dalio/protocol"
)

// TestIndexIsAMap compares an index with a map, with hashes so few that records are far
// from their homes, and some keys have the same.
func TestIndexIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var x index
		want := map[string]*memoryRecord{}
		hashes := rapid.SliceOfN(rapid.Uint64(), 1, 12).Draw(t, "hashes")
		key := rapid.Custom(func(t *rapid.T) int { return rapid.IntRange(0, 40).Draw(t, "key") })
		hash := func(k int) uint64 { return hashes[k%len(hashes)] }
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				k := key.Draw(t, "k")
				name := fmt.Sprint("key", k)
				r := newMemoryRecord([]byte(name), nil)
				x.put(hash(k), r)
				want[name] = r
			},
			"remove": func(t *rapid.T) {
				k := key.Draw(t, "k")
				if r := want[fmt.Sprint("key", k)]; r != nil {
					x.remove(hash(k), r)
					delete(want, r.key())
				}
			},
			"": func(t *rapid.T) {
				for k := range 41 {
					name := fmt.Sprint("key", k)
					if got := x.find(hash(k), []byte(name)); got != want[name] {
						t.Fatalf("found %p of %s, want %p", got, name, want[name])
					}
				}
				visited := slices.Collect(x.all)
				if x.count != len(want) || len(visited) != len(want) {
					t.Fatalf("%d records, and %d visited, want %d", x.count, len(visited), len(want))
				}
				if len(x.slots) > max(minSlots, 4*41) {
					t.Fatalf("%d slots for %d records", len(x.slots), x.count)
				}
			},
		})
	})
}

// held is what the plain store of TestMemoryStoreIsPlain holds of a key.
type held struct {
	protocol.Record
	member protocol.ReplicaID
	recent bool
}

func (h held) String() string { return fmt.Sprintf("%v %q by %d", h.Version, h.Value, h.member) }

// TestMemoryStoreIsPlain compares a store with a map of records, whose values grow and
// shrink.
func TestMemoryStoreIsPlain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var removed []string
		store := NewMirror(func(key string) { removed = append(removed, key) })
		plain := map[string]*held{}
		member := protocol.ReplicaID(16)
		if err := store.Begin(member); err != nil {
			t.Fatal(err)
		}
		seq := uint64(0)
		key := func(t *rapid.T) []byte { return fmt.Appendf(nil, "key%d", rapid.IntRange(0, 9).Draw(t, "key")) }
		record := func(t *rapid.T) protocol.Record {
			seq++
			r := protocol.Record{Version: protocol.Version{Epoch: 1, Seq: seq}, Writer: protocol.SessionID(seq), Request: seq + 1, Op: protocol.OpPut, Digest: uint32(seq) + 2}
			r.Value = rapid.SliceOfN(rapid.Byte(), 0, 70).Draw(t, "value")
			if rapid.Bool().Draw(t, "deleted") {
				r.Op, r.Value = protocol.OpDelete, nil
			}
			return r
		}
		put := func(key []byte, r protocol.Record) { plain[string(key)] = &held{r, member, true} }
		version := func(t *rapid.T) protocol.Version {
			return protocol.Version{Epoch: 1, Seq: rapid.Uint64Range(0, seq).Draw(t, "version")}
		}
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				k, r := key(t), record(t)
				store.Put(k, r)
				put(k, r)
			},
			"merge": func(t *rapid.T) {
				k, r := key(t), record(t)
				if r.Version = version(t); rapid.Bool().Draw(t, "nothing") {
					r = protocol.Record{}
				}
				h, there := plain[string(k)]
				changes := there && (h.member != member || h.Version.Less(r.Version)) || !there && r.Op != protocol.OpNone
				if got := store.Merge(StripeOf(k), k, r); got != changes {
					t.Fatalf("merge of %v to %v: changed %v, want %v", r, h, got, changes)
				}
				switch {
				case changes && r.Op != protocol.OpNone:
					put(k, r)
				case changes:
					delete(plain, string(k))
				}
			},
			"begin": func(t *rapid.T) {
				member++
				if err := store.Begin(member); err != nil {
					t.Fatal(err)
				}
			},
			"settle": func(t *rapid.T) {
				floor := version(t)
				for i := range Stripes {
					store.Settle(i, floor)
				}
				for _, h := range plain {
					h.recent = h.recent && floor.Less(h.Version)
				}
			},
			"collect": func(t *rapid.T) {
				mark := version(t)
				removed = nil
				for i := range Stripes {
					store.Collect(i, mark)
				}
				var want []string
				for k, h := range plain {
					if h.Op == protocol.OpDelete && !mark.Less(h.Version) {
						want = append(want, k)
						delete(plain, k)
					}
				}
				slices.Sort(removed)
				slices.Sort(want)
				if !slices.Equal(removed, want) {
					t.Fatalf("removed %v, want %v", removed, want)
				}
			},
			"": func(t *rapid.T) { compare(t, store, plain, member) },
		})
	})
}

func compare(t *rapid.T, store *MemoryStore, plain map[string]*held, member protocol.ReplicaID) {
	t.Helper()
	each, recent, wantRecent := map[string]string{}, map[string]string{}, map[string]string{}
	size, wantSize := int64(0), int64(0)
	for i := range Stripes {
		store.Each(i, func(key string, r protocol.Record, earlier bool) bool {
			h := plain[key]
			if h == nil || earlier != (h.member != member) || fmt.Sprint(r) != fmt.Sprint(h.Record) {
				t.Fatalf("%s is %v, earlier: %v, want %v", key, r, earlier, h)
			}
			each[key] = ""
			return true
		})
		store.Recent(i, func(key string, r protocol.Record) bool {
			recent[key] = fmt.Sprint(r)
			return true
		})
		part := &store.stripes[i]
		if slices.ContainsFunc(part.recent, func(r *memoryRecord) bool { return !r.recent }) || slices.ContainsFunc(part.deleted, func(r *memoryRecord) bool { return !r.deleted }) {
			t.Fatal("a list has a record that is not marked so")
		}
		_, bytes := store.Size(i)
		size += bytes
	}
	for key, h := range plain {
		wantSize += int64(len(key) + len(h.Value))
		if h.recent && h.member == member {
			wantRecent[key] = fmt.Sprint(h.Record)
		}
		got := store.Get([]byte(key))
		if want := h.Record; h.member == member && fmt.Sprint(got) != fmt.Sprint(want) || h.member != member && got.Op != protocol.OpNone {
			t.Fatalf("got %v of %s, want %v", got, key, h)
		}
	}
	if len(each) != len(plain) || size != wantSize || !maps.Equal(recent, wantRecent) {
		t.Fatalf("%d keys in %d bytes, recent %v, want %d in %d, %v", len(each), size, recent, len(plain), wantSize, wantRecent)
	}
}
