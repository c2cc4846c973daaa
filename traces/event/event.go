// SPDX-License-Identifier: Apache-2.0

package event

import "fmt"

// Event is one line of an event trace. What an action has no use for is zero, and
// not in the line. Sets of replicas have a bit for each index.
type Event struct {
	// By is the teller, N the number of the event among its own, from 1 on.
	By string `json:"by"`
	N  uint64 `json:"n"`
	// Time is CLOCK_MONOTONIC in nanoseconds, when it was done.
	Time int64 `json:"time"`
	// Event is the action, as the specification names it.
	Event string `json:"event"`

	// Epoch is that which it was done in, and Members and Serving the sets that a
	// coordinator had then.
	Epoch   uint32 `json:"epoch,omitempty"`
	Members uint16 `json:"members,omitempty"`
	Serving uint16 `json:"serving,omitempty"`

	// Lane names the lane of a client that the event is of.
	Lane string `json:"lane,omitempty"`
	// The message that was handled, or the call of a client. Client is the address
	// that the answer goes to, "" if nobody waits for one.
	Client  string  `json:"client,omitempty"`
	Replica uint32  `json:"replica,omitempty"`
	Session Session `json:"session,omitempty"`
	Request uint64  `json:"request,omitempty,string"`
	Nonce   uint64  `json:"nonce,omitempty,string"`
	Key     Hash    `json:"key,omitempty"`
	Hops    uint8   `json:"hops,omitempty"`
	// Sent is when a coordinator had sent the read to the replica that replies, by the
	// clock of Time.
	Sent int64 `json:"sent,omitempty"`
	// Value stands for the contents that are written or were read: "" for those of
	// a key that is absent.
	Value   string  `json:"value,omitempty"`
	Version Version `json:"version,omitzero"`
	Writer  Session `json:"writer,omitempty"`

	// Sends is the type of the message that left, with Status in a response. It went
	// to Targets, if it was a Write, or to one replica, if it was a Read. Drop is why
	// none left.
	Sends   string `json:"sends,omitempty"`
	Status  string `json:"status,omitempty"`
	Targets uint16 `json:"targets,omitempty"`
	To      uint32 `json:"to,omitempty"`
	Drop    string `json:"drop,omitempty"`

	// Slot is what a coordinator found in the slot that it looked at.
	Slot *Slot `json:"slot,omitempty"`
	// Applied: the replica held nothing newer.
	Applied bool `json:"applied,omitempty"`

	// Membership is what a step of the membership is about.
	Membership *Membership `json:"membership,omitempty"`
}

// Slot is what an event tells of a slot of the session table.
type Slot struct {
	// Seq and Acks are those of its last write as they were found, or as they were
	// left if Changed. Acks are all bits once that is committed.
	Seq     uint64 `json:"seq"`
	Acks    uint16 `json:"acks"`
	Changed bool   `json:"changed,omitempty"`
	// Owner is whose the slot was, or became if Taken; 0 if that was not looked at.
	Owner Session `json:"owner,omitempty"`
	Taken bool    `json:"taken,omitempty"`
}

// Actions names the events of coordinators, replicas and clients, but for the Steps of
// the membership.
var Actions = []string{
	"HandleOpenRequest", "HandleWriteRequest", "HandleWriteAck", "HandleReadRequest", "HandleReadReply",
	"HandleWrite", "HandleRead",
	"InvokeRead", "InvokeWrite", "Retry", "Abandon", "HandleOpenResponse", "HandleWriteResponse", "HandleReadResponse",
	End,
}

// End is no action, but a teller's last event. Without it, others may be missing.
const End = "End"

// Session is a session id. Its text is EPOCH.COUNT.SLOT.
type Session uint64

// Parts of a session id, in bits.
const (
	slotBits  = 24
	countBits = 16
)

// Epoch is the epoch that the session was opened in, modulo 2^24; Count tells it
// from others of its Slot.
func (s Session) Epoch() uint32 { return uint32(s >> (slotBits + countBits)) }

// Count is which session of its slot, in that epoch, it is.
func (s Session) Count() uint16 { return uint16(s >> slotBits) }

// Slot is its place in the session table.
func (s Session) Slot() uint32 { return uint32(s) & (1<<slotBits - 1) }

func (s Session) String() string { return fmt.Sprintf("%d.%d.%d", s.Epoch(), s.Count(), s.Slot()) }

// MarshalText is for package json.
func (s Session) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText parses EPOCH.COUNT.SLOT.
func (s *Session) UnmarshalText(b []byte) error {
	var epoch uint32
	var count uint16
	var slot uint32
	if n, err := fmt.Sscanf(string(b), "%d.%d.%d", &epoch, &count, &slot); n != 3 || epoch >= 1<<24 || slot >= 1<<slotBits {
		return fmt.Errorf("session %q is not EPOCH.COUNT.SLOT (%v)", b, err)
	}
	*s = Session(epoch)<<(slotBits+countBits) | Session(count)<<slotBits | Session(slot)
	return nil
}

// Version is the version of a write. Its text is EPOCH.SEQ.
type Version struct {
	Epoch uint32
	Seq   uint64
}

func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Epoch, v.Seq) }

// IsZero has a line leave the zero version out.
func (v Version) IsZero() bool { return v == Version{} }

// MarshalText is for package json.
func (v Version) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText parses EPOCH.SEQ.
func (v *Version) UnmarshalText(b []byte) error {
	if n, err := fmt.Sscanf(string(b), "%d.%d", &v.Epoch, &v.Seq); n != 2 {
		return fmt.Errorf("version %q is not EPOCH.SEQ (%v)", b, err)
	}
	return nil
}

// Hash names a key. Its text is hexadecimal.
type Hash uint64

// MarshalText is for package json.
func (h Hash) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%016x", uint64(h)), nil }

// UnmarshalText parses 16 hexadecimal digits.
func (h *Hash) UnmarshalText(b []byte) error {
	if n, err := fmt.Sscanf(string(b), "%16x", (*uint64)(h)); n != 1 || len(b) != 16 {
		return fmt.Errorf("key %q is not a hash of 16 hexadecimal digits (%v)", b, err)
	}
	return nil
}
