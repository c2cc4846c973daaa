// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"context"
	"net/http"
	"time"

	"dalio/impl/replica/control"
)

// Driver is what a server is driven by that has no goroutines, connections and clock of
// its own: a simulation.
type Driver struct {
	// Beside runs a function beside the others, and Pause waits.
	Beside func(func())
	Pause  func(time.Duration)
	// Transport reaches the control APIs of other replicas.
	Transport http.RoundTripper
	// RangeBits is the power of two of how many ranges a catch-up goes by.
	RangeBits int
}

// Work answers what waits at the socket, on the caller's goroutine, until a read
// exceeds its deadline or the socket is closed; it returns an error if the store has
// failed. It is for who drives a server step by step, in place of Serve, and calls
// it again when there is more.
func (s *Server) Work() error {
	if s.driven == nil {
		s.driven = newWorker(s)
	}
	return s.driven.run()
}

// Handler serves the control API, for who drives a server.
func (s *Server) Handler() http.Handler { return (&api{server: s}).routes() }

// beside runs a catch-up beside the workers.
func (s *Server) beside(f func()) {
	if d := s.options.Driver; d != nil {
		d.Beside(f)
		return
	}
	s.catchingUp.Go(f)
}

// source returns a client of the replica that a catch-up is from.
func (s *Server) source(r control.CatchUp) *control.Client {
	var o control.Options
	if d := s.options.Driver; d != nil {
		o.Transport = d.Transport
	}
	return control.NewClient(r.Source, o)
}

// pause waits before a broken connection is made anew. It returns false if the context
// has ended.
func (s *Server) pause(ctx context.Context, d time.Duration) bool {
	if driver := s.options.Driver; driver != nil {
		driver.Pause(d)
		return ctx.Err() == nil
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// rangeBits is the power of two of how many ranges a catch-up goes by at least.
func (s *Server) rangeBits() int {
	if d := s.options.Driver; d != nil {
		return d.RangeBits
	}
	return catchUpBits
}
