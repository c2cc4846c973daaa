// SPDX-License-Identifier: Apache-2.0

package wholesystem

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"dalio/impl/internal/datagram"
	"dalio/protocol"
	"dalio/traces"
)

const (
	// batch is how many datagrams a driver takes and sends with one system call.
	batch = 256
	// receiveBuffer takes up the answers that come meanwhile.
	receiveBuffer = 4 << 20
	// lookInterval is how often a driver looks for answers that are overdue.
	lookInterval = 10 * time.Millisecond
)

// driver drives lanes that share a socket, on one goroutine: it takes the answers that
// are there, has each lane go on, and sends what comes of that with one system call. A
// goroutine for each lane would cost more than all else that a client does.
type driver struct {
	packets *net.UDPConn
	conn    *datagram.Conn
	to      netip.AddrPort
	in      *datagram.Batch
	// reads and writes are what is to be sent: apart, because what has one size can
	// travel together.
	reads, writes *datagram.Batch
	lanes         []*lane

	source source
	// prefix begins keys, and insertPrefix those inserted.
	prefix, insertPrefix string
	valueSize            int
	// recorder gets the history, if not nil. process gives out its processes.
	recorder *traces.Recorder
	process  func() int

	stop atomic.Bool
	// operations counts those that ended well; others may look at it.
	operations atomic.Uint64
	tally
}

// tally counts what became of operations beside that.
type tally struct {
	// retries are requests sent again, failed the operations that did not end well, and
	// absent the reads that found no value.
	retries, failed, absent uint64
}

func newDriver(packets *net.UDPConn, to netip.AddrPort, o work) *driver {
	// A smaller buffer than asked for costs retries and nothing else.
	_, _ = datagram.SetReceiveBuffer(packets, receiveBuffer)
	return &driver{packets: packets, conn: datagram.NewConn(packets), to: to, in: datagram.NewBatch(batch), reads: datagram.NewBatch(batch), writes: datagram.NewBatch(batch),
		prefix: o.prefix, insertPrefix: o.insertPrefix, valueSize: o.valueSize, recorder: o.recorder}
}

// open returns how many lanes have an operation open.
func (d *driver) open() (n int) {
	for _, l := range d.lanes {
		if l.open {
			n++
		}
	}
	return n
}

// run has all lanes go on until there is nothing more to do, or it is stopped, and then
// gives up what is open.
func (d *driver) run() error {
	now := time.Now()
	for _, l := range d.lanes {
		l.begin(now)
	}
	if err := d.flush(); err != nil {
		return err
	}
	for look := now; d.open() > 0 && !d.stop.Load(); {
		if now := time.Now(); now.Sub(look) >= 0 {
			look = now.Add(lookInterval)
			if err := d.packets.SetReadDeadline(look); err != nil {
				return fmt.Errorf("drive clients: %w", err)
			}
			for _, l := range d.lanes {
				l.retry(now)
			}
			if err := d.flush(); err != nil {
				return err
			}
		}
		if err := d.conn.Read(d.in); errors.Is(err, os.ErrDeadlineExceeded) {
			continue
		} else if err != nil {
			return fmt.Errorf("drive clients: %w", err)
		}
		d.answer()
		if err := d.flush(); err != nil {
			return err
		}
	}
	failed := d.failed
	for _, l := range d.lanes {
		l.abandon()
	}
	// What was cut short has not failed.
	d.failed = failed
	return nil
}

// answer hands what has come to the lanes.
func (d *driver) answer() {
	now := time.Now()
	failed, done := d.failed, uint64(0)
	for i := range d.in.Len() {
		var m protocol.Message
		if d.in.Address(i) != d.to || m.Unmarshal(d.in.Payload(i)) != nil {
			continue
		}
		index := m.Request % stride
		if index >= uint64(len(d.lanes)) {
			continue
		}
		if l := d.lanes[index]; l.handle(&m, now) {
			done++
			l.begin(now)
		}
	}
	d.operations.Add(done - (d.failed - failed))
}

// flush sends what the lanes have to send. What the network stack turns down is lost on
// the way, and sent again.
func (d *driver) flush() error {
	for _, out := range []*datagram.Batch{d.reads, d.writes} {
		if out.Len() == 0 {
			continue
		}
		if _, err := d.conn.Write(out); errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("drive clients: %w", err)
		}
		out.Reset()
	}
	return nil
}
