// SPDX-License-Identifier: Apache-2.0

package wholesystem

import (
	"math/rand/v2"
	"strconv"
	"time"

	"dalio/protocol"
	"dalio/traces"
)

const (
	// stride is the distance of a lane's request ids, which name it: a prime above the
	// number of lanes, so that the reads of a lane go round all replicas.
	stride = 65537
	// firstRetry is how long a lane waits for an answer before it asks again, and twice
	// as long each time, up to lastRetry.
	firstRetry = 20 * time.Millisecond
	lastRetry  = 160 * time.Millisecond
)

// lane is one client, with one operation open at a time. What it sends, and what an
// answer means, is decided by protocol.Session, as in package client.
type lane struct {
	driver  *driver
	session protocol.Session
	// process is its number in the history.
	process int
	index   uint64
	count   uint64
	writes  uint64
	open    bool
	choice  choice
	key     []byte
	value   []byte
	retries int
	sent    time.Time
}

func newLane(d *driver, index int) *lane {
	// A lane that begins anew on an old port must not take an answer to its
	// predecessor for one to itself.
	return &lane{driver: d, index: uint64(index), process: d.process(), count: rand.Uint64() >> 18}
}

// begin begins the next operation, if there is one.
func (l *lane) begin(now time.Time) {
	if l.choice, l.open = l.driver.source.next(); !l.open {
		return
	}
	l.count++
	l.retries = 0
	prefix := l.driver.prefix
	if l.choice.inserted {
		prefix = l.driver.insertPrefix
	}
	l.key = appendKey(l.key[:0], prefix, l.choice.key)
	id := l.count*stride + l.index
	var m protocol.Message
	if l.choice.write {
		l.nextValue()
		l.recordInvoke(traces.Write)
		m = l.session.InvokeWrite(id, l.nonce(), protocol.OpPut, l.key, l.value)
	} else {
		l.recordInvoke(traces.Read)
		m = l.session.InvokeRead(id, l.key)
	}
	l.send(&m, now)
}

// nextValue makes a value that nobody has written before.
func (l *lane) nextValue() {
	l.writes++
	l.value = strconv.AppendInt(l.value[:0], int64(l.process), 10)
	l.value = strconv.AppendUint(append(l.value, '-'), l.writes, 10)
	for len(l.value) < l.driver.valueSize {
		l.value = append(l.value, '.')
	}
}

// nonce returns a random one that names the lane, as request ids do.
func (l *lane) nonce() uint64 {
	for {
		r := rand.Uint64() >> 1
		if nonce := r - r%stride + l.index; nonce != 0 {
			return nonce
		}
	}
}

func (l *lane) send(m *protocol.Message, now time.Time) {
	l.sent = now
	if m.Type == protocol.ReadRequest {
		l.driver.reads.Add(m, l.driver.to)
		return
	}
	l.driver.writes.Add(m, l.driver.to)
}

// handle takes an answer, and says whether it ends the operation.
func (l *lane) handle(m *protocol.Message, now time.Time) (ended bool) {
	if !l.open {
		return false
	}
	result := protocol.Waiting
	switch m.Type {
	case protocol.OpenResponse:
		if next, send := l.session.HandleOpenResponse(*m); send {
			l.send(&next, now)
		}
	case protocol.WriteResponse:
		result = l.session.HandleWriteResponse(*m)
	case protocol.ReadResponse:
		if l.session.HandleReadResponse(*m) {
			result = protocol.Done
		}
	}
	if result == protocol.Waiting {
		return false
	}
	l.end(result, m)
	return true
}

// end ends the operation; m is the answer that did, or nil.
func (l *lane) end(result protocol.Result, m *protocol.Message) {
	l.open = false
	d := l.driver
	switch {
	case result != protocol.Done:
		d.failed++
	case l.choice.write:
		d.source.written(l.choice)
	case m.Op != protocol.OpPut:
		d.absent++
	}
	if d.recorder != nil {
		l.recordEnd(result, m)
	}
	if l.session.Closed {
		l.session = protocol.Session{}
	}
}

// retry asks again if the answer is overdue.
func (l *lane) retry(now time.Time) {
	if !l.open || now.Sub(l.sent) < min(firstRetry<<min(l.retries, 8), lastRetry) {
		return
	}
	l.retries++
	l.driver.retries++
	m := l.session.Retry(l.nonce())
	l.send(&m, now)
}

// abandon gives the operation up.
func (l *lane) abandon() {
	if l.open {
		l.end(l.session.Abandon(), nil)
	}
}

func (l *lane) recordInvoke(f string) {
	if l.driver.recorder == nil {
		return
	}
	var value *string
	if f == traces.Write {
		written := string(l.value)
		value = &written
	}
	l.driver.recorder.Invoke(l.process, f, string(l.key), value)
}

func (l *lane) recordEnd(result protocol.Result, m *protocol.Message) {
	outcome := traces.OK
	var value *string
	var version *traces.Version
	switch result {
	case protocol.Done:
		version = &traces.Version{Epoch: uint64(m.Version.Epoch), Seq: m.Version.Seq}
		if m.Op == protocol.OpPut && !l.choice.write {
			read := string(m.Value)
			value = &read
		}
	case protocol.DidNotHappen:
		outcome = traces.Fail
	default:
		outcome = traces.Info
	}
	l.driver.recorder.CompleteVersion(l.process, outcome, value, version)
	if outcome == traces.Info {
		l.process = l.driver.process()
	}
}
