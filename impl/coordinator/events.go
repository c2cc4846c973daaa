// SPDX-License-Identifier: Apache-2.0

package coordinator

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"dalio/bpf"
	"dalio/impl/internal/events"
	"dalio/traces/event"
)

// eventPause is for how long the ring of events is waited at when it is empty.
const eventPause = 20 * time.Millisecond

// teller writes down what the data plane tells.
type teller struct {
	reader   *bpf.EventReader
	recorder *event.Recorder
	name     string
	ending   atomic.Bool
	done     chan error
}

// startTeller begins with what nobody has read yet, of the data plane's ring. The
// recorder gets all of it.
func startTeller(data *bpf.DataPlane, recorder *event.Recorder) (*teller, error) {
	reader, err := data.Events()
	if err != nil {
		return nil, err
	}
	// The ring's id tells data planes apart, and stays with one that is adopted.
	t := &teller{reader: reader, recorder: recorder, name: fmt.Sprintf("coordinator.%d", reader.ID()), done: make(chan error, 1)}
	go func() { t.done <- t.run() }()
	return t, nil
}

// run writes whenever it finds the ring empty: what has been read and not written
// is lost if the process is killed.
func (t *teller) run() error {
	var e bpf.Event
	patience := eventPause
	for {
		switch err := t.reader.Read(&e, time.Now().Add(patience)); {
		case errors.Is(err, os.ErrDeadlineExceeded):
			if err := t.recorder.Flush(); err != nil || t.ending.Load() && patience > 0 {
				return err
			}
			patience = eventPause
		case err != nil:
			return errors.Join(err, t.recorder.Flush())
		default:
			patience = 0
			if e.Action != "" { // Else it was no message for a coordinator.
				t.recorder.Add(events.OfCoordinator(t.name, &e))
			}
		}
	}
}

// close ends when everything has been written. The data plane must be detached.
func (t *teller) close() error {
	t.ending.Store(true)
	return errors.Join(<-t.done, t.end(), t.reader.Close())
}

// end tells how many events there were, so that it shows if the last ones found no
// room in the ring.
func (t *teller) end() error {
	told, err := t.reader.Told()
	if err != nil {
		return err
	}
	for processor, n := range told {
		if n > 0 {
			t.recorder.Add(&event.Event{By: events.NameOf(t.name, uint32(processor)), N: n + 1, Time: int64(bpf.Now()), Event: event.End})
		}
	}
	return t.recorder.Flush()
}
