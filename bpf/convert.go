// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"net"
	"unsafe"

	"github.com/cilium/ebpf"

	"dalio/protocol"
)

// This file alone knows the names and layouts that were generated from C.

type (
	objects       = coordinatorObjects
	membership    = coordinatorMembership
	sessionEntry  = coordinatorSessionEntry
	counterSet    = coordinatorCounters
	multicastMeta = coordinatorMulticast
	device        = coordinatorDevice
	deviceTable   = [maxDevices]device
)

const (
	sessionsMap   = coordinatorMapSessions
	stationsMap   = coordinatorMapStations
	countersMap   = coordinatorMapCounters
	eventsMap     = eventfulMapEvents
	eventPartsMap = eventfulMapEventParts
	maxDevices    = len(membership{}.Leaving)
	metadataSize  = uint32(unsafe.Sizeof(multicastMeta{}))
	committedAcks = 1<<protocol.MaxMembers - 1
	// maxEpoch is the last epoch that session ids and entries have room for.
	maxEpoch = 1<<24 - 1
)

// actionNames and activityNames are in the order of the enumerations in wire.h;
// a test compares them.
var (
	actionNames = [...]string{"HandleOpenRequest", "HandleWriteRequest", "HandleWriteAck", "HandleReadRequest",
		"HandleReadReply"}
	activityNames = [...]string{"passed", "opened", "reopened", "open_busy", "sequenced", "multicasts", "retried",
		"redriven", "repeated", "expired", "adopted", "refused", "write_busy", "too_few", "commits", "covered", "forwarded",
		"read_busy", "released", "gated", "hops", "overdue", "probed", "probe_replies", "clones", "surplus", "redirected",
		"learned", "stranded"}
)

// The generated arrays have the lengths of the C enumerations: these lines do
// not compile when a name is missing here.
var (
	_ = counterSet{}.Actions == [len(actionNames)]uint64{}
	_ = counterSet{}.Activities == [len(activityNames)]uint64{}
)

// embedded returns the object that is shipped, for one device or for several. It is
// a variable so that tests can have it counted which of its branches they take.
var embedded = func(several bool) (*ebpf.CollectionSpec, error) {
	if several {
		return loadSeveral()
	}
	return loadCoordinator()
}

// isForSeveral says whether an object was built for several devices.
func isForSeveral(spec *ebpf.CollectionSpec) (bool, error) {
	var several uint32
	v := spec.Variables[coordinatorVarSeveralDevices]
	if v == nil {
		return false, fmt.Errorf("it has no variable %s", coordinatorVarSeveralDevices)
	}
	err := v.Get(&several)
	return several != 0, err
}

// configure sets the constants that the program is loaded with.
func configure(spec *ebpf.CollectionSpec, o Options) error {
	spec.Maps[sessionsMap].MaxEntries = o.MaxSessions
	if !o.SeveralDevices {
		spec.Maps[stationsMap].MaxEntries = 1
	}
	if o.Events {
		spec.Maps[eventsMap].MaxEntries = o.eventRing
	}
	for name, value := range map[string]any{
		coordinatorVarCoordinatorAddress: toAddress(o.Self),
		coordinatorVarMaxSessions:        o.MaxSessions,
		coordinatorVarSessionTtl:         o.SessionTTL,
		coordinatorVarLease:              uint64(o.Lease),
		coordinatorVarClockStands:        o.clockStands,
	} {
		if err := spec.Variables[name].Set(value); err != nil {
			return err
		}
	}
	return nil
}

// programs returns the programs by their names.
func (o *coordinatorPrograms) programs() map[string]*ebpf.Program {
	return map[string]*ebpf.Program{coordinatorProgCoordinator: o.Coordinator, coordinatorProgClone: o.Clone}
}

func (o *coordinatorPrograms) setProgram(name string, p *ebpf.Program) {
	if name == coordinatorProgClone {
		o.Clone = p
	} else {
		o.Coordinator = p
	}
}

// fill takes maps and variables from those found, and makes the other maps.
func (o *coordinatorObjects) fill(spec *ebpf.CollectionSpec, found map[string]*ebpf.Map) error {
	spec = spec.Copy()
	spec.Programs = nil
	all, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: found})
	if err != nil {
		return err
	}
	// What is assigned is not closed.
	defer all.Close()
	return errors.Join(all.Assign(&o.coordinatorMaps), all.Assign(&o.coordinatorVariables))
}

// address is an address as C has it: each field as its bytes are on the wire.
type address struct {
	ip   uint32
	port uint16
	mac  [3]uint16
}

func toAddress(a protocol.Address) address {
	ne := binary.NativeEndian
	var port [2]byte
	binary.BigEndian.PutUint16(port[:], a.Port)
	return address{
		ip:   ne.Uint32(a.IP[:]),
		port: ne.Uint16(port[:]),
		mac:  [3]uint16{ne.Uint16(a.MAC[0:]), ne.Uint16(a.MAC[2:]), ne.Uint16(a.MAC[4:])},
	}
}

func (a address) model() protocol.Address {
	ne := binary.NativeEndian
	var out protocol.Address
	var port [2]byte
	ne.PutUint32(out.IP[:], a.ip)
	ne.PutUint16(port[:], a.port)
	out.Port = binary.BigEndian.Uint16(port[:])
	for i, part := range a.mac {
		ne.PutUint16(out.MAC[2*i:], part)
	}
	return out
}

func (d *device) set(device *net.Interface) {
	d.Ifindex = uint32(device.Index)
	if len(device.HardwareAddr) == 6 {
		d.Mac = toAddress(protocol.Address{MAC: [6]byte(device.HardwareAddr)}).mac
	}
}

func (m *membership) setKnown(known [protocol.MaxMembers]protocol.Member) {
	for i, member := range known {
		a := toAddress(member.Address)
		k := &m.Known[i]
		k.Id = uint32(member.ID)
		k.Address.Ip, k.Address.Port, k.Address.Mac = a.ip, a.port, a.mac
	}
}

func (m *membership) known() (known [protocol.MaxMembers]protocol.Member) {
	for i, k := range m.Known {
		known[i].ID = protocol.ReplicaID(k.Id)
		known[i].Address = address{ip: k.Address.Ip, port: k.Address.Port, mac: k.Address.Mac}.model()
	}
	return known
}

// setPaths says by which device, of those with numbers, each replica is reached.
func (m *membership) setPaths(paths [protocol.MaxMembers]int, numbers map[int]int) {
	m.Leaving = [maxDevices]uint16{}
	for i, ifindex := range paths {
		number := numbers[ifindex]
		m.Device[i] = uint8(number)
		m.Leaving[number] |= m.Members & (1 << i)
	}
}

// setMinMembers says how many members new writes need, and whether they are there.
func (m *membership) setMinMembers(n int) {
	m.MinMembers, m.TooFew = uint32(n), 0
	if bits.OnesCount16(m.Members) < n {
		m.TooFew = 1
	}
}

func (m *membership) setServing(set uint16) {
	m.Serving, m.ServingCount = set, uint32(bits.OnesCount16(set))
	m.ServingList = [protocol.MaxMembers]uint8{}
	for n := 0; set != 0; n++ {
		m.ServingList[n] = uint8(bits.TrailingZeros16(set))
		set &= set - 1
	}
}

func (e *sessionEntry) model() protocol.SessionEntry {
	return protocol.SessionEntry{
		Owner: protocol.SessionID(e.Owner), Nonce: e.Nonce, Request: e.Request,
		Seq: e.Word >> protocol.MaxMembers, Acks: uint16(e.Word),
		Op: protocol.Op(e.OpAndEpoch >> 24), KeyHash: e.KeyHash, Digest: e.Digest, Tick: e.Tick,
		Settled: protocol.Version{Epoch: protocol.Epoch(e.OpAndEpoch & maxEpoch), Seq: e.SettledSeq},
	}
}

func (e *sessionEntry) set(m protocol.SessionEntry) {
	*e = sessionEntry{
		Owner: uint64(m.Owner), Nonce: m.Nonce, Request: m.Request,
		Word:    m.Seq<<protocol.MaxMembers | uint64(m.Acks),
		KeyHash: m.KeyHash, Digest: m.Digest, Tick: m.Tick,
		OpAndEpoch: uint32(m.Op)<<24 | uint32(m.Settled.Epoch)&maxEpoch, SettledSeq: m.Settled.Seq,
	}
}

func (e *sessionEntry) pending() bool { return e.Word != 0 && e.Word&committedAcks != committedAcks }

// add sums up the counters of the processors.
func (c *counterSet) add(others []counterSet) {
	for i := range others {
		o := &others[i]
		sum(c.Drops[:], o.Drops[:])
		sum(c.Actions[:], o.Actions[:])
		sum(c.Activities[:], o.Activities[:])
		sum(c.Reads[:], o.Reads[:])
	}
}

// tell fills in why a frame was dropped and which handler it reached, by what was
// counted before and after it.
func (c *counterSet) tell(before *counterSet, o *protocol.Outcome) error {
	var drops, actions uint64
	for i, n := range &c.Drops {
		if n != before.Drops[i] {
			o.Reason, drops = protocol.Reason(i), drops+n-before.Drops[i]
		}
	}
	for i, n := range &c.Actions {
		if n != before.Actions[i] {
			o.Action, actions = actionNames[i], actions+n-before.Actions[i]
		}
	}
	if drops > 1 || actions > 1 || (o.Verdict == protocol.Drop) != (o.Reason != protocol.NotDropped) {
		return fmt.Errorf("verdict %v, with %d drops counted, for %v at last, and %d actions", o.Verdict, drops, o.Reason, actions)
	}
	return nil
}

func sum(into, from []uint64) {
	for i, n := range from {
		into[i] += n
	}
}

func (d *DataPlane) readSequence(last *uint64) error {
	var s coordinatorSequence
	if err := d.objects.Sequence.Get(&s); err != nil {
		return fmt.Errorf("read last sequence number: %w", err)
	}
	*last = s.Last
	return nil
}

func (d *DataPlane) writeSequence(last uint64) error {
	if err := d.objects.Sequence.Set(coordinatorSequence{Last: last}); err != nil {
		return fmt.Errorf("write last sequence number: %w", err)
	}
	return nil
}
