// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"dalio/impl/internal/datagram"
	"dalio/protocol"
)

// probeKey is what probes read. Its value is of no interest, and no client sees
// it: the answer goes to the control plane, past the gate.
var probeKey = []byte("dalio probe")

// prober asks the replicas, once a second, whether they are there under the id
// and the epoch that the coordinator knows. The answers are for people to read;
// nothing in the protocol depends on them.
type prober struct {
	socket   *net.UDPConn
	conn     *datagram.Conn
	epoch    protocol.Epoch
	replicas []Replica
	probe    *datagram.Batch
	number   uint64
	done     chan struct{}

	mu    sync.Mutex
	heard map[protocol.ReplicaID]time.Time
}

func newProber(from netip.Addr, epoch protocol.Epoch, replicas []Replica) (*prober, error) {
	socket, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0)))
	if err != nil {
		return nil, fmt.Errorf("open a socket to probe replicas with: %w", err)
	}
	p := &prober{socket: socket, conn: datagram.NewConn(socket), epoch: epoch, replicas: replicas,
		probe: datagram.NewBatch(1), done: make(chan struct{}), heard: make(map[protocol.ReplicaID]time.Time)}
	go p.listen()
	return p, nil
}

// send probes one replica. It is not safe for concurrent use.
func (p *prober) send(r Replica) {
	p.number++
	p.probe.Reset()
	p.probe.Add(&protocol.Message{Type: protocol.Read, Epoch: p.epoch, Replica: r.ID, Request: p.number,
		Key: probeKey, KeyHash: protocol.KeyHash(probeKey)}, r.Address)
	_, _ = p.conn.Write(p.probe) // A replica that can't be reached is not heard of, which is what shows.
}

func (p *prober) sendAll() {
	for _, r := range p.replicas {
		p.send(r)
	}
}

func (p *prober) listen() {
	defer close(p.done)
	answers := datagram.NewBatch(protocol.MaxMembers)
	for {
		if p.conn.Read(answers) != nil {
			return // The socket is closed.
		}
		for i := range answers.Len() {
			var m protocol.Message
			if m.Unmarshal(answers.Payload(i)) == nil && m.Type == protocol.ReadReply && m.Epoch == p.epoch {
				p.note(Replica{m.Replica, answers.Address(i)})
			}
		}
	}
}

func (p *prober) note(from Replica) {
	for _, r := range p.replicas {
		if r == from {
			p.mu.Lock()
			p.heard[r.ID] = time.Now()
			p.mu.Unlock()
		}
	}
}

// lastHeard returns when the replica last answered, the zero time for never.
func (p *prober) lastHeard(id protocol.ReplicaID) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.heard[id]
}

func (p *prober) close() error {
	err := p.socket.Close()
	<-p.done
	return err
}
