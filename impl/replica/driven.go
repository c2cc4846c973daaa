// SPDX-License-Identifier: Apache-2.0

package replica

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
