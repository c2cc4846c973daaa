// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"dalio/impl/replica"
	"dalio/protocol"
)

// restart is after how long a process is started again that has ended by itself.
const restart = 50 * time.Millisecond

// rangeBits is the power of two of how many ranges a catch-up goes by.
const rangeBits = 1

// machine is the host of a replica: the process, its socket, and its disk.
type machine struct {
	w      *world
	index  int
	node   *node
	disk   *disk // nil for a replica in memory
	socket *socket
	server *replica.Server
	api    http.Handler
	// life is that of the process, nil while there is none.
	life *life
	// watchers are called when the process ends.
	watchers []func()
	// held and collect are what the witness knows of what it holds.
	held    map[string]holding
	collect protocol.Version
	// emptied is the newest member that the machine was and whose data it has lost.
	emptied protocol.ReplicaID
	// down counts the faults that keep the process from being started.
	down int
	// drained counts the faults for which an operator has it taken out, and asked the
	// control planes that are at taking it out or in.
	drained, asked int
}

func newMachine(w *world, index int) *machine {
	m := &machine{w: w, index: index, held: map[string]holding{}, node: w.net.add(fmt.Sprint("r", index), 1, byte(index+1), protocol.Port)}
	m.node.closed = true
	return m
}

func (w *world) machineAt(a netip.AddrPort) *machine {
	for _, m := range w.machines {
		if m.node.address.IP == a.Addr().As4() {
			return m
		}
	}
	panic(fmt.Sprintf("sim: there is no replica at %v", a))
}

// start begins a process on the machine.
func (m *machine) start() {
	if m.life != nil || m.down > 0 {
		return
	}
	m.node.off = false
	o := replica.Options{Batch: 1}
	if m.disk != nil {
		store, err := m.disk.open()
		if err != nil {
			m.w.say("%s does not start", m.node.name)
			m.disk.close()
			m.w.after(restart, m.start)
			return
		}
		o.Store = store
	}
	m.life, m.socket = m.w.newLife(), &socket{at: m.node.address}
	life := m.life
	o.Driver = &replica.Driver{Beside: func(f func()) { life.beside(f) }, Pause: func(d time.Duration) { m.w.current.sleep(d) },
		Transport: transport{m.w, m.node}, RangeBits: rangeBits}
	var err error
	if m.server, err = replica.New(m.socket, o); err != nil {
		m.w.fail("%s: %v", m.node.name, err)
		return
	}
	m.api = m.server.Handler()
	m.node.receive, m.node.closed = m.receive, false
	m.w.say("%s starts", m.node.name)
	m.w.witness.started(m)
}

// kill ends the process. What it has written is in the hands of the system.
func (m *machine) kill() {
	if m.life == nil {
		return
	}
	m.w.say("%s is killed", m.node.name)
	m.w.witness.lost(m)
	m.life.kill()
	m.life, m.node.receive, m.node.closed = nil, nil, true
	if m.disk != nil {
		m.disk.close()
	} else {
		m.empty()
	}
	watchers := m.watchers
	m.watchers = nil
	for _, f := range watchers {
		f()
	}
}

// empty takes note that what the machine held is lost.
func (m *machine) empty() {
	for _, member := range m.w.store.config.Members {
		if m.w.machineAt(member.Address) == m {
			m.emptied = max(m.emptied, member.ID)
		}
	}
}

// lose has the machine lose power: what is not durable is gone.
func (m *machine) lose() {
	m.node.off = true
	if m.disk != nil {
		m.disk.lose()
	}
	m.kill()
}

// receive has the server answer a frame.
func (m *machine) receive(frame []byte) {
	from := sender(frame)
	m.socket.in, m.socket.from = append(m.socket.in, frame[protocol.FrameOverhead:]), from
	err := m.server.Work()
	out := m.socket.out
	m.socket.out = nil
	for _, payload := range out {
		var answer protocol.Message
		if err := answer.Unmarshal(payload); err != nil {
			m.w.fail("%s answers %x: %v", m.node.name, payload, err)
			return
		}
		m.w.witness.replied(m, frame, &answer)
		m.w.net.send(m.node, protocol.NewFrame(&answer, m.node.address, from))
	}
	m.ended(err)
}

// serve has the control API answer a request.
func (m *machine) serve(to *answer, r *http.Request) (err error) {
	defer func() {
		if p := recover(); p != nil {
			if e, ok := p.(error); !ok || !errors.Is(e, http.ErrAbortHandler) {
				panic(p)
			}
			err = errBroken
		}
		if m.ended(nil) {
			err = errBroken
		}
	}()
	m.api.ServeHTTP(to, r)
	return nil
}

// ended has the process end if its disk has failed, or its power.
func (m *machine) ended(err error) bool {
	switch {
	case m.disk == nil && err != nil:
		m.w.fail("%s: %v", m.node.name, err)
	case m.disk == nil:
	case m.disk.powerless():
		m.w.cover.met(powerInSync)
		m.lose()
		m.w.after(restart, m.start)
		return true
	case err != nil || m.disk.failed():
		m.w.say("%s ends: its disk has failed", m.node.name)
		m.kill()
		m.w.after(restart, m.start)
		return true
	}
	return false
}

// holds says whether the replica is the member.
func (m *machine) holds(id protocol.ReplicaID) bool { return m.server.Status().ID == id }

// returned says whether the replica runs with what its disk had, in no open epoch: where
// another member is in one, coordinators may replace it.
func (m *machine) returned() bool { return m.life != nil && m.server.Status().Returned != nil }

// socket is a net.PacketConn that has what was put in, and keeps what is sent.
type socket struct {
	at   protocol.Address
	from protocol.Address
	in   [][]byte
	out  [][]byte
}

func udp(a protocol.Address) *net.UDPAddr { return net.UDPAddrFromAddrPort(addrPort(a)) }

func (s *socket) ReadFrom(b []byte) (int, net.Addr, error) {
	if len(s.in) == 0 {
		return 0, nil, os.ErrDeadlineExceeded
	}
	n := copy(b, s.in[0])
	s.in = s.in[1:]
	return n, udp(s.from), nil
}

func (s *socket) WriteTo(b []byte, _ net.Addr) (int, error) {
	s.out = append(s.out, append([]byte(nil), b...))
	return len(b), nil
}

func (s *socket) Close() error                     { return nil }
func (s *socket) LocalAddr() net.Addr              { return udp(s.at) }
func (s *socket) SetDeadline(time.Time) error      { return nil }
func (s *socket) SetReadDeadline(time.Time) error  { return nil }
func (s *socket) SetWriteDeadline(time.Time) error { return nil }
