// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"encoding/binary"
	"testing"

	"github.com/cilium/ebpf/btf"

	"dalio/protocol"
)

// wireFields has, for each field of a message, one message in which that field
// alone is not zero, with every byte of it 0xA5.
var wireFields = map[string]protocol.Message{
	"type":          {Type: 0xA5},
	"op":            {Op: 0xA5},
	"status":        {Status: 0xA5},
	"attempt":       {Attempt: 0xA5},
	"hops":          {Hops: 0xA5},
	"epoch":         {Epoch: 0xA5A5A5A5},
	"replica":       {Replica: 0xA5A5A5A5},
	"version_epoch": {Version: protocol.Version{Epoch: 0xA5A5A5A5}},
	"digest":        {Digest: 0xA5A5A5A5},
	"seq":           {Version: protocol.Version{Seq: 0xA5A5A5A5A5A5A5A5}},
	"session":       {Session: 0xA5A5A5A5A5A5A5A5},
	"request":       {Request: 0xA5A5A5A5A5A5A5A5},
	"writer":        {Writer: 0xA5A5A5A5A5A5A5A5},
	"key_hash":      {KeyHash: 0xA5A5A5A5A5A5A5A5},
	"client": {Client: protocol.Address{IP: [4]byte{0xA5, 0xA5, 0xA5, 0xA5}, Port: 0xA5A5,
		MAC: [6]byte{0xA5, 0xA5, 0xA5, 0xA5, 0xA5, 0xA5}}},
	"sent": {Sent: 0xA5A5A5A5A5A5A5A5},
}

// TestLayout compares the C header with what the Go codec writes, field by
// field: offset and size come from the object's type information.
func TestLayout(t *testing.T) {
	spec, err := embedded(false)
	if err != nil {
		t.Fatal(err)
	}
	var message *btf.Struct
	if err := spec.Types.TypeByName("message", &message); err != nil {
		t.Fatal(err)
	}
	if message.Size != protocol.HeaderSize {
		t.Errorf("struct message has %d bytes, protocol.HeaderSize is %d", message.Size, protocol.HeaderSize)
	}
	empty := (&protocol.Message{}).Append(nil)
	if binary.BigEndian.Uint16(empty) != 0xDA10 || empty[2] != 2 {
		t.Errorf("magic and version are %x, wire.h has DA10 and 2", empty[:3])
	}
	for _, member := range message.Members {
		size, err := btf.Sizeof(member.Type)
		if err != nil {
			t.Fatal(err)
		}
		switch member.Name {
		case "magic", "version", "key_len", "value_len":
			continue
		}
		m, ok := wireFields[member.Name]
		if !ok {
			t.Errorf("field %s of struct message is not compared", member.Name)
		}
		for i, b := range m.Append(nil) {
			inside := i >= int(member.Offset.Bytes()) && i < int(member.Offset.Bytes())+size
			if inside && b != 0xA5 || !inside && b != empty[i] {
				t.Errorf("field %s is at %d with %d bytes in C, but Go has %#x in byte %d",
					member.Name, member.Offset.Bytes(), size, b, i)
				break
			}
		}
	}
}

// TestAddressLayout does the same for the parts of the return address, and for
// the two lengths, whose values the codec sets itself.
func TestAddressLayout(t *testing.T) {
	spec, err := embedded(false)
	if err != nil {
		t.Fatal(err)
	}
	offsets := map[string]uint32{}
	for _, name := range []string{"message", "address"} {
		var layout *btf.Struct
		if err := spec.Types.TypeByName(name, &layout); err != nil {
			t.Fatal(err)
		}
		for _, member := range layout.Members {
			offsets[name+"."+member.Name] = member.Offset.Bytes()
		}
	}
	base := offsets["message.client"]
	b := (&protocol.Message{Client: protocol.Address{IP: [4]byte{1}, Port: 0x0200, MAC: [6]byte{3}},
		Key: make([]byte, 4), Value: make([]byte, 5)}).Append(nil)
	for value, at := range map[byte]uint32{
		1: base + offsets["address.ip"],
		2: base + offsets["address.port"],
		3: base + offsets["address.mac"],
		4: offsets["message.key_len"] + 1,
		5: offsets["message.value_len"] + 1,
	} {
		if b[at] != value {
			t.Errorf("byte %d is %d, want %d: C and Go differ in the layout", at, b[at], value)
		}
	}
}
