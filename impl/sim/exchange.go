// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"dalio/impl/coordinator"
)

// catchUpPatience is how long a replica that catches up waits for an answer.
const catchUpPatience = 500 * time.Millisecond

// resent is after how long what was lost of a connection is sent again, at first.
const resent = 30 * time.Millisecond

var (
	errSilent = errors.New("no answer came in time")
	errBroken = errors.New("the connection broke")
)

// exchange is a request over a connection, and its answer.
type exchange struct {
	w        *world
	p        *proc
	from, to *node
	deadline time.Duration
	ended    bool
	err      error
}

// ask has something done at another host, and returns when the answer is here, or
// never comes. What was asked may be done even if the error says that no answer came.
func (w *world) ask(ctx context.Context, from, to *node, patience time.Duration, do func() error) error {
	x := &exchange{w: w, p: w.current, from: from, to: to, deadline: w.now + patience}
	x.carry(from, to, resent, func() { x.arrive(do) })
	w.after(patience, func() { x.end(errSilent) })
	x.p.until(func() bool { return x.ended || ctx.Err() != nil })
	if !x.ended {
		x.ended = true
		return ctx.Err()
	}
	return x.err
}

// carry brings one half of the exchange over, as a connection does: what is lost is
// sent again.
func (x *exchange) carry(from, to *node, again time.Duration, arrived func()) {
	w := x.w
	sky := w.net.at(from, to)
	d := between(w.net.random, 30*time.Microsecond, 250*time.Microsecond)
	if w.net.random.Float64() < sky.Late {
		d += between(w.net.random, 0, sky.Delay)
	}
	if w.net.cut[[2]*node{from, to}] > 0 || w.net.random.Float64() < sky.Loss || to.off {
		if w.now+again < x.deadline {
			w.after(again, func() { x.carry(from, to, 2*again, arrived) })
		}
		return
	}
	w.after(d, arrived)
}

// arrive has the request done.
func (x *exchange) arrive(do func() error) {
	switch {
	case x.to.off:
		return
	case x.to.paused:
		x.to.later = append(x.to.later, func() { x.arrive(do) })
		return
	case x.to.closed:
		x.carry(x.to, x.from, resent, func() { x.end(syscall.ECONNREFUSED) })
		return
	}
	if x.p.life.over {
		x.w.cover.met(deadRequest)
	}
	err := do()
	if errors.Is(err, errBroken) && x.to.off {
		return // Power was lost meanwhile: nothing is said.
	}
	x.carry(x.to, x.from, resent, func() { x.end(err) })
}

func (x *exchange) end(err error) {
	if !x.ended {
		x.ended, x.err = true, err
		x.p.wake()
	}
}

// transport makes HTTP requests to the control APIs of replicas.
type transport struct {
	w    *world
	from *node
}

// RoundTrip makes a request.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	at, err := netip.ParseAddrPort(r.URL.Host)
	if err != nil {
		return nil, err
	}
	var body []byte
	if r.Body != nil {
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r.Body.Close()
	}
	m := t.w.machineAt(at)
	patience := coordinator.Patience(r.Context())
	if patience == 0 {
		patience = catchUpPatience
	}
	answer := &answer{header: http.Header{}, code: http.StatusOK}
	err = t.w.ask(r.Context(), t.from, m.node, patience, func() error {
		if m.life == nil {
			return errBroken
		}
		defer t.w.point("done " + r.URL.Path)
		request := r.Clone(context.Background())
		request.Body = io.NopCloser(bytes.NewReader(body))
		err := m.serve(answer, request)
		if err == nil && answer.code == http.StatusOK {
			t.w.witness.asked(m, r.URL.Path, body)
		}
		return err
	})
	t.w.say("%s %s %s: %d %v", t.from.name, m.node.name, r.URL.Path, answer.code, err)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: answer.code, Header: answer.header, Body: io.NopCloser(&answer.body), Request: r,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, ContentLength: int64(answer.body.Len())}, nil
}

// answer takes what a handler answers.
type answer struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header              { return a.header }
func (a *answer) WriteHeader(code int)             { a.code = code }
func (a *answer) Write(b []byte) (int, error)      { return a.body.Write(b) }
func (a *answer) SetReadDeadline(time.Time) error  { return nil }
func (a *answer) SetWriteDeadline(time.Time) error { return nil }
