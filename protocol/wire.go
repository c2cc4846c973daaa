// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// Sizes of the wire format, in bytes.
const (
	// HeaderSize is the fixed header at the start of every UDP payload.
	HeaderSize = 88
	// MaxKeySize is the longest key.
	MaxKeySize = 250
	// MaxPayloadSize bounds key and value together: what a 1,500-byte IPv4
	// packet holds beside the IPv4, UDP and Dalio headers.
	MaxPayloadSize = 1500 - ipv4HeaderSize - udpHeaderSize - HeaderSize
	// Port is the default UDP port of coordinators and replicas.
	Port = 7411

	magic       = 0xDA10
	wireVersion = 2
)

// MessageType says what a message asks or answers.
type MessageType uint8

// The message types. Requests and responses travel between clients and the
// coordinator, the others between the coordinator and the replicas.
const (
	OpenRequest MessageType = iota + 1
	OpenResponse
	ReadRequest
	ReadResponse
	WriteRequest
	WriteResponse
	Read
	ReadReply
	Write
	WriteAck
	// Probe and ProbeReply go between anybody and the coordinator, and between the
	// coordinator and replicas. They tell who is there, in which epoch, and change
	// nothing else.
	Probe
	ProbeReply
)

var messageTypeNames = [...]string{"none", "OpenRequest", "OpenResponse", "ReadRequest", "ReadResponse",
	"WriteRequest", "WriteResponse", "Read", "ReadReply", "Write", "WriteAck", "Probe", "ProbeReply"}

func (t MessageType) String() string { return nameOf(messageTypeNames[:], int(t)) }

// Op is what a write does, and in a read's answer what the version read was.
type Op uint8

// The operations. A read's answer with OpNone means that the key was never
// written, with OpDelete that its newest version is a tombstone.
const (
	OpNone Op = iota
	OpPut
	OpDelete
)

func (o Op) String() string { return nameOf([]string{"none", "put", "delete"}, int(o)) }

// Status is the outcome in a response; requests carry StatusNone.
type Status uint8

// The statuses. Only StatusOK settles a write: after any other one a duplicate
// of the request may still be sequenced.
const (
	StatusNone Status = iota
	StatusOK
	// StatusBusy: no room for another pending write or session now.
	StatusBusy
	// StatusExpired: the session is not, or no longer, in the coordinator's table.
	StatusExpired
	// StatusRefused: the request id was used before with another operation.
	StatusRefused
	// StatusTooFew: the shard has fewer members than it must have for new writes.
	StatusTooFew
)

func (s Status) String() string {
	return nameOf([]string{"none", "OK", "BUSY", "EXPIRED", "REFUSED", "TOO_FEW"}, int(s))
}

func nameOf(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("unknown(%d)", i)
}

// Epoch numbers the configurations of a shard; 0 is none.
type Epoch uint32

// ReplicaID names one membership of one replica: generation<<4 | index. The
// index is the replica's bit in acknowledging sets; an id is never used again
// after its replica has left.
type ReplicaID uint32

// Index returns the id's bit in acknowledging sets, 0 to 15.
func (r ReplicaID) Index() int { return int(r & (MaxMembers - 1)) }

// Version orders the writes of a shard; the zero Version is that of a key
// never written.
type Version struct {
	Epoch Epoch `json:"epoch"`
	// Seq counts the writes of the epoch, from 1 to MaxSeq.
	Seq uint64 `json:"seq"`
}

// Less says whether v is older than w.
func (v Version) Less(w Version) bool {
	return v.Epoch < w.Epoch || v.Epoch == w.Epoch && v.Seq < w.Seq
}

func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Epoch, v.Seq) }

// Address is where the answer to a request goes.
type Address struct {
	IP   [4]byte
	Port uint16
	MAC  [6]byte
}

// Message is one Dalio message, the payload of one UDP datagram. docs/wire.md
// gives the offset, unit and range of every field.
type Message struct {
	Type    MessageType
	Op      Op
	Status  Status
	Attempt uint8
	Hops    uint8
	Epoch   Epoch
	Replica ReplicaID
	Version Version
	Digest  uint32
	Session SessionID
	Request uint64
	Writer  SessionID
	// Sent is when the coordinator sent the message to a replica, which copies it
	// into its answer: nanoseconds of the coordinator's clock, which nobody else
	// reads. 0 elsewhere.
	Sent    uint64
	Client  Address
	KeyHash uint64
	Key     []byte
	Value   []byte
}

// Errors of Unmarshal; the data plane counts the same conditions as drops.
var (
	ErrBadLength  = errors.New("message length does not fit its header")
	ErrBadVersion = errors.New("not a Dalio message of wire version 2")
)

// Append appends the encoded message to b. It panics when key and value exceed
// MaxPayloadSize, which CheckSize lets callers rule out.
func (m *Message) Append(b []byte) []byte {
	if len(m.Key) > MaxKeySize || len(m.Key)+len(m.Value) > MaxPayloadSize {
		panic(fmt.Sprintf("protocol: message with key of %d and value of %d bytes", len(m.Key), len(m.Value)))
	}
	be := binary.BigEndian
	b = be.AppendUint16(b, magic)
	b = append(b, wireVersion, byte(m.Type), byte(m.Op), byte(m.Status), m.Attempt, m.Hops)
	b = be.AppendUint32(b, uint32(m.Epoch))
	b = be.AppendUint32(b, uint32(m.Replica))
	b = be.AppendUint32(b, uint32(m.Version.Epoch))
	b = be.AppendUint32(b, m.Digest)
	b = be.AppendUint64(b, m.Version.Seq)
	b = be.AppendUint64(b, uint64(m.Session))
	b = be.AppendUint64(b, m.Request)
	b = be.AppendUint64(b, uint64(m.Writer))
	b = be.AppendUint64(b, m.Sent)
	b = be.AppendUint16(b, uint16(len(m.Key)))
	b = be.AppendUint16(b, uint16(len(m.Value)))
	b = append(b, m.Client.IP[:]...)
	b = be.AppendUint16(b, m.Client.Port)
	b = append(b, m.Client.MAC[:]...)
	b = be.AppendUint64(b, m.KeyHash)
	b = append(b, m.Key...)
	return append(b, m.Value...)
}

// Unmarshal decodes b into m. Key and Value alias b. It checks lengths, magic
// and wire version only; what a message may say is checked by its handler.
func (m *Message) Unmarshal(b []byte) error {
	if len(b) < HeaderSize {
		return fmt.Errorf("%w: %d bytes, a header has %d", ErrBadLength, len(b), HeaderSize)
	}
	be := binary.BigEndian
	keyLen, valueLen := int(be.Uint16(b[64:])), int(be.Uint16(b[66:]))
	if HeaderSize+keyLen+valueLen != len(b) {
		return fmt.Errorf("%w: %d bytes, key %d and value %d", ErrBadLength, len(b), keyLen, valueLen)
	}
	if be.Uint16(b) != magic || b[2] != wireVersion {
		return fmt.Errorf("%w: magic %#x, version %d", ErrBadVersion, be.Uint16(b), b[2])
	}
	*m = Message{
		Type: MessageType(b[3]), Op: Op(b[4]), Status: Status(b[5]), Attempt: b[6], Hops: b[7],
		Epoch:   Epoch(be.Uint32(b[8:])),
		Replica: ReplicaID(be.Uint32(b[12:])),
		Version: Version{Epoch: Epoch(be.Uint32(b[16:])), Seq: be.Uint64(b[24:])},
		Digest:  be.Uint32(b[20:]),
		Session: SessionID(be.Uint64(b[32:])),
		Request: be.Uint64(b[40:]),
		Writer:  SessionID(be.Uint64(b[48:])),
		Sent:    be.Uint64(b[56:]),
		Client:  Address{IP: [4]byte(b[68:72]), Port: be.Uint16(b[72:]), MAC: [6]byte(b[74:80])},
		KeyHash: be.Uint64(b[80:]),
		Key:     b[HeaderSize : HeaderSize+keyLen : HeaderSize+keyLen],
		Value:   b[HeaderSize+keyLen:],
	}
	return nil
}

// ErrTooLarge says that a key or value does not fit one frame.
var ErrTooLarge = errors.New("key or value too large")

// ErrEmptyKey says that a key has no bytes.
var ErrEmptyKey = errors.New("empty key")

// CheckSize returns ErrEmptyKey or ErrTooLarge when key and value can't be sent.
func CheckSize(key, value []byte) error {
	switch {
	case len(key) == 0:
		return ErrEmptyKey
	case len(key) > MaxKeySize:
		return fmt.Errorf("%w: the key has %d bytes, at most %d are allowed", ErrTooLarge, len(key), MaxKeySize)
	case len(key)+len(value) > MaxPayloadSize:
		return fmt.Errorf("%w: key and value have %d bytes, at most %d fit one frame",
			ErrTooLarge, len(key)+len(value), MaxPayloadSize)
	}
	return nil
}

// KeyHash returns the 64-bit FNV-1a hash of key.
func KeyHash(key []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range key {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Digest returns the CRC-32C of key followed by value. It tells a retry from
// another request under the same id, and takes the place of the UDP checksum,
// which the coordinator leaves out.
func Digest(key, value []byte) uint32 {
	return crc32.Update(crc32.Update(0, castagnoli, key), castagnoli, value)
}
