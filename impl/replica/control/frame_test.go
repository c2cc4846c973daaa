// SPDX-License-Identifier: Apache-2.0

package control

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"dalio/protocol"
)

func testMessages(n int) []protocol.Message {
	var all []protocol.Message
	for i := range n {
		all = append(all, protocol.Message{Type: protocol.Write, Op: protocol.OpPut, Request: uint64(i),
			Key: fmt.Appendf(nil, "key-%d", i), Value: bytes.Repeat([]byte{byte(i)}, i*137%protocol.MaxPayloadSize/2)})
	}
	return all
}

func encode(t testing.TB, messages []protocol.Message) []byte {
	t.Helper()
	var out bytes.Buffer
	w := NewWriter(&out)
	for i := range messages {
		if err := w.Write(&messages[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// decode returns how many messages could be read, and why no more.
func decode(r io.Reader, each func(i int, m *protocol.Message)) (int, error) {
	in := NewReader(r)
	var m protocol.Message
	for n := 0; ; n++ {
		if err := in.Read(&m); err != nil {
			return n, err
		}
		each(n, &m)
	}
}

func TestStreamComesAsItWent(t *testing.T) {
	sent := append(testMessages(50), protocol.Message{Key: make([]byte, protocol.MaxKeySize),
		Value: make([]byte, protocol.MaxPayloadSize-protocol.MaxKeySize)})
	n, err := decode(iotest.OneByteReader(bytes.NewReader(encode(t, sent))), func(i int, m *protocol.Message) {
		if !bytes.Equal(m.Append(nil), sent[i].Append(nil)) {
			t.Errorf("message %d came as %+v", i, m)
		}
	})
	if n != len(sent) || err != io.EOF {
		t.Errorf("%d of %d messages, %v", n, len(sent), err)
	}
	if n, err := decode(bytes.NewReader(encode(t, nil)), nil); n != 0 || err != io.EOF {
		t.Errorf("an empty stream: %d messages, %v", n, err)
	}
}

// TestDamagedStreams cuts a stream at every length, and changes each of its bytes.
func TestDamagedStreams(t *testing.T) {
	whole := encode(t, testMessages(3))
	ignore := func(int, *protocol.Message) {}
	for n := range whole {
		_, err := decode(bytes.NewReader(whole[:n]), ignore)
		if !errors.Is(err, ErrBadStream) || !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("cut off after %d of %d bytes: %v", n, len(whole), err)
		}
	}
	for i := range whole {
		damaged := bytes.Clone(whole)
		damaged[i] ^= 0x10
		if n, err := decode(bytes.NewReader(damaged), ignore); err == io.EOF {
			t.Fatalf("byte %d of %d changed: %d messages, and a good end", i, len(whole), n)
		}
	}
}

func TestBadFramesAreExplained(t *testing.T) {
	good := encode(t, testMessages(1))
	for want, stream := range map[string][]byte{
		"4294967295 bytes":   {255, 255, 255, 255},
		"1 bytes, want 88":   {0, 0, 0, 1, 0},
		"message 2: cut off": append(bytes.Clone(good[:len(good)-lengthSize]), 0, 0, 0, 88),
	} {
		if _, err := decode(bytes.NewReader(stream), func(int, *protocol.Message) {}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestStreamEndsWithItsWriter(t *testing.T) {
	full := errors.New("no more")
	w := NewWriter(iotestWriter{full})
	if err := w.Close(); !errors.Is(err, full) {
		t.Errorf("closed with %v", err)
	}
	m := protocol.Message{Value: make([]byte, 1000)}
	var err error
	for range 2 * bufferSize / 1000 {
		err = w.Write(&m)
	}
	if !errors.Is(err, full) {
		t.Errorf("written with %v", err)
	}
}

type iotestWriter struct{ err error }

func (w iotestWriter) Write([]byte) (int, error) { return 0, w.err }

// FuzzStream reads any bytes as a stream: none may make the reader panic, and what
// it takes is what a Writer writes for it.
func FuzzStream(f *testing.F) {
	f.Add(encode(f, testMessages(3)))
	f.Add(encode(f, nil))
	f.Add([]byte{0, 0, 0, 88, 1})
	f.Fuzz(func(t *testing.T, stream []byte) {
		var again bytes.Buffer
		w := NewWriter(&again)
		n, err := decode(bytes.NewReader(stream), func(_ int, m *protocol.Message) {
			if len(m.Key) > protocol.MaxKeySize {
				t.Skip("the reader leaves the fields to whoever uses them")
			}
			if err := w.Write(m); err != nil {
				t.Fatal(err)
			}
		})
		if err != io.EOF {
			if !errors.Is(err, ErrBadStream) {
				t.Fatalf("after %d messages: %v", n, err)
			}
			return
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(stream, again.Bytes()) {
			t.Fatalf("%x was read as %d messages, which are written as %x", stream, n, again.Bytes())
		}
	})
}
