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
	now    func() time.Duration
	// listening ends when the socket is closed.
	listening sync.WaitGroup

	mu     sync.Mutex
	out    *datagram.Batch
	number uint64
}

// newProber returns a prober that can ask. Answers wait in its socket until listen is
// called. The caller must close it.
func newProber(at netip.AddrPort) (*prober, error) {
	socket, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, fmt.Errorf("open a socket to probe with: %w", err)
	}
	return &prober{socket: socket, conn: datagram.NewConn(socket), out: datagram.NewBatch(1), now: bpf.Now}, nil
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

// listen calls a function for each answer, until the prober is closed. The answer is
// valid during the call.
func (p *prober) listen(answered func(from netip.AddrPort, m *protocol.Message)) {
	p.listening.Go(func() {
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
	})
}

func (p *prober) close() error {
	err := p.socket.Close()
	p.listening.Wait()
	return err
}
