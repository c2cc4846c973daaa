// SPDX-License-Identifier: Apache-2.0

package fabric

import (
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"
)

// maxHeld bounds the delayer's memory.
const maxHeld = 1 << 16

// delayer holds frames that the program takes off the wire, and sends each on
// when its time has come.
type delayer struct {
	reader  *ringbuf.Reader
	socket  int
	settled func()
	failed  [MaxNodes * 2]atomic.Uint64
	queue   dueQueue
	done    chan struct{}
}

type heldFrame struct {
	judgeHold
	frame []byte
}

// startDelayer opens the sending socket in the bridge's namespace. It calls
// settled whenever it has sent on the last frame it held.
func startDelayer(core *Namespace, held *ebpf.Map, settled func()) (*delayer, error) {
	d := &delayer{settled: settled, done: make(chan struct{})}
	err := core.Do(func() error {
		var err error
		// Protocol zero: the socket sends and never receives.
		d.socket, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open socket of the delayer: %w", err)
	}
	if d.reader, err = ringbuf.NewReader(held); err != nil {
		return nil, errors.Join(fmt.Errorf("open ring of held frames: %w", err), unix.Close(d.socket))
	}
	go d.run()
	return d, nil
}

func (d *delayer) run() {
	defer close(d.done)
	var record ringbuf.Record
	for {
		d.reader.SetDeadline(d.nextDeadline())
		err := d.reader.ReadInto(&record)
		switch {
		case err == nil:
			d.take(record.RawSample)
		case !errors.Is(err, os.ErrDeadlineExceeded):
			// Closing is the only other way for a read to end.
			return
		}
		d.sendDue()
	}
}

// nextDeadline is when to look at the queue again. The reader cuts times to
// whole milliseconds, so ask for the next one rather than spin through this.
func (d *delayer) nextDeadline() time.Time {
	if len(d.queue) == 0 {
		return time.Time{}
	}
	wait := time.Duration(int64(d.queue[0].Due) - monotonicNow())
	return time.Now().Add(max(wait, 0).Truncate(time.Millisecond) + time.Millisecond)
}

// take puts a frame into the queue.
func (d *delayer) take(sample []byte) {
	var held heldFrame
	n, err := binary.Decode(sample, binary.NativeEndian, &held.judgeHold)
	if err != nil || len(sample)-n < int(held.Length) {
		// Program and bindings are built together, so this cannot be.
		panic(fmt.Sprintf("fabric: held frame of %d bytes: %v", len(sample), err))
	}
	held.frame = append([]byte(nil), sample[n:n+int(held.Length)]...)
	heap.Push(&d.queue, held)
}

// sendDue sends on every frame whose time has come, and the next ones early
// when there are too many.
func (d *delayer) sendDue() {
	sent := false
	for len(d.queue) > 0 && (len(d.queue) > maxHeld || int64(d.queue[0].Due) <= monotonicNow()) {
		held := heap.Pop(&d.queue).(heldFrame)
		if err := d.send(held); err != nil {
			d.failed[held.direction()].Add(1)
		}
		sent = true
	}
	if sent && len(d.queue) == 0 {
		d.settled()
	}
}

// send puts a frame back on the wire at the port where it was taken off. The
// mark tells the program to account for it rather than to judge it again.
func (d *delayer) send(held heldFrame) error {
	// Only the delayer's goroutine uses the socket, so the mark stays put.
	if err := unix.SetsockoptInt(d.socket, unix.SOL_SOCKET, unix.SO_MARK, int(held.Mark)); err != nil {
		return err
	}
	to := &unix.SockaddrLinklayer{
		Ifindex:  int(held.Port),
		Protocol: binary.NativeEndian.Uint16(held.frame[12:14]),
	}
	return unix.Sendto(d.socket, held.frame, 0, to)
}

// direction is where the frame was judged, from its mark.
func (h heldFrame) direction() uint32 {
	const shift, flags = 22, 0xc0000000
	return h.Mark &^ flags >> shift
}

func (d *delayer) failures(direction uint32) uint64 { return d.failed[direction].Load() }

// close drops the frames still held.
func (d *delayer) close() error {
	err := d.reader.Close()
	<-d.done
	return errors.Join(err, unix.Close(d.socket))
}

// monotonicNow reads the clock of bpf_ktime_get_ns.
func monotonicNow() int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		panic(fmt.Sprintf("fabric: read monotonic clock: %v", err))
	}
	return now.Nano()
}

// dueQueue is a heap of frames, the earliest due first.
type dueQueue []heldFrame

func (q dueQueue) Len() int           { return len(q) }
func (q dueQueue) Less(i, j int) bool { return q[i].Due < q[j].Due }
func (q dueQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *dueQueue) Push(x any)        { *q = append(*q, x.(heldFrame)) }
func (q *dueQueue) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}
