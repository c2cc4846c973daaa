// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"errors"
	"fmt"
	"os/exec"
	"strconv"

	"dalio/bpf"
)

// ErrEventsLost is returned when the ring of events was full: to tell what finds no room
// costs less.
var ErrEventsLost = errors.New("events lost")

// telling is a data plane that tells events, which a process throws away.
type telling struct {
	plane  *bpf.DataPlane
	reader *bpf.EventReader
	empty  *exec.Cmd
}

// startTelling has a program empty the ring of events all the time, as long as the calling
// thread lives.
func startTelling(plane *bpf.DataPlane, program string, cpu int) (*telling, error) {
	t := &telling{plane: plane}
	var err error
	if t.reader, err = plane.Events(); err != nil {
		return t, err
	}
	ring, err := t.reader.File()
	if err != nil {
		return t, err
	}
	defer ring.Close()
	if t.empty, err = startReady(program, []string{strconv.Itoa(cpu)}, ring); err != nil {
		return t, err
	}
	// The load must not hold it up.
	return t, schedule(t.empty.Process.Pid, 2, 0)
}

func (*telling) Processes() []int { return nil }

func (t *telling) Close() error {
	var err error
	if t.empty != nil {
		err = errors.Join(t.complete(), End(t.empty))
	}
	if t.reader != nil {
		err = errors.Join(err, t.reader.Close())
	}
	return errors.Join(err, t.plane.Close())
}

// complete returns ErrEventsLost if more than one event in a hundred found no room.
func (t *telling) complete() error {
	kept, err := t.reader.Kept()
	if err != nil {
		return err
	}
	told, err := t.told()
	if err != nil {
		return err
	}
	if lost := told - kept; lost*100 > told {
		return fmt.Errorf("%w: %d of %d", ErrEventsLost, lost, told)
	}
	return nil
}

// told is how many events there were.
func (t *telling) told() (sum uint64, err error) {
	all, err := t.reader.Told()
	for _, n := range all {
		sum += n
	}
	return sum, err
}
