// SPDX-License-Identifier: Apache-2.0

package replica

import (
	"dalio/impl/replica/control"
	"dalio/protocol"
)

// ReadPath answers reads beside the server, from what the server tells it.
// [dalio/bpf/reader.Reader] is one, in the kernel.
//
// The server calls Put and Admit of a key with the key's stripe to itself, Put before
// it acknowledges the write, and Begin and View with everything to itself. View comes
// before a change of the membership is acknowledged; when it returns, the path begins
// no more answers in an earlier one.
type ReadPath interface {
	// View lets reads be answered as a member of an epoch, or not at all for id 0.
	View(e protocol.Epoch, id protocol.ReplicaID)
	// Begin begins a membership: what was put before does not count any more.
	Begin(id protocol.ReplicaID)
	// Put tells what is held of a key from now on, and Admit what is held of one that
	// the server was asked for.
	Put(key []byte, r protocol.Record)
	Admit(key []byte, r protocol.Record)
	// Fates counts the messages that were answered, and those left to the server, by
	// reason.
	Fates() (answered uint64, passed map[string]uint64, err error)
}

// noReadPath is there when the server answers all reads itself.
type noReadPath struct{}

func (noReadPath) View(protocol.Epoch, protocol.ReplicaID)   {}
func (noReadPath) Begin(protocol.ReplicaID)                  {}
func (noReadPath) Put([]byte, protocol.Record)               {}
func (noReadPath) Admit([]byte, protocol.Record)             {}
func (noReadPath) Fates() (uint64, map[string]uint64, error) { return 0, nil, nil }

// AnswerBy has reads answered by a path, too, until Serve returns. It is called before
// Serve.
func (s *Server) AnswerBy(path ReadPath) {
	s.membership.Lock()
	defer s.membership.Unlock()
	s.path, s.counted = path, path
	s.prefetchBy(path)
	path.Begin(s.replica.ID)
	s.show()
}

func (s *Server) prefetchBy(what any) {
	if p, ok := what.(Prefetcher); ok {
		s.prefetchers = append(s.prefetchers, p)
	}
}

// show tells the path what the replica is a member of. The caller holds the
// membership.
func (s *Server) show() {
	if s.replica.Fenced {
		s.path.View(0, 0)
		return
	}
	s.path.View(s.replica.Epoch, s.replica.ID)
}

// partWithPath ends the use of the path.
func (s *Server) partWithPath() {
	s.membership.Lock()
	defer s.membership.Unlock()
	s.path.View(0, 0)
	s.path = noReadPath{}
	s.prefetchers = nil
}

// kernelReads returns what the path has counted, nil if there is none.
func (s *Server) kernelReads() *control.KernelReads {
	answered, passed, err := s.counted.Fates()
	if err != nil || passed == nil {
		return nil
	}
	return &control.KernelReads{Answered: answered, Passed: passed}
}

// mirrored is the store, of which the path is told. It is used as the store is, and
// under the membership.
type mirrored struct {
	Store
	server *Server
}

func (m *mirrored) Begin(id protocol.ReplicaID) error {
	err := m.Store.Begin(id)
	m.server.path.Begin(id)
	return err
}

func (m *mirrored) Put(key []byte, r protocol.Record) {
	m.Store.Put(key, r)
	m.server.path.Put(key, r)
}

func (m *mirrored) Merge(stripe int, key []byte, source protocol.Record) bool {
	changed := m.Store.Merge(stripe, key, source)
	if changed {
		m.server.path.Put(key, m.Get(key))
	}
	return changed
}
