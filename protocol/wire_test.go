// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"hash/fnv"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "rewrite the golden frames in testdata")

func anyMessage(t *rapid.T) Message {
	key := rapid.SliceOfN(rapid.Byte(), 0, MaxKeySize).Draw(t, "key")
	m := Message{
		Type:    MessageType(rapid.Byte().Draw(t, "type")),
		Op:      Op(rapid.Byte().Draw(t, "op")),
		Status:  Status(rapid.Byte().Draw(t, "status")),
		Attempt: rapid.Byte().Draw(t, "attempt"),
		Hops:    rapid.Byte().Draw(t, "hops"),
		Epoch:   Epoch(rapid.Uint32().Draw(t, "epoch")),
		Replica: ReplicaID(rapid.Uint32().Draw(t, "replica")),
		Version: Version{Epoch(rapid.Uint32().Draw(t, "version epoch")), rapid.Uint64().Draw(t, "seq")},
		Digest:  rapid.Uint32().Draw(t, "digest"),
		Session: SessionID(rapid.Uint64().Draw(t, "session")),
		Request: rapid.Uint64().Draw(t, "request"),
		Writer:  SessionID(rapid.Uint64().Draw(t, "writer")),
		KeyHash: rapid.Uint64().Draw(t, "key hash"),
		Sent:    rapid.Uint64().Draw(t, "sent"),
		Key:     key,
		Value:   rapid.SliceOfN(rapid.Byte(), 0, MaxPayloadSize-len(key)).Draw(t, "value"),
	}
	copy(m.Client.IP[:], rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "ip"))
	copy(m.Client.MAC[:], rapid.SliceOfN(rapid.Byte(), 6, 6).Draw(t, "mac"))
	m.Client.Port = rapid.Uint16().Draw(t, "port")
	return m
}

func TestEveryMessageSurvivesTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := anyMessage(t)
		wire := want.Append(nil)
		if len(wire) != HeaderSize+len(want.Key)+len(want.Value) {
			t.Fatalf("%d bytes on the wire", len(wire))
		}
		var got Message
		if err := got.Unmarshal(wire); err != nil {
			t.Fatal(err)
		}
		if again := got.Append(nil); !bytes.Equal(again, wire) {
			t.Fatalf("decoded and encoded again:\n%x\nwas\n%x", again, wire)
		}
		if got.Version != want.Version || got.Client != want.Client || !bytes.Equal(got.Value, want.Value) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	})
}

func TestTruncatedAndForeignMessagesAreRefused(t *testing.T) {
	m := Message{Type: ReadRequest, Request: 1, Key: []byte("key"), Value: []byte("value")}
	wire := m.Append(nil)
	var got Message
	for n := range len(wire) {
		if err := got.Unmarshal(wire[:n]); !errors.Is(err, ErrBadLength) {
			t.Errorf("first %d of %d bytes: %v", n, len(wire), err)
		}
	}
	if err := got.Unmarshal(append(wire, 0)); !errors.Is(err, ErrBadLength) {
		t.Errorf("one byte too many: %v", err)
	}
	for _, i := range []int{0, 1, 2} {
		foreign := bytes.Clone(wire)
		foreign[i]++
		if err := got.Unmarshal(foreign); !errors.Is(err, ErrBadVersion) {
			t.Errorf("byte %d changed: %v", i, err)
		}
	}
}

func TestCheckSize(t *testing.T) {
	for _, c := range []struct {
		key, value int
		want       error
	}{
		{0, 0, ErrEmptyKey},
		{1, 0, nil},
		{MaxKeySize, MaxPayloadSize - MaxKeySize, nil},
		{MaxKeySize + 1, 0, ErrTooLarge},
		{MaxKeySize, MaxPayloadSize - MaxKeySize + 1, ErrTooLarge},
		{1, MaxPayloadSize, ErrTooLarge},
	} {
		if err := CheckSize(make([]byte, c.key), make([]byte, c.value)); !errors.Is(err, c.want) {
			t.Errorf("key %d, value %d: %v, want %v", c.key, c.value, err, c.want)
		}
	}
	largest := Message{Key: make([]byte, MaxKeySize), Value: make([]byte, MaxPayloadSize-MaxKeySize)}
	if frame := NewFrame(&largest, Address{}, Address{}); len(frame) != ethernetHeaderSize+1500 {
		t.Errorf("the largest message makes a frame of %d bytes", len(frame))
	}
}

func TestKeyHashIsFNV1a(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOf(rapid.Byte()).Draw(t, "key")
		h := fnv.New64a()
		h.Write(key)
		if KeyHash(key) != h.Sum64() {
			t.Fatalf("%x: %x, want %x", key, KeyHash(key), h.Sum64())
		}
	})
}

// goldenFrames are one frame of each kind, with every field that the kind uses
// set to something recognisable, for people who write a client or a replica in
// another language. docs/wire.md explains them.
func goldenFrames() map[string][]byte {
	client := Address{[4]byte{10, 77, 0, 20}, 40001, [6]byte{2, 0, 10, 77, 0, 20}}
	coordinator := Address{[4]byte{10, 77, 0, 1}, Port, [6]byte{2, 0, 10, 77, 0, 1}}
	replica := Address{[4]byte{10, 77, 0, 11}, Port, [6]byte{2, 0, 10, 77, 0, 11}}
	key, value := []byte("greeting"), []byte("hello, world")
	session := MintSessionID(1, 3, 7)
	write := Message{Type: WriteRequest, Op: OpPut, Session: session, Request: 42,
		KeyHash: KeyHash(key), Digest: Digest(key, value), Key: key, Value: value}
	c := Coordinator{Self: coordinator, Epoch: 1, NextSeq: 99, Now: 7_000_000_000, Lease: 200_000_000, Members: 1, Serving: 1, Sessions: make([]SessionEntry, 8)}
	c.Known[0] = Member{ID: 16, Address: replica}
	c.Answered[0] = c.Now
	c.Sessions[7] = SessionEntry{Owner: MintSessionID(1, 2, 7)}
	r := Replica{ID: 16, Epoch: 1, Store: MemoryStore{}}

	frames := map[string][]byte{}
	turn := func(request, sent, answer, response string, in []byte) {
		frames[request] = in
		out := c.HandleFrame(in)
		if sent == "" {
			frames[response] = out.Frame
			return
		}
		forwarded := out.Frame
		if out.Verdict == Multicast {
			forwarded = out.Clones[0]
		}
		frames[sent] = forwarded
		var m Message
		if err := m.Unmarshal(frame(forwarded).payload()); err != nil {
			panic(err)
		}
		reply, _ := r.Handle(m)
		frames[answer] = NewFrame(&reply, replica, coordinator)
		frames[response] = c.HandleFrame(frames[answer]).Frame
	}
	turn("open_request", "", "", "open_response", NewFrame(&Message{Type: OpenRequest, Request: 7}, client, coordinator))
	turn("write_request", "write", "write_ack", "write_response", NewFrame(&write, client, coordinator))
	turn("read_request", "read", "read_reply", "read_response", NewFrame(&Message{Type: ReadRequest, Session: session,
		Request: 43, KeyHash: KeyHash(key), Key: key}, client, coordinator))
	probe := Message{Type: Probe, Request: 5, Sent: 7_000_000_000}
	frames["probe"] = NewFrame(&probe, coordinator, replica)
	reply, _ := r.Handle(probe)
	frames["probe_reply"] = NewFrame(&reply, replica, coordinator)
	return frames
}

func TestGoldenFrames(t *testing.T) {
	frames := goldenFrames()
	if len(frames) != len(messageTypeNames)-1 {
		t.Fatalf("%d frames for %d message types", len(frames), len(messageTypeNames)-1)
	}
	for name, frame := range frames {
		path := filepath.Join("testdata", "frames", name+".hex")
		got := hex.Dump(frame)
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.TrimSpace(string(want)) != strings.TrimSpace(got) {
			t.Errorf("%s is now\n%s, was\n%s", name, got, want)
		}
	}
}

// FuzzUnmarshal decodes any bytes: what is refused is no message, and what is
// accepted is encoded to the same bytes.
func FuzzUnmarshal(f *testing.F) {
	for _, frame := range goldenFrames() {
		f.Add(frame[FrameOverhead:])
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		var m Message
		err := m.Unmarshal(wire)
		whole := len(wire) >= HeaderSize &&
			len(wire) == HeaderSize+int(wire[64])<<8+int(wire[65])+int(wire[66])<<8+int(wire[67])
		if isMessage := whole && bytes.HasPrefix(wire, []byte{0xDA, 0x10, wireVersion}); (err == nil) != isMessage {
			t.Fatalf("%x is a message: %v; decoding it says %v", wire, isMessage, err)
		}
		if err == nil && len(m.Key) <= MaxKeySize && len(m.Key)+len(m.Value) <= MaxPayloadSize && !bytes.Equal(m.Append(nil), wire) {
			t.Fatalf("%x decodes to %+v, which encodes to %x", wire, m, m.Append(nil))
		}
	})
}

// TestAppendRefusesWhatDoesNotFit: what CheckSize refuses can't be encoded.
func TestAppendRefusesWhatDoesNotFit(t *testing.T) {
	for _, c := range []struct {
		key, value int
		fits       bool
	}{{MaxKeySize, MaxPayloadSize - MaxKeySize, true}, {1, MaxPayloadSize - 1, true}, {0, 0, true}, {MaxKeySize + 1, 0, false},
		{MaxKeySize, MaxPayloadSize - MaxKeySize + 1, false}, {1, MaxPayloadSize, false}} {
		m := Message{Key: make([]byte, c.key), Value: make([]byte, c.value)}
		fits := func() (fits bool) {
			defer func() { fits = recover() == nil }()
			m.Append(nil)
			return true
		}()
		if fits != c.fits {
			t.Errorf("a key of %d and a value of %d bytes: encoded %v, want %v", c.key, c.value, fits, c.fits)
		}
	}
}

// TestUnmarshalSaysWhatIsWrong: the error names what was found.
func TestUnmarshalSaysWhatIsWrong(t *testing.T) {
	wire := (&Message{Type: 9}).Append(nil)
	wire[2] = 7
	var m Message
	if err := m.Unmarshal(wire); !errors.Is(err, ErrBadVersion) || !strings.Contains(err.Error(), "version 7") {
		t.Errorf("wire version 7: %v", err)
	}
}
