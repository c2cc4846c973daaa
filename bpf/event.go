// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"dalio/protocol"
)

const (
	// eventRing is the size of the ring of events, in bytes: room for a quarter of a
	// million of them, which is what comes in a second while nobody reads.
	eventRing = 64 << 20
	// eventSize is that of struct event in event.h.
	eventSize = 64 + 2*protocol.HeaderSize
	// eventHeader is what the ring puts before each.
	eventHeader = 8
)

// What an event tells of the slot, as in event.h.
const (
	slotWord = 1 << iota
	slotChanged
	slotOwner
	slotTaken
)

// ErrNoEvents is returned by Events for a data plane that was loaded without them.
var ErrNoEvents = errors.New("the data plane was not loaded to tell events")

// Event is one message that a handler of the program took, and what came of it.
type Event struct {
	// Number counts the events of a Processor. A gap is an event that found no room
	// in the ring.
	Number    uint64
	Processor uint32
	// Time is CLOCK_MONOTONIC, in nanoseconds, when the message had been handled.
	Time uint64
	// Epoch, Members and Serving are what the message was handled under; the sets
	// are of indices.
	Epoch            protocol.Epoch
	Members, Serving uint16
	// Action is the handler's name.
	Action string
	// From is who sent In. Key and value of messages are not told.
	From protocol.Address
	In   protocol.Message
	// Reason is why In was dropped. If it was not, Out left: to Targets if that is
	// not empty.
	Reason  protocol.Reason
	Out     protocol.Message
	Targets uint16
	// Seq and Acks are those of the slot that the handler looked at, if it looked at
	// one: as it found them, or as it left them if Changed.
	Word    bool
	Seq     uint64
	Acks    uint16
	Changed bool
	// Owner is the slot's owner as the handler found it, or left it if Taken; 0 if
	// it did not look.
	Owner protocol.SessionID
	Taken bool
}

// Committed says whether the slot's write was committed.
func (e *Event) Committed() bool { return e.Acks == committedAcks || e.Seq == 0 && e.Acks == 0 }

// EventReader reads the events of a data plane. Only one may be open at a time. It
// outlives the data plane.
type EventReader struct {
	id     ebpf.MapID
	events *ebpf.Map
	parts  *ebpf.Map
	ring   *ringbuf.Reader
	raw    ringbuf.Record
	// produced is the page of the ring that says how far it was written, if Kept was
	// asked.
	produced []byte
}

// Events returns a reader of the events that nobody has read yet, or ErrNoEvents.
// The caller must Close it.
func (d *DataPlane) Events() (*EventReader, error) {
	maps, err := openMaps(d.objects.Coordinator)
	if err != nil {
		return nil, fmt.Errorf("find the ring of events: %w", err)
	}
	r := &EventReader{events: maps[eventsMap], parts: maps[eventPartsMap]}
	delete(maps, eventsMap)
	delete(maps, eventPartsMap)
	if err := closeMaps(maps); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	if r.events == nil || r.parts == nil {
		return nil, errors.Join(ErrNoEvents, r.Close())
	}
	info, err := r.events.Info()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("find the ring of events: %w", err), r.Close())
	}
	r.id, _ = info.ID()
	if r.ring, err = ringbuf.NewReader(r.events); err != nil {
		return nil, errors.Join(fmt.Errorf("open the ring of events: %w", err), r.Close())
	}
	return r, nil
}

// Told returns how many events each processor has told, those that found no room
// among them.
func (r *EventReader) Told() ([]uint64, error) {
	var parts [][eventSize]byte
	if err := r.parts.Lookup(uint32(0), &parts); err != nil {
		return nil, fmt.Errorf("read how many events there were: %w", err)
	}
	told := make([]uint64, len(parts))
	for processor := range parts {
		told[processor] = binary.NativeEndian.Uint64(parts[processor][:])
	}
	return told, nil
}

// Kept returns how many events have found room in the ring, read or not.
func (r *EventReader) Kept() (uint64, error) {
	if r.produced == nil {
		var err error
		page := os.Getpagesize()
		if r.produced, err = unix.Mmap(r.events.FD(), int64(page), page, unix.PROT_READ, unix.MAP_SHARED); err != nil {
			return 0, fmt.Errorf("map the ring of events: %w", err)
		}
	}
	// The kernel writes it at any time.
	return atomic.LoadUint64((*uint64)(unsafe.Pointer(&r.produced[0]))) / (eventHeader + eventSize), nil
}

// File returns the ring's map, for another process to empty. The caller must Close it.
func (r *EventReader) File() (*os.File, error) {
	fd, err := unix.FcntlInt(uintptr(r.events.FD()), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("duplicate the ring of events: %w", err)
	}
	return os.NewFile(uintptr(fd), "events"), nil
}

// ID is a number of the ring's that no other had, since the machine was started.
func (r *EventReader) ID() uint32 { return uint32(r.id) }

// Read waits for the next event until the deadline, and returns
// os.ErrDeadlineExceeded when that has passed and the ring is empty. After Close it
// returns os.ErrClosed.
func (r *EventReader) Read(e *Event, deadline time.Time) error {
	r.ring.SetDeadline(deadline)
	switch err := r.ring.ReadInto(&r.raw); {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, os.ErrClosed):
		return err
	case err != nil:
		return fmt.Errorf("read the ring of events: %w", err)
	}
	if err := e.decode(r.raw.RawSample); err != nil {
		return fmt.Errorf("read the ring of events: %w", err)
	}
	return nil
}

// Close gives the ring up, and ends a Read.
func (r *EventReader) Close() error {
	var problems []error
	if r.ring != nil {
		problems = append(problems, r.ring.Close())
	}
	if r.produced != nil {
		problems = append(problems, unix.Munmap(r.produced))
	}
	return errors.Join(append(problems, r.events.Close(), r.parts.Close())...)
}

// decode reads struct event.
func (e *Event) decode(b []byte) error {
	if len(b) != eventSize {
		return fmt.Errorf("%d bytes, an event has %d", len(b), eventSize)
	}
	ne := binary.NativeEndian
	word, slot := ne.Uint64(b[16:]), b[46]
	*e = Event{
		Number: ne.Uint64(b), Time: ne.Uint64(b[8:]), Processor: ne.Uint32(b[32:]),
		Epoch: protocol.Epoch(ne.Uint32(b[36:])), Members: ne.Uint16(b[40:]), Serving: ne.Uint16(b[42:]), Targets: ne.Uint16(b[44:]),
		Reason: protocol.Reason(b[47]),
		From:   protocol.Address{IP: [4]byte(b[48:52]), Port: binary.BigEndian.Uint16(b[52:]), MAC: [6]byte(b[54:60])},
		Word:   slot&slotWord != 0, Seq: word >> protocol.MaxMembers, Acks: uint16(word), Changed: slot&slotChanged != 0,
		Owner: protocol.SessionID(ne.Uint64(b[24:])), Taken: slot&slotTaken != 0,
	}
	if err := decodeHeader(&e.In, b[64:][:protocol.HeaderSize]); err != nil {
		return err
	}
	if e.In.Type == protocol.OpenRequest && e.Owner == 0 {
		e.Word = false // It is that of a slot which the search passed by.
	}
	e.Action = actionOf[e.In.Type]
	if e.Reason != protocol.NotDropped {
		return nil
	}
	return decodeHeader(&e.Out, b[64+protocol.HeaderSize:])
}

// decodeHeader decodes a message of which only the header is there.
func decodeHeader(m *protocol.Message, b []byte) error {
	b[64], b[65], b[66], b[67] = 0, 0, 0, 0 // The lengths of key and value.
	return m.Unmarshal(b)
}

var actionOf = map[protocol.MessageType]string{protocol.OpenRequest: actionNames[0], protocol.WriteRequest: actionNames[1],
	protocol.WriteAck: actionNames[2], protocol.ReadRequest: actionNames[3], protocol.ReadReply: actionNames[4]}
