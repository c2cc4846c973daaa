// SPDX-License-Identifier: Apache-2.0

package control

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"dalio/protocol"
)

const (
	maxMessage = protocol.HeaderSize + protocol.MaxPayloadSize
	lengthSize = 4
	sumSize    = 4
	bufferSize = 64 << 10
)

// ErrBadStream says that a stream of messages was damaged or cut off.
var ErrBadStream = errors.New("bad stream of messages")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Writer writes a stream of messages: for each its length in 4 bytes, the
// message, and its CRC-32C in 4 bytes; at the end a length of 0. All numbers are
// big-endian.
type Writer struct {
	w     *bufio.Writer
	frame []byte
}

// NewWriter returns a Writer. Its stream has ended only after Close.
func NewWriter(w io.Writer) *Writer {
	return &Writer{w: bufio.NewWriterSize(w, bufferSize), frame: make([]byte, 0, lengthSize+maxMessage+sumSize)}
}

// Write writes one message.
func (w *Writer) Write(m *protocol.Message) error {
	b := m.Append(w.frame[:lengthSize])
	binary.BigEndian.PutUint32(b, uint32(len(b)-lengthSize))
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b[lengthSize:], castagnoli))
	if _, err := w.w.Write(b); err != nil {
		return fmt.Errorf("write stream: %w", err)
	}
	return nil
}

// Close ends the stream. The writer below stays open.
func (w *Writer) Close() error {
	if _, err := w.w.Write(make([]byte, lengthSize)); err != nil {
		return fmt.Errorf("end stream: %w", err)
	}
	if err := w.w.Flush(); err != nil {
		return fmt.Errorf("end stream: %w", err)
	}
	return nil
}

// Reader reads what a Writer wrote. Its memory is bounded whatever it reads.
type Reader struct {
	r     *bufio.Reader
	frame []byte
	count int
}

// NewReader returns a Reader.
func NewReader(r io.Reader) *Reader {
	return &Reader{r: bufio.NewReaderSize(r, bufferSize), frame: make([]byte, maxMessage+sumSize)}
}

// Read reads one message, which is valid until the next Read. It returns io.EOF
// at the end that the Writer set, and ErrBadStream at any other.
func (r *Reader) Read(m *protocol.Message) error {
	var length [lengthSize]byte
	if _, err := io.ReadFull(r.r, length[:]); err != nil {
		return r.bad("cut off", err)
	}
	n := int(binary.BigEndian.Uint32(length[:]))
	if n == 0 {
		return io.EOF
	}
	if n < protocol.HeaderSize || n > maxMessage {
		return r.bad(fmt.Sprintf("a message of %d bytes, want %d to %d", n, protocol.HeaderSize, maxMessage), nil)
	}
	b := r.frame[:n+sumSize]
	if _, err := io.ReadFull(r.r, b); err != nil {
		return r.bad("cut off", err)
	}
	if sum := binary.BigEndian.Uint32(b[n:]); sum != crc32.Checksum(b[:n], castagnoli) {
		return r.bad("damaged on the way", nil)
	}
	if err := m.Unmarshal(b[:n]); err != nil {
		return r.bad("no message", err)
	}
	r.count++
	return nil
}

// bad says what is wrong with the message after those read. An error of the
// connection stays recognisable.
func (r *Reader) bad(what string, err error) error {
	if err == nil {
		return fmt.Errorf("%w: message %d: %s", ErrBadStream, r.count+1, what)
	}
	return fmt.Errorf("%w: message %d: %s: %w", ErrBadStream, r.count+1, what, err)
}
