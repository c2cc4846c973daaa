// SPDX-License-Identifier: Apache-2.0

package durable

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"dalio/impl/replica"
	"dalio/protocol"
)

// format is the version of what is on the disk. It goes up when an older program
// could not read it.
const format = 1

// The first byte of a key in the database says what is there.
const (
	membershipPrefix = 'm'
	recordPrefix     = 'r'
	sessionPrefix    = 's'
)

// The numbers of a record: version, writer, request, membership, digest, op.
const (
	recordHeader  = 4 + 8 + 8 + 8 + 4 + 4 + 1
	sessionHeader = 8 + 8 + 4 + 8 + 1 + 8 + 4
)

func recordKey[K string | []byte](key K) []byte {
	return append([]byte{recordPrefix}, key...)
}

func encodeRecord(r protocol.Record, member protocol.ReplicaID) []byte {
	b := make([]byte, 0, recordHeader+len(r.Value))
	b = appendVersion(b, r.Version)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Writer))
	b = binary.BigEndian.AppendUint64(b, r.Request)
	b = binary.BigEndian.AppendUint32(b, uint32(member))
	b = binary.BigEndian.AppendUint32(b, r.Digest)
	b = append(b, byte(r.Op))
	return append(b, r.Value...)
}

func decodeRecord(b []byte) (r protocol.Record, member protocol.ReplicaID, err error) {
	if len(b) < recordHeader {
		return r, 0, fmt.Errorf("a record of %d bytes, want %d at least", len(b), recordHeader)
	}
	r = protocol.Record{Version: version(b), Writer: protocol.SessionID(binary.BigEndian.Uint64(b[12:])), Request: binary.BigEndian.Uint64(b[20:]),
		Digest: binary.BigEndian.Uint32(b[32:]), Op: protocol.Op(b[36]), Value: b[recordHeader:]}
	return r, protocol.ReplicaID(binary.BigEndian.Uint32(b[28:])), nil
}

func appendVersion(b []byte, v protocol.Version) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(b, uint32(v.Epoch)), v.Seq)
}

func version(b []byte) protocol.Version {
	return protocol.Version{Epoch: protocol.Epoch(binary.BigEndian.Uint32(b)), Seq: binary.BigEndian.Uint64(b[4:])}
}

// sessionKey is by slot, so that the table on disk is no larger than in memory.
func sessionKey(r protocol.SessionRecord) []byte {
	return binary.BigEndian.AppendUint32([]byte{sessionPrefix}, uint32(r.Session.Slot()))
}

func encodeSession(r protocol.SessionRecord) []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, sessionHeader), uint64(r.Session))
	b = binary.BigEndian.AppendUint64(b, r.Request)
	b = append(appendVersion(b, r.Version), byte(r.Op))
	b = binary.BigEndian.AppendUint64(b, r.KeyHash)
	return binary.BigEndian.AppendUint32(b, r.Digest)
}

func decodeSession(b []byte) (r protocol.SessionRecord, err error) {
	if len(b) != sessionHeader {
		return r, fmt.Errorf("a session record of %d bytes, want %d", len(b), sessionHeader)
	}
	return protocol.SessionRecord{Session: protocol.SessionID(binary.BigEndian.Uint64(b)), Request: binary.BigEndian.Uint64(b[8:]),
		Version: version(b[16:]), Op: protocol.Op(b[28]), KeyHash: binary.BigEndian.Uint64(b[29:]), Digest: binary.BigEndian.Uint32(b[37:])}, nil
}

// kept is what is noted of the replica and its disk.
type kept struct {
	Format int    `json:"format"`
	Name   string `json:"name"`
	// Starts is how often the disk was opened.
	Starts     uint64             `json:"starts"`
	Membership replica.Membership `json:"membership"`
}

func (k *kept) encode() []byte {
	b, err := json.Marshal(k)
	if err != nil {
		panic(err) // It is made of numbers and strings.
	}
	return b
}
