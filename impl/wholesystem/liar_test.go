// SPDX-License-Identifier: Apache-2.0

package wholesystem

import (
	"errors"
	"io"
	"sync"

	"dalio/impl/internal/datagram"
	"dalio/protocol"
)

// liar answers everything at once, and keeps nothing: no key is there, ever.
type liar struct {
	// deaf has it not hear anything the first time.
	deaf bool
}

func (*liar) Name() string { return "liar" }

func (*liar) Judged() bool { return true }

// excused is one that nobody judges.
type excused struct{ Contender }

func (excused) Judged() bool { return false }

func (l *liar) start(s *shard) (io.Closer, error) {
	socket, err := s.node.ListenUDP(protocol.Port)
	if err != nil {
		return nil, err
	}
	pass, err := s.node.AttachPass()
	if err != nil {
		return nil, errors.Join(err, socket.Close())
	}
	r := &runningLiar{socket: socket, pass: pass}
	r.all.Go(func() { l.serve(datagram.NewConn(socket), s.epoch) })
	return r, nil
}

type runningLiar struct {
	socket, pass io.Closer
	all          sync.WaitGroup
}

func (r *runningLiar) Close() error {
	err := r.socket.Close()
	r.all.Wait()
	return errors.Join(err, r.pass.Close())
}

func (l *liar) serve(c *datagram.Conn, epoch protocol.Epoch) {
	in, out := datagram.NewBatch(batch), datagram.NewBatch(batch)
	for c.Read(in) == nil {
		out.Reset()
		for i := range in.Len() {
			var m protocol.Message
			if m.Unmarshal(in.Payload(i)) != nil || l.deaf && m.Attempt == 0 {
				continue
			}
			m.Type++ // A response's type follows its request's.
			m.Status, m.Epoch, m.Op = protocol.StatusOK, epoch, protocol.OpNone
			switch m.Type {
			case protocol.OpenResponse:
				m.Session = protocol.MintSessionID(epoch, 1, int(m.Request%batch))
			case protocol.WriteResponse:
				m.Key, m.Value = nil, nil
			}
			out.Add(&m, in.Address(i))
		}
		_, _ = c.Write(out)
	}
}
