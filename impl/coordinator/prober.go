// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"dalio/bpf"
	"dalio/impl/internal/datagram"
	"dalio/protocol"
)

// prober asks replicas and coordinators whether they are there. On the
// coordinator's own address and port, the answers of replicas pass the data plane
// first, whose lease they renew.
type prober struct {
	socket *net.UDPConn
	conn   *datagram.Conn
	done   chan struct{}
	now    func() time.Duration

	mu     sync.Mutex
	out    *datagram.Batch
	number uint64
}

// newProber returns a prober that calls a function for each answer, until it is
// closed. The answer is valid during the call.
func newProber(at netip.AddrPort, answered func(from netip.AddrPort, m *protocol.Message)) (*prober, error) {
	socket, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, fmt.Errorf("open a socket to probe with: %w", err)
	}
	p := &prober{socket: socket, conn: datagram.NewConn(socket), out: datagram.NewBatch(1), done: make(chan struct{}), now: bpf.Now}
	go p.listen(answered)
	return p, nil
}

// probe asks a member, or with id 0 a coordinator.
func (p *prober) probe(to netip.AddrPort, e protocol.Epoch, id protocol.ReplicaID) {
	p.mu.Lock()
	p.number++
	number := p.number
	p.mu.Unlock()
	p.send(to, &protocol.Message{Type: protocol.Probe, Epoch: e, Replica: id, Request: number, Sent: uint64(p.now())})
}

// send sends a message, which is lost if nobody can be reached.
func (p *prober) send(to netip.AddrPort, m *protocol.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out.Reset()
	p.out.Add(m, to)
	_, _ = p.conn.Write(p.out)
}

func (p *prober) listen(answered func(netip.AddrPort, *protocol.Message)) {
	defer close(p.done)
	answers := datagram.NewBatch(protocol.MaxMembers)
	for {
		if p.conn.Read(answers) != nil {
			return // The socket is closed.
		}
		for i := range answers.Len() {
			var m protocol.Message
			if m.Unmarshal(answers.Payload(i)) == nil && m.Type == protocol.ProbeReply {
				answered(answers.Address(i), &m)
			}
		}
	}
}

func (p *prober) close() error {
	err := p.socket.Close()
	<-p.done
	return err
}
