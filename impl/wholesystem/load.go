// SPDX-License-Identifier: Apache-2.0

package wholesystem

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"dalio/traces"
)

// work is what clients do.
type work struct {
	clients, sockets int
	valueSize        int
	// prefix begins every key, and insertPrefix those that are inserted.
	prefix, insertPrefix string
	// source chooses the operations of the lanes of a socket.
	source func(socket int) source
	// recorder gets the history, if not nil.
	recorder *traces.Recorder
}

// running is a load under way.
type running struct {
	drivers []*driver
	all     sync.WaitGroup
	errs    []error
}

// drive starts new clients of the shard. Whoever starts them must stop them.
func (s *shard) drive(o work) (*running, error) {
	r := &running{errs: make([]error, o.sockets)}
	var processes atomic.Int64
	process := func() int { return int(processes.Add(1)) - 1 }
	for i := range o.sockets {
		packets, err := s.Client.ListenUDP(0)
		if err != nil {
			return nil, errors.Join(err, r.close())
		}
		d := newDriver(packets, s.at, o)
		d.source, d.process = o.source(i), process
		for lane := range o.clients*(i+1)/o.sockets - o.clients*i/o.sockets {
			d.lanes = append(d.lanes, newLane(d, lane))
		}
		r.drivers = append(r.drivers, d)
	}
	for i, d := range r.drivers {
		r.all.Go(func() { r.errs[i] = d.run() })
	}
	return r, nil
}

// operations returns how many ended well so far.
func (r *running) operations() (n uint64) {
	for _, d := range r.drivers {
		n += d.operations.Load()
	}
	return n
}

// stop cuts short what the clients do.
func (r *running) stop() (tally, error) {
	for _, d := range r.drivers {
		d.stop.Store(true)
	}
	return r.wait()
}

// wait waits until the clients have nothing more to do.
func (r *running) wait() (sum tally, err error) {
	r.all.Wait()
	for _, d := range r.drivers {
		sum.retries, sum.failed, sum.absent = sum.retries+d.retries, sum.failed+d.failed, sum.absent+d.absent
	}
	return sum, errors.Join(append(r.errs, r.close())...)
}

func (r *running) close() (err error) {
	for _, d := range r.drivers {
		err = errors.Join(err, d.packets.Close())
	}
	return err
}

// ErrLost is returned for a coordinator under which what was written can't be read.
var ErrLost = errors.New("operations went wrong that a coordinator must get right")

// verdict returns ErrLost unless every operation ended well and every read found its
// key.
func (t tally) verdict() error {
	if t.failed > 0 || t.absent > 0 {
		return fmt.Errorf("%w: %d ended badly, %d reads of keys that were written found nothing", ErrLost, t.failed, t.absent)
	}
	return nil
}

// fillPatience bounds how long it takes to write every key once.
const fillPatience = 3 * time.Minute

// fill writes every key once.
func (s *shard) fill(ctx context.Context, o Settings) error {
	all := work{clients: o.Clients, sockets: o.Sockets, valueSize: o.ValueSize}
	all.source = func(i int) source {
		return &inTurn{uint32(o.Keys * i / o.Sockets), uint32(o.Keys * (i + 1) / o.Sockets)}
	}
	ctx, cancel := context.WithTimeout(ctx, fillPatience)
	defer cancel()
	r, err := s.drive(all)
	if err != nil {
		return err
	}
	unhook := context.AfterFunc(ctx, func() {
		for _, d := range r.drivers {
			d.stop.Store(true)
		}
	})
	defer unhook()
	sum, err := r.wait()
	if err := errors.Join(err, sum.verdict()); err != nil {
		return fmt.Errorf("fill the keys: %w", err)
	}
	if n := r.operations(); n != uint64(o.Keys) {
		return fmt.Errorf("fill the keys: %d of %d are written: %w", n, o.Keys, context.Cause(ctx))
	}
	return nil
}
