// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"dalio/protocol"
)

func v(seq uint64) protocol.Version { return protocol.Version{Epoch: 1, Seq: seq} }

// TestAnswersAreTheModels: keys and values of all lengths, in tables with more and
// less room.
func TestAnswersAreTheModels(t *testing.T) {
	for _, room := range []int{MinRoom, DefaultRoom, MaxRoom} {
		g := newRig(t, Options{Room: room})
		seq := uint64(0)
		for keyLen := 1; keyLen <= min(protocol.MaxKeySize, room); keyLen++ {
			key := strings.Repeat("k", keyLen-1) + string(rune('a'+keyLen%26))
			for _, valueLen := range []int{0, 1, 2, 7, 8, 9, 63, 200, 216, 217, 1000, protocol.MaxPayloadSize} {
				if valueLen = min(valueLen, room-keyLen); valueLen+keyLen > protocol.MaxPayloadSize {
					continue
				}
				seq++
				g.put(t, key, strings.Repeat("v", max(0, valueLen-1))+"w"[:min(1, valueLen)], v(seq))
				g.mustAnswer(t, read(key, seq))
			}
		}
	}
}

// TestLeftToTheProcess: what the table has not, or must not answer.
func TestLeftToTheProcess(t *testing.T) {
	g := newRig(t, Options{})
	m := read("key", 1)
	g.mustPass(t, m, "absent")
	g.put(t, "key", "value", v(1))
	g.mustAnswer(t, m)
	long := read("a longer key", 1)
	g.put(t, "a longer key", "value", v(2))
	g.mustAnswer(t, long)
	long.Key = []byte("a longer kez")
	g.mustPass(t, long, "absent")

	for what, c := range map[string]struct {
		change func(m *protocol.Message)
		reason string
	}{
		"another key of the hash":  {func(m *protocol.Message) { m.Key = []byte("kez") }, "absent"},
		"a longer key of the hash": {func(m *protocol.Message) { m.Key = []byte("keys") }, "absent"},
		"a key of another hash":    {func(m *protocol.Message) { m.KeyHash++ }, "absent"},
		"... of the set and tag":   {func(m *protocol.Message) { m.KeyHash ^= 1 << 20 }, "absent"},
		"another epoch":            {func(m *protocol.Message) { m.Epoch = 2 }, "closed"},
		"another replica":          {func(m *protocol.Message) { m.Replica = 32 }, "closed"},
		"nobody":                   {func(m *protocol.Message) { m.Epoch, m.Replica = 0, 0 }, "closed"},
		"a write":                  {func(m *protocol.Message) { m.Type = protocol.Write }, "type"},
		"a probe":                  {func(m *protocol.Message) { m.Type, m.Key = protocol.Probe, nil }, "type"},
		"no key":                   {func(m *protocol.Message) { m.Key = nil }, "unusual"},
		"a value":                  {func(m *protocol.Message) { m.Value = []byte("v") }, "unusual"},
	} {
		t.Run(what, func(t *testing.T) {
			m := read("key", 1)
			c.change(&m)
			g.mustPass(t, m, c.reason)
		})
	}

	g.put(t, "key", strings.Repeat("v", DefaultRoom), v(3))
	g.mustPass(t, m, "absent")
	g.put(t, "key", "short again", v(4))
	g.mustAnswer(t, m)
	gone := put("key", "", v(5))
	gone.Op = protocol.OpDelete
	if _, refused := g.model.Handle(gone); refused != protocol.NotRefused {
		t.Fatal(refused)
	}
	g.mustPass(t, m, "absent")
}

// TestUnusualFrames: what the host's own stack would drop, or answer in another way,
// is left to it.
func TestUnusualFrames(t *testing.T) {
	g := newRig(t, Options{})
	g.put(t, "key", "value", v(1))
	m := read("key", 1)
	for what, c := range map[string]struct {
		change func(f []byte) []byte
		reason string
	}{
		"not IPv4":               {func(f []byte) []byte { f[12] = 0x86; return f }, ""},
		"for another address":    {func(f []byte) []byte { f[33]++; putChecksum(f); return f }, ""},
		"for another port":       {func(f []byte) []byte { f[37]++; return f }, ""},
		"TCP":                    {func(f []byte) []byte { f[23] = 6; putChecksum(f); return f }, ""},
		"cut in the header":      {func(f []byte) []byte { return f[:protocol.FrameOverhead+protocol.HeaderSize-1] }, ""},
		"IP options":             {func(f []byte) []byte { f[14] = 0x46; putChecksum(f); return f }, "unusual"},
		"a first fragment":       {func(f []byte) []byte { f[20] |= 0x20; putChecksum(f); return f }, "unusual"},
		"a later fragment":       {func(f []byte) []byte { f[21] = 1; putChecksum(f); return f }, "unusual"},
		"a damaged IP header":    {func(f []byte) []byte { f[22]++; return f }, "unusual"},
		"a UDP checksum":         {func(f []byte) []byte { f[41] = 1; return f }, "unusual"},
		"for another host":       {func(f []byte) []byte { f[5]++; return f }, "unusual"},
		"a multicast":            {func(f []byte) []byte { f[0] |= 1; return f }, "unusual"},
		"from port 0":            {func(f []byte) []byte { f[34], f[35] = 0, 0; return f }, "unusual"},
		"from address 0":         {func(f []byte) []byte { clear(f[26:30]); putChecksum(f); return f }, "unusual"},
		"from the loopback":      {func(f []byte) []byte { f[26] = 127; putChecksum(f); return f }, "unusual"},
		"from a multicast group": {func(f []byte) []byte { f[26] = 224; putChecksum(f); return f }, "unusual"},
		"from itself":            {func(f []byte) []byte { copy(f[26:30], self.IP[:]); putChecksum(f); return f }, "unusual"},
		"another magic":          {func(f []byte) []byte { f[42]++; return f }, "unusual"},
		"another wire version":   {func(f []byte) []byte { f[44]++; return f }, "unusual"},
		"a longer frame":         {func(f []byte) []byte { return append(f, 0) }, "unusual"},
		"a longer IP length":     {func(f []byte) []byte { f[17]++; putChecksum(f); return f }, "unusual"},
		"a longer UDP length":    {func(f []byte) []byte { f[39]++; return f }, "unusual"},
		"a value length of 1":    {func(f []byte) []byte { f[42+67] = 1; return f }, "unusual"},
		"a key length of 2":      {func(f []byte) []byte { f[42+65] = 2; return f }, "unusual"},
	} {
		t.Run(what, func(t *testing.T) {
			g.mustPassFrame(t, c.change(protocol.NewFrame(&m, coordinator, self)), c.reason)
		})
	}
	g.mustAnswer(t, m)
}

// TestMemberships: what is answered is of one membership, and no record outlives it.
func TestMemberships(t *testing.T) {
	g := newRig(t, Options{})
	g.put(t, "key", "value", v(1))
	g.mustAnswer(t, read("key", 1))

	g.model.Fence(2)
	g.show()
	g.mustPass(t, read("key", 2), "closed")
	later := read("key", 3)
	later.Epoch = 2
	g.mustPass(t, later, "closed")
	g.model.Open(2)
	g.show()
	g.mustAnswer(t, later)
	g.mustPass(t, read("key", 4), "closed")

	g.model.Expel(16)
	g.show()
	g.mustPass(t, later, "closed")
	g.assign(32, 2)
	later.Replica = 32
	g.mustPass(t, later, "absent")
	g.put(t, "key", "other", protocol.Version{Epoch: 2, Seq: 1})
	g.mustAnswer(t, later)
}

// sameSet returns keys that belong to one set of the smallest table.
func sameSet(n int) (keys []string) {
	const mask = MinKeys/ways - 1
	for i := 0; len(keys) < n; i++ {
		key := fmt.Sprint("key", i)
		if protocol.KeyHash([]byte(key))&mask == 5 {
			keys = append(keys, key)
		}
	}
	return keys
}

// TestFullSet: a full set takes no more keys that are written, and gives those that
// are read the place of others. What is not there is left to the process.
func TestFullSet(t *testing.T) {
	g := newRig(t, Options{})
	keys := sameSet(ways + 2)
	for i, key := range keys {
		g.put(t, key, "value of "+key, v(uint64(i+1)))
	}
	for _, key := range keys[:ways] {
		g.mustAnswer(t, read(key, 1))
	}
	g.mustPass(t, read(keys[ways], 1), "absent")

	// All are in use, so the hand takes the first; then the next one but the read.
	g.Admit([]byte(keys[ways]), g.Get([]byte(keys[ways])))
	g.mustAnswer(t, read(keys[ways], 2))
	g.mustPass(t, read(keys[0], 2), "absent")
	g.mustAnswer(t, read(keys[1], 2))
	g.Admit([]byte(keys[ways+1]), g.Get([]byte(keys[ways+1])))
	g.mustAnswer(t, read(keys[ways+1], 3))
	g.mustAnswer(t, read(keys[1], 3))
	g.mustPass(t, read(keys[2], 3), "absent")

	// A change of a key that lost its place, and of one that has one.
	g.put(t, keys[2], "changed", v(100))
	g.mustPass(t, read(keys[2], 4), "absent")
	g.put(t, keys[1], "changed", v(101))
	g.mustAnswer(t, read(keys[1], 4))
}

// TestHalfWritten: nothing is believed of a cell while it is written.
func TestHalfWritten(t *testing.T) {
	g := newRig(t, Options{})
	g.put(t, "key", "value", v(1))
	hash := protocol.KeyHash([]byte("key"))
	way, held := g.find(hash, []byte("key"))
	if !held {
		t.Fatal("the key is not in the table")
	}
	g.cell(hash, way).change(func(c *cell) {
		binary.BigEndian.PutUint64(c.seq[:], 2)
		g.mustPass(t, read("key", 1), "changing")
		binary.BigEndian.PutUint64(c.seq[:], 1)
	})
	g.mustAnswer(t, read("key", 1))
}

// maxHopsAnswered is MAX_HOPS_ANSWERED.
const maxHopsAnswered = 4

// TestReadsOfTheGateAreLeft: a read that was held back often waits at the process.
func TestReadsOfTheGateAreLeft(t *testing.T) {
	g := newRig(t, Options{})
	g.put(t, "key", "value", v(1))
	m := read("key", 1)
	for m.Hops = 0; m.Hops <= maxHopsAnswered; m.Hops++ {
		g.mustAnswer(t, m)
	}
	g.mustPass(t, m, "gated")
	m.Hops = protocol.MaxHops
	g.mustPass(t, m, "gated")
}

func TestOptions(t *testing.T) {
	for what, o := range map[string]Options{
		"no address":          {MAC: self.MAC},
		"every address":       {MAC: self.MAC, Address: netip.MustParseAddrPort("0.0.0.0:7411")},
		"no port":             {MAC: self.MAC, Address: netip.AddrPortFrom(selfAddr.Addr(), 0)},
		"IPv6":                {MAC: self.MAC, Address: netip.MustParseAddrPort("[::1]:7411")},
		"no hardware address": {Address: selfAddr},
		"too many keys":       {MAC: self.MAC, Address: selfAddr, Keys: MaxKeys + 1},
		"too much room":       {MAC: self.MAC, Address: selfAddr, Room: MaxRoom + 1},
		"too little room":     {MAC: self.MAC, Address: selfAddr, Room: 7},
	} {
		if r, err := Load(o); !errors.Is(err, ErrOptions) {
			t.Errorf("%s: %v, want %v", what, err, ErrOptions)
			if err == nil {
				_ = r.Close()
			}
		}
	}
	g := newRig(t, Options{Keys: 5000, Room: 100})
	if o := g.Options(); o.Keys != 8192 || o.Room != 104 || g.Size() != 8192/ways*(64+ways*(48+104)) {
		t.Errorf("%+v, and a table of %d bytes", o, g.Size())
	}
}
