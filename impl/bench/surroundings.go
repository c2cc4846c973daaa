// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"dalio/protocol"
)

// faultNames are in the order of enum fault.
var faultNames = [...]string{"unknown lane", "status not OK", "not of the open request", "wrong key, digest or length",
	"version older than one committed before", "bad request to a replica", "no message of a coordinator",
	"not of Dalio", "no room for a value", "after the deadline"}

// faultForeign is the index of FAULT_FOREIGN.
const faultForeign = 7

var _ = surroundingsTally{}.Faults == [len(faultNames)]uint64{}

// ErrLanesLost is returned when frames got lost: a lane whose frame is gone
// makes no more load.
var ErrLanesLost = errors.New("lanes lost")

// ErrWrongAnswers is returned when the coordinator gave answers that do not count.
var ErrWrongAnswers = errors.New("wrong answers")

// Surroundings are the clients and replicas of a site, in the kernel.
type Surroundings struct {
	site    *Site
	objects surroundingsObjects
	link    io.Closer
	orders  surroundingsOrders
	// knows is what the coordinator knows of messages. Where that is nothing the replicas
	// answer clients themselves, and nothing is written.
	knows Knowledge
	// ended is how many lanes ended before what is measured began, and pending how
	// many never will.
	ended, pending int
	// socket sends the first frames. Closing it waits for the kernel to have nobody
	// look at it any more, which takes long while there is load.
	socket int
	// thread receives for the outside device.
	thread int
}

// Surround puts clients and replicas around the site's coordinator. They are
// silent until they are given work. How answers are judged depends on what the
// coordinator knows.
func Surround(site *Site, knows Knowledge) (*Surroundings, error) {
	spec, err := loadSurroundings()
	if err != nil {
		return nil, err
	}
	if err := configureSurroundings(spec, site.Settings, knows); err != nil {
		return nil, fmt.Errorf("configure the surroundings: %w", err)
	}
	s := &Surroundings{site: site, knows: knows, socket: -1}
	if err := spec.LoadAndAssign(&s.objects, nil); err != nil {
		return nil, fmt.Errorf("load the surroundings: %w", explain(err))
	}
	err = site.Do(func() error {
		var err error
		s.link, err = link.AttachXDP(link.XDPOptions{Program: s.objects.Surroundings, Interface: site.Outside,
			Flags: link.XDPDriverMode})
		if err != nil {
			return err
		}
		s.socket, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("attach the surroundings: %w", err), s.Close())
	}
	if s.thread, err = site.receiver(site.outsideName, site.Settings.SurroundingsCPU); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := s.furnish(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// explain adds what the verifier said.
func explain(err error) error {
	var verifier *ebpf.VerifierError
	if errors.As(err, &verifier) {
		return fmt.Errorf("%w\n%+v", err, verifier)
	}
	return err
}

func configureSurroundings(spec *ebpf.CollectionSpec, s Settings, knows Knowledge) error {
	var replicas [protocol.MaxMembers]surroundingsPeer
	for i, m := range s.members() {
		replicas[i] = toPeer(m)
	}
	is := func(k Knowledge) uint32 {
		if k == knows {
			return 1
		}
		return 0
	}
	for name, value := range map[string]any{
		surroundingsVarCoordinator:   toPeer(protocol.Member{Address: self()}),
		surroundingsVarReplicas:      replicas,
		surroundingsVarReplicaCount:  uint32(s.Replicas),
		surroundingsVarEpoch:         uint32(epoch),
		surroundingsVarLaneCount:     uint32(s.Lanes),
		surroundingsVarFirstPort:     uint32(firstPort),
		surroundingsVarKeyCount:      uint32(s.Keys),
		surroundingsVarRegisterCount: uint32(s.registers()),
		surroundingsVarKeyLen:        uint32(s.KeySize),
		surroundingsVarValueLen:      uint32(s.ValueSize),
		surroundingsVarAudited:       is(Versions),
		surroundingsVarDirect:        is(Nothing),
	} {
		if err := spec.Variables[name].Set(value); err != nil {
			return err
		}
	}
	return nil
}

func toPeer(m protocol.Member) surroundingsPeer {
	ne := binary.NativeEndian
	p := surroundingsPeer{Id: uint32(m.ID)}
	p.Address.Ip = ne.Uint32(m.Address.IP[:])
	p.Address.Port = ne.Uint16(binary.BigEndian.AppendUint16(nil, m.Address.Port))
	for i := range p.Address.Mac {
		p.Address.Mac[i] = ne.Uint16(m.Address.MAC[2*i:])
	}
	return p
}

// furnish fills the tables of registers and lanes.
func (s *Surroundings) furnish() error {
	for i, key := range makeKeys(s.site.Settings.registers(), s.site.Settings.KeySize) {
		value := makeValue(i, s.site.Settings.ValueSize)
		entry := surroundingsKeyRegister{Hash: protocol.KeyHash(key), Digest: protocol.Digest(key, value)}
		copy(entry.Payload[:], append(key, value...))
		if err := s.objects.Registers.Put(uint32(i), &entry); err != nil {
			return fmt.Errorf("enter key %d: %w", i, err)
		}
	}
	for i := range s.site.Settings.Lanes {
		lane := surroundingsLane{Key: uint32(i), Awaits: uint32(protocol.OpenResponse)}
		if s.knows == Nothing {
			// Nobody opens sessions, and without any the answers of lanes would be alike.
			lane.Session = uint64(i + 1)
		}
		lane.Address = toPeer(protocol.Member{Address: s.site.Settings.client(i)}).Address
		if err := s.objects.Lanes.Put(uint32(i), &lane); err != nil {
			return fmt.Errorf("enter lane %d: %w", i, err)
		}
	}
	return nil
}

// makeKeys makes keys such that the low bits of a key's hash are its index, so
// that the program finds a key by its hash without a table.
func makeKeys(count, size int) [][]byte {
	keys := make([][]byte, count)
	key := make([]byte, size)
	copy(key, "key-")
	for n, found := uint64(0), 0; found < count; n++ {
		binary.BigEndian.PutUint64(key[size-8:], n)
		if i := protocol.KeyHash(key) % uint64(count); keys[i] == nil {
			keys[i] = append([]byte(nil), key...)
			found++
		}
	}
	return keys
}

func makeValue(key, size int) []byte {
	value := make([]byte, size)
	for i := range value {
		value[i] = byte(key + i)
	}
	return value
}

// order changes what the program does from the next frame on.
func (s *Surroundings) order(change func(*surroundingsOrders)) error {
	change(&s.orders)
	if err := s.objects.Control.Set(&s.orders); err != nil {
		return fmt.Errorf("give orders to the surroundings: %w", err)
	}
	return nil
}

// Work says what the lanes do.
type Work struct {
	// Writes is the share of writes, in thousandths.
	Writes int
	// InTurn takes the keys in turn, to fill them all, and not at random.
	InTurn bool
	// Echo expects back what was sent.
	Echo bool
	// Pending is how many of the first lanes have a write open all the time, each of
	// the key with its number, which the last replica has lost and all others have
	// acknowledged. The lanes after them read without sessions, as there may be none left.
	Pending int
	// Timed has it noted how long each operation takes.
	Timed bool
}

// Start sends the first frame of each lane. All load ends after the time given,
// whether or not anybody stops it.
func (s *Surroundings) Start(w Work, longest time.Duration) error {
	return s.site.Do(func() error { return s.begin(w, longest) })
}

// begin is Start on the site's thread.
func (s *Surroundings) begin(w Work, longest time.Duration) error {
	if err := s.Change(w, longest); err != nil {
		return err
	}
	return s.seed(s.opens(w), 0, s.site.Settings.Lanes)
}

// opens says whether lanes that do this work open sessions.
func (s *Surroundings) opens(w Work) bool { return !w.Echo && s.knows != Nothing }

// Change gives the lanes other work.
func (s *Surroundings) Change(w Work, longest time.Duration) error {
	if s.knows == Nothing && (w.Writes > 0 || w.Echo) {
		return fmt.Errorf("%w: a balancer is measured by reads alone", ErrSettings)
	}
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC_COARSE, &now); err != nil {
		return fmt.Errorf("read the clock: %w", err)
	}
	return s.order(func(o *surroundingsOrders) {
		*o = surroundingsOrders{Deadline: uint64(now.Nano() + longest.Nanoseconds()), Writes: uint32(w.Writes)}
		if w.InTurn {
			o.Choice = choiceInTurn
		}
		if w.Pending > 0 {
			o.Withhold = 1
		}
		if w.Echo {
			o.Echo = 1
		}
		if w.Timed {
			o.Timed = 1
		}
	})
}

// The choices of keys in surroundings.h; at random is 0.
const (
	choiceInTurn = 1 + iota
	choiceOwn
)

// seed has lanes begin, by frames through a packet socket. They go by the coordinator's
// device to the surroundings, which send them back as the lanes' own: so a frame is
// from the start as long as the longest that it will hold. With open each lane opens a
// session; without, it goes on with the one it has, or none.
func (s *Surroundings) seed(open bool, from, to int) error {
	device := &unix.SockaddrLinklayer{Ifindex: s.site.Coordinator}
	for i := from; i < to; i++ {
		m := protocol.Message{Type: protocol.OpenRequest, Request: uint64(i+1) * protocol.OpenWindow,
			Value: make([]byte, s.site.Settings.KeySize+s.site.Settings.ValueSize)}
		if !open {
			m.Type = protocol.ReadRequest
		}
		frame := protocol.NewFrame(&m, self(), s.site.Settings.client(i))
		// No message has this version, so the surroundings know it for a beginning.
		frame[protocol.FrameOverhead+2] = 0
		if err := sendPatiently(s.socket, frame, device); err != nil {
			return fmt.Errorf("send the first frame of lane %d: %w", i, err)
		}
	}
	return nil
}

// sendPatiently waits for room in a ring that the lanes before keep full.
func sendPatiently(socket int, frame []byte, to unix.Sockaddr) error {
	const patience = time.Second
	for deadline := time.Now().Add(patience); ; {
		err := unix.Sendto(socket, frame, 0, to)
		if !errors.Is(err, unix.ENOBUFS) || time.Now().After(deadline) {
			return err
		}
		if err := pause(context.Background(), 100*time.Microsecond); err != nil {
			return err
		}
	}
}

// Stop ends each lane after its open request and waits for all. It returns
// ErrLanesLost when some never end, and ErrWrongAnswers when answers came that
// did not count.
func (s *Surroundings) Stop() error {
	if err := s.order(func(o *surroundingsOrders) { o.Stop = 1 }); err != nil {
		return err
	}
	const patience = time.Second
	for deadline := time.Now().Add(patience); ; {
		c, err := s.Counts()
		if err != nil {
			return err
		}
		lost := s.ended + s.site.Settings.Lanes - s.pending - int(c.Parked)
		// A lane with a wrong answer never ends.
		if lost <= int(c.wrong()) || time.Now().After(deadline) {
			return c.verdict(lost)
		}
		if err := pause(context.Background(), time.Millisecond); err != nil {
			return err
		}
	}
}

// wrong is the number of wrong answers. What the coordinator's host says on its
// own account, as that nobody listens, is none.
func (c *Counts) wrong() uint64 {
	var sum uint64
	for i, n := range c.Faults {
		if i != faultForeign {
			sum += n
		}
	}
	return sum
}

func (c *Counts) verdict(lost int) error {
	if c.wrong() > 0 {
		return fmt.Errorf("%w: %v (%d lanes did not end)", ErrWrongAnswers, c.FaultsByName(), lost)
	}
	if lost != 0 {
		return fmt.Errorf("%w: %d never ended", ErrLanesLost, lost)
	}
	return nil
}

// Counts is what the surroundings have counted since they were set up.
type Counts surroundingsTally

// Operations is the number of operations whose right answer came back.
func (c *Counts) Operations() uint64 { return c.Reads + c.Writes + c.Echoes }

// FaultsByName returns the causes for which frames were not counted.
func (c *Counts) FaultsByName() map[string]uint64 {
	faults := map[string]uint64{}
	for i, n := range c.Faults {
		if n > 0 {
			faults[faultNames[i]] = n
		}
	}
	return faults
}

// Counts reads the counters.
func (s *Surroundings) Counts() (Counts, error) {
	var c surroundingsTally
	if err := s.objects.Counts.Get(&c); err != nil {
		return Counts{}, fmt.Errorf("read the counters of the surroundings: %w", err)
	}
	return Counts(c), nil
}

// Close ends all load at once.
func (s *Surroundings) Close() error {
	var err error
	if s.link != nil {
		err = s.link.Close()
	}
	if s.socket >= 0 {
		err = errors.Join(err, unix.Close(s.socket))
	}
	return errors.Join(err, s.objects.Close())
}
